// SPDX-License-Identifier: Apache-2.0

package usage_test

import (
	"strings"
	"testing"

	"github.com/apocryph/apocryph/internal/usage"
)

// Totals are texts in objects that others can write to.
func FuzzParseQuantity(f *testing.F) {
	f.Add("")
	f.Add("0")
	f.Add(strings.Repeat("9", 60))
	f.Add("-1")
	f.Add("1e9")
	f.Fuzz(func(t *testing.T, s string) {
		q, err := usage.ParseQuantity(s)
		if err != nil {
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 300 {
				t.Errorf("not one short line: %q", err)
			}
			return
		}
		if again, err := usage.ParseQuantity(q.String()); err != nil || !again.Equal(q) || q.Big().Sign() < 0 || len(s) > 60 {
			t.Errorf("%q is read as %s, and that as %s, %v", s, q, again, err)
		}
	})
}
