// SPDX-License-Identifier: Apache-2.0

package channeltest_test

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/channel/channeltest"
	"github.com/apocryph/apocryph/internal/tariff"
)

// step is one transaction of a run. It says everything, so that a run without some of its steps is a run too.
type step struct {
	at   uint64
	from common.Address
	call channeltest.Call
}

// run is one world from its beginning, on a chain and in the model.
type run struct {
	*world
	m     *channeltest.Model
	terms []channel.Terms
	byID  map[channel.ID]channel.Terms
	tally *tally
	// harmed are the tokens that kept a fee or took money back: nothing is promised of their sums.
	harmed map[common.Address]bool
	// of the terms, in their order:
	ids              []channel.ID
	states, statuses []question
}

// tally counts what happened, over all runs.
type tally struct {
	steps               int
	done, refused, seen map[string]int // by function, error, event
}

func newTally() *tally {
	return &tally{done: map[string]int{}, refused: map[string]int{}, seen: map[string]int{}}
}

func newRun(t *testing.T, w *world, terms []channel.Terms, counts *tally) *run {
	r := &run{world: w, m: w.model(), terms: terms, byID: map[channel.ID]channel.Terms{}, tally: counts, harmed: map[common.Address]bool{}}
	t.Helper()
	for _, terms := range terms {
		id := terms.ID(r.m.Domain)
		r.byID[id] = terms
		r.ids = append(r.ids, id)
		r.states = append(r.states, question{"state", w.channels, w.pack(t, "Channels", "state", id)})
		r.statuses = append(r.statuses, question{"status", w.channels, w.pack(t, "Channels", "status", id)})
	}
	return r
}

// do makes a step on both sides and returns what differs, or nothing.
func (r *run) do(t *testing.T, s step) string {
	t.Helper()
	r.m.Now = s.at
	to, function, data := r.encode(t, r, s.call)
	key := r.keys[s.from]
	if s.from == r.wallet {
		to, data, key = r.wallet, r.pack(t, "OddWallet", "execute", to, data), keyOf("stranger")
	}
	got := r.send(t, s.at, key, to, data)
	want := r.m.Do(s.from, s.call)
	r.tally.steps++
	if d := r.diffResult(t, s, function, want, got); d != "" {
		return d
	}
	switch c := s.call.(type) {
	case channeltest.Burn:
		r.harmed[c.Token] = true
	case channeltest.SetHabits:
		r.harmed[c.Token] = r.harmed[c.Token] || c.Which == "fee"
	}
	if d := r.diffChannels(t); d != "" {
		return d
	}
	if got.reverted {
		return "" // the machine itself undoes what a refused call did; only time has passed
	}
	if d := r.diffMoney(t); d != "" {
		return d
	}
	return r.insolvent()
}

func (r *run) diffResult(t *testing.T, s step, function string, want channeltest.Outcome, got sent) string {
	t.Helper()
	if got.reverted {
		reason := r.refusal(got.returned)
		r.tally.refused[reason]++
		if !slices.Contains(want.Refusals, reason) {
			return fmt.Sprintf("refused with %q; the model says %q", reason, want.Refusals)
		}
		return ""
	}
	r.tally.done[function]++
	if len(want.Refusals) > 0 {
		return fmt.Sprintf("done; the model refuses with %q", want.Refusals)
	}
	var events []string
	for _, log := range got.logs {
		if log.Address != r.channels {
			continue
		}
		text, reason := r.told(t, log)
		name, _, _ := strings.Cut(text, " ")
		r.tally.seen[name]++
		if i := len(events); reason != "" && (i >= len(want.Events) || !slices.Contains(want.Events[i].Reasons, reason)) {
			text += " " + reason
		}
		events = append(events, text)
	}
	var expected []string
	for _, e := range want.Events {
		expected = append(expected, e.Text)
	}
	if !slices.Equal(events, expected) {
		return fmt.Sprintf("events:\n  %s\nthe model's:\n  %s", strings.Join(events, "\n  "), strings.Join(expected, "\n  "))
	}
	return r.diffReturned(t, s, function, want, got.returned)
}

// diffReturned looks at return values where the chain tells them: no receipt does.
func (r *run) diffReturned(t *testing.T, s step, function string, want channeltest.Outcome, data []byte) string {
	t.Helper()
	method, found := r.abi["Channels"].Methods[function]
	if !found || data == nil {
		return ""
	}
	if s.from == r.wallet {
		inner, err := r.abi["OddWallet"].Unpack("execute", data)
		if err != nil {
			t.Fatal(err)
		}
		data = *abi.ConvertType(inner[0], new([]byte)).(*[]byte)
	}
	values, err := method.Outputs.Unpack(data)
	if err != nil {
		return fmt.Sprintf("returned %x: %v", data, err)
	}
	told, expected := fmt.Sprint(values...), ""
	switch c := s.call.(type) {
	case channeltest.Open:
		expected = fmt.Sprint([32]byte(c.Terms.ID(r.m.Domain)))
	case channeltest.OpenFor:
		expected = fmt.Sprint([32]byte(c.Terms.ID(r.m.Domain)))
	case channeltest.ClaimBatch:
		expected = fmt.Sprint(append([]*big.Int{}, want.Paid...))
	default:
		for _, n := range want.Paid {
			expected += n.String()
		}
	}
	if told != expected {
		return fmt.Sprintf("returned %s; the model says %s", told, expected)
	}
	return ""
}

