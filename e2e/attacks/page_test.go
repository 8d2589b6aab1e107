// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the list of attempts into docs/guide/isolation.md")

const (
	page       = "../../docs/guide/isolation.md"
	listBegins = "<!-- Written by go test ./e2e/attacks -update; do not edit up to the end of the list. -->\n"
	listEnds   = "<!-- End of the list. -->\n"
)

// TestThePageSaysWhatIsTried needs no devnet: the list on the page is that of the attempts.
func TestThePageSaysWhatIsTried(t *testing.T) {
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(raw), listBegins)
	said, after, ends := strings.Cut(rest, listEnds)
	if !begins || !ends {
		t.Fatal("the page has no place for the list")
	}
	var b strings.Builder
	for _, th := range (&world{}).themes(t) {
		names := make([]string, 0, len(th.attempts))
		for _, a := range th.attempts {
			names = append(names, a.name)
		}
		slices.Sort(names)
		if len(slices.Compact(slices.Clone(names))) != len(names) {
			t.Errorf("%s: two attempts have one name", th.name)
		}
		fmt.Fprintf(&b, "\n%s:\n\n", th.name)
		for _, n := range names {
			fmt.Fprintf(&b, "- %s\n", n)
		}
	}
	b.WriteString("\n")
	if *update {
		if err := os.WriteFile(page, []byte(before+listBegins+b.String()+listEnds+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(said, b.String()); diff != "" {
		t.Errorf("the page and the attempts differ; go test ./e2e/attacks -run Page -update writes it (-page +attempts):\n%s", diff)
	}
}
