// SPDX-License-Identifier: Apache-2.0

package channel_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	tablePath = "../../docs/protocol/vectors/channels-table.json"
	pagePath  = "../../docs/protocol/channels.md"
	abiPath   = "../../contracts/abi/Channels.json"

	tableBegin = "<!-- table: made from vectors/channels-table.json by go test ./internal/channel -update -->\n"
	tableEnd   = "<!-- end of table -->\n"
)

var (
	states  = []string{"None", "Open", "Notice", "Ended", "Closed"}
	callers = []string{"publisher", "payout", "signer", "payee", "stranger"}
)

// table is the file whose every cell the Solidity tests walk on the contract (contracts/test/Table.t.sol).
type table struct {
	About    string             `json:"about"`
	Rows     []row              `json:"rows"`
	Outcomes map[string]outcome `json:"outcomes"`
}

type row struct {
	Function string   `json:"function"`
	With     string   `json:"with"`
	By       []string `json:"by"`
	None     string   `json:"None"`
	Open     string   `json:"Open"`
	Notice   string   `json:"Notice"`
	Ended    string   `json:"Ended"`
	Closed   string   `json:"Closed"`
}

func (r row) cells() []string { return []string{r.None, r.Open, r.Notice, r.Ended, r.Closed} }

type outcome struct {
	Does    string     `json:"does"`
	Events  [][]string `json:"events"`
	Moves   [][]string `json:"moves"`
	State   []string   `json:"state"`
	Returns []string   `json:"returns"`
}

// contractABI is what the table has to be complete over.
func contractABI(t *testing.T) (functions, errors, events []string) {
	t.Helper()
	var entries []struct{ Type, Name string }
	readJSON(t, abiPath, &entries)
	for _, e := range entries {
		switch e.Type {
		case "function":
			functions = append(functions, e.Name)
		case "error":
			errors = append(errors, e.Name)
		case "event":
			events = append(events, e.Name)
		}
	}
	return functions, errors, events
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func readTable(t *testing.T) table {
	t.Helper()
	var tab table
	readJSON(t, tablePath, &tab)
	return tab
}

// elsewhere are the names of the ABI that no cell has, each with where it is tested instead.
var elsewhere = map[string]string{
	"Credited":            "contracts/test/WithdrawCredit.t.sol: tokens that refuse",
	"eip712Domain":        "OpenZeppelin's; contracts/test/Terms.t.sol",
	"EIP712DomainChanged": "OpenZeppelin's, never emitted",
	"ZeroAddress":         "the refused terms of channels.json",
	"ZeroRate":            "the refused terms of channels.json",
	"NoticeOutOfBounds":   "the refused terms of channels.json",
	"BadShares":           "the refused terms of channels.json",
}

// TestTableIsComplete fails when the contract has a function, an error or an event that the table does not have, and when a caller is
// missing from, or twice in, what a function does with one kind of argument.
func TestTableIsComplete(t *testing.T) {
	tab := readTable(t)
	functions, errors, events := contractABI(t)
	seen := map[string]bool{}
	by := map[string][]string{}
	for _, r := range tab.Rows {
		seen[r.Function] = true
		by[r.Function+"/"+r.With] = append(by[r.Function+"/"+r.With], r.By...)
		for i, cell := range r.cells() {
			o, ok := tab.Outcomes[cell]
			if !ok && !slices.Contains(errors, cell) {
				t.Errorf("%s with %q in %s: %q is neither an outcome nor an error", r.Function, r.With, states[i], cell)
			}
			seen[cell] = true
			for _, e := range o.Events {
				seen[strings.SplitN(e[0], "(", 2)[0]] = true
			}
		}
	}
	for key, who := range by {
		whole := strings.HasSuffix(key, "/") || !strings.HasPrefix(key, "open/")
		if got := slices.Sorted(slices.Values(who)); whole && !cmp.Equal(got, slices.Sorted(slices.Values(callers))) {
			t.Errorf("%s: callers are %v", key, got)
		}
	}
	for _, name := range slices.Concat(functions, errors, events) {
		if !seen[name] && elsewhere[name] == "" && !isLibrarys(name) {
			t.Errorf("the table says nothing of %s", name)
		}
	}
}

// isLibrarys says whether an error is one of OpenZeppelin's, which a caller meets only through a token or a mistake in deployment.
func isLibrarys(name string) bool {
	return slices.Contains([]string{"InvalidShortString", "StringTooLong", "ReentrancyGuardReentrantCall", "SafeERC20FailedOperation"}, name)
}

// TestPageHasTheTable compares docs/protocol/channels.md with the data, and writes the page's part anew with -update.
func TestPageHasTheTable(t *testing.T) {
	raw, err := os.ReadFile(pagePath)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table, between %q and %q", pagePath, tableBegin, tableEnd)
	}
	want := before + tableBegin + readTable(t).markdown() + tableEnd + after
	if *update {
		if err := os.WriteFile(pagePath, []byte(want), 0o644); err != nil { //nolint:gosec // a page for all to read
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Errorf("the page differs from the table's data; go test ./internal/channel -update writes it anew (-want +got):\n%s", diff)
	}
}

func (tab table) markdown() string {
	var b strings.Builder
	b.WriteString("| function | with | by | None | Open | Notice | Ended | Closed |\n|---|---|---|---|---|---|---|---|\n")
	last := ""
	for _, r := range tab.Rows {
		name := "`" + r.Function + "`"
		if name == last {
			name = ""
		} else {
			last = name
		}
		fmt.Fprintf(&b, "| %s | %s | %s |", name, r.With, who(r.By))
		for _, cell := range r.cells() {
			if o, ok := tab.Outcomes[cell]; ok {
				cell = "**" + o.Does + "**"
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}

	b.WriteString("\nWhat those that change something do:\n\n| | state after | money | event |\n|---|---|---|---|\n")
	var listed []string
	for _, r := range tab.Rows {
		for _, cell := range r.cells() {
			o, ok := tab.Outcomes[cell]
			line := fmt.Sprintf("| **%s** | %s | %s | %s |\n", o.Does, stateAfter(o.State), money(o.Moves), logged(o.Events))
			if !ok || len(o.Events) == 0 || slices.Contains(listed, line) {
				continue
			}
			listed = append(listed, line)
			b.WriteString(line)
		}
	}
	return b.String()
}

func who(by []string) string {
	if len(by) == len(callers) {
		return "anyone"
	}
	if len(by) == len(callers)-1 {
		return "anyone else"
	}
	return strings.Join(by, ", ")
}

func stateAfter(words []string) string {
	var parts []string
	for i, name := range []string{"deposited", "claimed", "spentUntil", "noticeEnd"} {
		if len(words) != 0 && words[i] != "same" {
			parts = append(parts, name+" = "+words[i])
		}
	}
	if len(parts) == 0 {
		return "the same"
	}
	return strings.Join(parts, ", ")
}

func money(moves [][]string) string {
	var parts []string
	for _, m := range moves {
		parts = append(parts, fmt.Sprintf("%s: %s → %s", m[2], m[0], m[1]))
	}
	if len(parts) == 0 {
		return "–"
	}
	return strings.Join(parts, "; ")
}

func logged(events [][]string) string {
	var parts []string
	for _, e := range events {
		name, _, _ := strings.Cut(e[0], "(")
		parts = append(parts, "`"+name+"("+strings.Join(e[1:], ", ")+")`")
	}
	return strings.Join(parts, ", ")
}