// diffChannels compares the whole state of every channel, by every view there is.
func (r *run) diffChannels(t *testing.T) string {
	t.Helper()
	probe := int(r.m.Now % uint64(len(r.terms))) // the same in a run with fewer steps
	for i, terms := range r.terms {
		id := r.ids[i]
		got := r.ask(t, r.states[i])
		c, found := r.m.Channels[id]
		want := []*big.Int{new(big.Int), new(big.Int), number(c.SpentUntil), number(c.NoticeEnd)}
		if found {
			want[0], want[1] = c.Deposited, c.Claimed
		}
		if c.Closed {
			want[3] = number(1<<40 - 1)
		}
		if !slices.EqualFunc(got, want, func(a, b *big.Int) bool { return a.Cmp(b) == 0 }) {
			return fmt.Sprintf("%s: state %v; the model has %v (deposited, claimed, spent until, notice end)", name(terms), got, want)
		}
		if !found && i != probe {
			continue
		}
		if status := r.ask(t, r.statuses[i])[0]; status.Uint64() != uint64(r.m.Status(id)) {
			return fmt.Sprintf("%s: status %s; the model has %s", name(terms), channel.Status(status.Uint64()), r.m.Status(id))
		}
		if i != probe {
			continue
		}
		if d := r.diffGo(id, terms, got); d != "" {
			return d
		}
		for _, total := range []*big.Int{number(r.m.Now % 10_000), new(big.Int).Lsh(big.NewInt(1), 100)} {
			want, _ := r.m.Claimable(id, terms, total)
			q := question{"claimable", r.channels, r.pack(t, "Channels", "claimable", chainTerms(terms), total)}
			if got := r.ask(t, q)[0]; got.Cmp(want) != 0 {
				return fmt.Sprintf("%s: %s claimable of %s; the model says %s", name(terms), got, total, want)
			}
		}
	}
	return ""
}

// diffGo holds internal/channel against the model too.
func (r *run) diffGo(id channel.ID, terms channel.Terms, state []*big.Int) string {
	s := channel.State{Deposited: amount(state[0]), Claimed: amount(state[1]), SpentUntil: state[2].Uint64(), NoticeEnd: state[3].Uint64()}
	now := time.Unix(int64(r.m.Now), 0)
	if s.Status(now) != r.m.Status(id) {
		return fmt.Sprintf("%s: internal/channel says %s; the model %s", name(terms), s.Status(now), r.m.Status(id))
	}
	total := new(big.Int).Add(new(big.Int).Rsh(state[0], uint(r.m.Now%8)), number(r.m.Now%3))
	want, until := r.m.Claimable(id, terms, total)
	after, paid := channel.Spend(s, terms, amount(total), now)
	if paid.Big().Cmp(want) != 0 || after.SpentUntil != until {
		return fmt.Sprintf("%s: internal/channel pays %s of %s and spends until %d; the model pays %s and spends until %d",
			name(terms), paid, total, after.SpentUntil, want, until)
	}
	if terms.Validate() == nil {
		if got, want := channel.Split(terms.Payees, amount(state[1])), channeltest.Split(terms.Payees, state[1]); fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Sprintf("%s: internal/channel splits %s into %s; the model into %s", name(terms), state[1], got, want)
		}
	}
	return ""
}

func (r *run) diffMoney(t *testing.T) string {
	t.Helper()
	for _, h := range r.watched {
		token := r.m.Tokens[h.Token]
		for _, c := range []struct {
			question
			want *big.Int
		}{{h.balance, token.Balance(h.Account)}, {h.credit, r.m.Credit(h.Holding)}, {h.allowance, token.Allowance(h.Account)}} {
			if c.about == "allowance" && r.m.Now%4 != 0 {
				continue // one that is wrong shows when it is used
			}
			if got := r.ask(t, c.question)[0]; got.Cmp(c.want) != 0 {
				return fmt.Sprintf("%s of %s in %s: %s; the model says %s", c.about, r.names[h.Account], r.names[h.Token], got, c.want)
			}
		}
	}
	return ""
}

// insolvent says for which honest token the contract owes more than it has.
func (r *run) insolvent() string {
	owed := map[common.Address]*big.Int{}
	for address := range r.m.Tokens {
		owed[address] = new(big.Int)
	}
	for id, c := range r.m.Channels {
		if !c.Closed {
			owed[r.byID[id].Token].Add(owed[r.byID[id].Token], new(big.Int).Sub(c.Deposited, c.Claimed))
		}
	}
	for h, n := range r.m.Credits {
		owed[h.Token].Add(owed[h.Token], n)
	}
	for address, n := range owed {
		if has := r.m.Tokens[address].Balance(r.channels); !r.harmed[address] && has.Cmp(n) < 0 {
			return fmt.Sprintf("the contract owes %s of %s and has %s", n, r.names[address], has)
		}
	}
	return ""
}

func amount(n *big.Int) tariff.Amount {
	a, err := tariff.NewAmount(n)
	if err != nil {
		return tariff.Amount{} // no test has one that is negative or too wide
	}
	return a
}

func name(t channel.Terms) string {
	return fmt.Sprintf("channel %02d", int(t.Salt[30])<<8|int(t.Salt[31]))
}
