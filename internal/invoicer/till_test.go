// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/tariff"
)

// counter is a chain that takes every claim and notes which went together.
type counter struct {
	chain

	batches [][]string
	// err is how a call ends of which the first took claims took effect all the same.
	err  error
	took int
	// during is called while a transaction is under way.
	during func()
}

func (c *counter) Claim(_ context.Context, claims []Claim) (Spent, error) {
	var totals []string
	spent := Spent{Transactions: 1, Gas: 20_000 * uint64(len(claims)), Wei: big.NewInt(int64(60_000 * len(claims))), Paid: map[channel.ID]tariff.Amount{}}
	for _, claim := range claims {
		totals = append(totals, claim.Total.String())
		spent.Paid[claim.Terms.ID(domain())] = claim.Total
	}
	c.batches = append(c.batches, totals)
	if c.during != nil {
		c.during()
	}
	for n, claim := range claims {
		if c.err != nil && n >= c.took {
			delete(spent.Paid, claim.Terms.ID(domain()))
		}
	}
	if c.err != nil && c.took == 0 {
		return Spent{}, c.err
	}
	return spent, c.err
}

func domain() eip712.Domain { return eip712.Domain{ChainID: 1, Contract: common.Address{1}} }

// claimOf is app n's claim over a total.
func claimOf(n int, total uint64) (app string, c Claim) {
	app = "app" + strconv.Itoa(n)
	return app, Claim{Terms: channel.Terms{App: [32]byte{byte(n)}, Token: common.Address{4}, Cap: tariff.Units(1)}, Total: tariff.Units(total)}
}

func newTeller(t *testing.T) (*Invoicer, *counter) {
	t.Helper()
	cfg, _ := baseline()
	cfg.Namespace, cfg.Domain = "sys", domain()
	c := &counter{}
	i, err := New(cfg, c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	i.now = func() time.Time { return time.Unix(1_000_000, 0) }
	return i, c
}

func (i *Invoicer) put(n int, total uint64, due bool) {
	app, c := claimOf(n, total)
	i.till.put(app+"/0x1", c, due)
}

func TestClaimsGoTogether(t *testing.T) {
	for name, c := range map[string]struct {
		fill func(*Invoicer)
		want [][]string
	}{
		"nothing": {func(*Invoicer) {}, nil},
		"one":     {func(i *Invoicer) { i.put(1, 10, true) }, [][]string{{"10"}}},
		"those that are not due go with one that is": {func(i *Invoicer) { i.put(1, 10, false); i.put(2, 20, true) }, [][]string{{"20", "10"}}},
		"and not alone":                         {func(i *Invoicer) { i.put(1, 10, false); i.put(2, 20, false) }, nil},
		"the newest of an app":                  {func(i *Invoicer) { i.put(1, 10, true); i.put(1, 11, true) }, [][]string{{"11"}}},
		"an app that was due and is so no more": {func(i *Invoicer) { i.put(1, 10, true); i.put(1, 11, false) }, nil},
		"an app that is gone":                   {func(i *Invoicer) { i.put(1, 10, true); i.forget("app1") }, nil},
		"as many as there is room for, the due first": {func(i *Invoicer) {
			for n := range 5 {
				i.put(n, uint64(n), n > 0)
			}
		}, [][]string{{"1", "2", "3"}, {"4", "0"}}},
	} {
		t.Run(name, func(t *testing.T) {
			i, chain := newTeller(t)
			c.fill(i)
			i.flush(t.Context())
			i.flush(t.Context())
			if diff := cmp.Diff(c.want, chain.batches); diff != "" {
				t.Errorf("batches (-want +got):\n%s", diff)
			}
		})
	}
}

// A claim that is on its way is not sent again, and one whose fate is not known is put in again at the next look.
func TestAClaimUnderWayIsNotSentTwice(t *testing.T) {
	i, chain := newTeller(t)
	i.put(1, 10, true)
	chain.during = func() {
		chain.during = nil
		i.put(1, 12, true)
	}
	i.flush(t.Context())
	if diff := cmp.Diff([][]string{{"10"}}, chain.batches); diff != "" {
		t.Errorf("batches (-want +got):\n%s", diff)
	}
	if i.lastClaim("app1/0x1").IsZero() {
		t.Error("it does not count as claimed")
	}

	chain.err = errors.New("nobody knows")
	i.put(2, 20, true)
	i.flush(t.Context())
	if !i.lastClaim("app2/0x1").IsZero() {
		t.Error("it counts as claimed, and nobody knows")
	}
	chain.err = nil
	i.put(2, 21, true)
	i.flush(t.Context())
	if diff := cmp.Diff([][]string{{"10"}, {"20"}, {"21"}}, chain.batches); diff != "" {
		t.Errorf("batches (-want +got):\n%s", diff)
	}
}

// A batch is several transactions when an app was opened with an older payout. What one of them took is not sent again because another failed.
func TestWhatABatchTookBeforeItFailedCounts(t *testing.T) {
	i, chain := newTeller(t)
	chain.err, chain.took = errors.New("the gas account is empty"), 1
	i.put(1, 10, true)
	i.put(2, 20, true)
	i.flush(t.Context())
	if i.lastClaim("app1/0x1").IsZero() {
		t.Error("the one that took effect does not count as claimed")
	}
	if !i.lastClaim("app2/0x1").IsZero() {
		t.Error("the one that failed counts as claimed")
	}
}

func TestWhatWasCollectedAndWhatItCost(t *testing.T) {
	i, _ := newTeller(t)
	i.put(1, 10, true)
	i.put(2, 32, true)
	i.flush(t.Context())
	_, s := baseline()
	s.terms.Token, s.owed = common.Address{4}, tariff.Units(77)
	s.deepen()
	now := channels{sights: []sight{s}}
	i.count.books.note("app1", now, 0)
	now.sights[0].seen = nil // what was seen stays
	i.count.books.note("app1", now, 0)
	i.count.books.note("app2", now, 0)
	i.forget("app2")
	r := httptest.NewRecorder()
	i.Metrics().ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	token := common.Address{4}.Hex()
	for _, want := range []string{
		`apocryph_invoicer_collected_base_units_total{token="` + token + `"} 42`,
		`apocryph_invoicer_gas_used_total{kind="claim"} 40000`,
		`apocryph_invoicer_gas_cost_wei_total{kind="claim"} 120000`,
		`apocryph_invoicer_transactions_total{kind="claim"} 1`,
		`apocryph_invoicer_base_units{kind="owed",token="` + token + `"} 77`,
		`apocryph_invoicer_base_units{kind="deposited",token="` + token + `"} 10000`,
		`apocryph_invoicer_apps{funded=""} 1`,
	} {
		if !strings.Contains(string(text), want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}
