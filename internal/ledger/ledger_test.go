// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"errors"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/apocryph/apocryph/internal/account"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/ledger"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

func payer(n byte, prices tariff.Tariff) ledger.Payer {
	return ledger.Payer{App: [32]byte{1}, Channel: channel.ID{n}, Tariff: tariff.ID{n}, Prices: prices}
}

func cpu(seconds int64) usage.Totals { return usage.Rate{MilliCPU: 1000}.For(seconds) }

var hourly = tariff.Tariff{CPUHour: tariff.Units(3600)} // one unit a second

var plenty = tariff.Units(1 << 62)

func closed(n byte, claimed uint64) map[channel.ID]ledger.Closing {
	return map[channel.ID]ledger.Closing{{n}: {Claimed: tariff.Units(claimed), Most: plenty}}
}

func TestWhatWasNeverWithinTheCapIsNoArrears(t *testing.T) {
	payers := []ledger.Payer{payer(1, hourly), payer(2, hourly)}
	l := ledger.Ledger{}.Follow(payers, 1, ledger.Moment{Used: cpu(1_000_000)})
	l = l.Settle(payers[1], map[channel.ID]ledger.Closing{{1}: {Claimed: tariff.Units(4), Most: tariff.Units(10)}})
	if got := l.TakenOver(payers[1].Channel); got.String() != "6" {
		t.Errorf("arrears of %s", got)
	}
}

func TestEachChannelPaysForItsPart(t *testing.T) {
	double := tariff.Tariff{CPUHour: tariff.Units(7200)}
	payers := []ledger.Payer{payer(1, hourly), payer(2, double), payer(3, hourly)}
	l, err := ledger.New(nil, payers)
	if err != nil {
		t.Fatal(err)
	}
	l = l.Follow(payers, 1, ledger.Moment{Used: cpu(10), To: time.Unix(10, 0), Sequence: 5})
	if got := l.Lines()[0].Account; !got.Final || got.Total.String() != "10" || got.AccruedTo != time.Unix(10, 0) || got.Sequence != 5 {
		t.Errorf("the first channel's account is %+v", got)
	}
	if got := l.Now(payers[1], cpu(25), time.Time{}); got.Total.String() != "30" || got.Final {
		t.Errorf("the second channel owes %s", got.Total)
	}
	if got := l.Now(payers[1], cpu(5), time.Time{}); !got.Total.IsZero() {
		t.Errorf("usage that shrank is %s on the second channel", got.Total)
	}
	l = l.Settle(payers[1], closed(1, 7))
	if got := l.Now(payers[1], cpu(25), time.Time{}); got.Arrears.String() != "3" || got.Total.String() != "33" {
		t.Errorf("with arrears of 3 the second channel owes %+v", got)
	}
	l = l.Settle(payers[1], closed(1, 0)).Follow(payers, 2, ledger.Moment{Used: cpu(30)})
	if got := l.Lines()[1].Account; got.Total.String() != "43" {
		t.Errorf("arrears that were fixed came to a total of %s", got.Total)
	}
	if got := l.Now(payers[2], cpu(31), time.Time{}); got.Total.String() != "1" {
		t.Errorf("the third channel owes %s", got.Total)
	}
}

// The second tariff has prices that the first one has not: what was used under the first stays free.
func TestWhatWasFreeOnOneChannelIsNotDueOnTheNext(t *testing.T) {
	dear := tariff.Tariff{CPUHour: tariff.Units(3600), EgressGiB: tariff.Units(10), UnitHour: map[string]tariff.Amount{"x.example/gpu": tariff.Units(3600)}}
	payers := []ledger.Payer{payer(1, hourly), payer(2, dear)}
	used := usage.Rate{MilliCPU: 1000, Extended: map[string]int64{"x.example/gpu": 1}}.For(10)
	used.Egress = usage.Bytes(5 << 30)
	l := ledger.Ledger{}.Follow(payers, 1, ledger.Moment{Used: used})
	if got := l.Now(payers[1], used, time.Time{}); !got.Total.IsZero() {
		t.Errorf("%s are due for what was used before", got.Total)
	}
	used.Egress = usage.Bytes(6 << 30)
	if got := l.Now(payers[1], used.Add(usage.Rate{Extended: map[string]int64{"x.example/gpu": 1}}.For(3)), time.Time{}); got.Total.String() != "13" {
		t.Errorf("%s are due for a GiB and three seconds of a GPU", got.Total)
	}
}

func TestAChannelThatIsSkippedOwesNothing(t *testing.T) {
	payers := []ledger.Payer{payer(1, hourly), payer(2, hourly), payer(3, hourly)}
	l := ledger.Ledger{}.Follow(payers, 2, ledger.Moment{Used: cpu(10)})
	if got := l.Lines(); len(got) != 2 || got[0].Account.Total.String() != "10" || !got[1].Account.Total.IsZero() {
		t.Errorf("lines %+v", got)
	}
	if l.Settled() || !l.Settle(payers[2], map[channel.ID]ledger.Closing{{1}: {Claimed: tariff.Units(10)}, {2}: {}}).Settled() {
		t.Error("settled before every channel is closed, or not after")
	}
}

func TestLinesOfOtherChannelsAreRefused(t *testing.T) {
	payers := []ledger.Payer{payer(1, hourly), payer(2, hourly), payer(3, hourly)}
	good := func() []ledger.Line {
		l := ledger.Ledger{}.Follow(payers, 2, ledger.Moment{Used: cpu(10)})
		return l.Settle(payers[2], closed(1, 4)).Lines()
	}
	if _, err := ledger.New(good(), payers); err != nil {
		t.Fatalf("what was made is refused: %v", err)
	}
	for what, edit := range map[string]func([]ledger.Line) []ledger.Line{
		"another channel":              func(l []ledger.Line) []ledger.Line { l[0].Account.Channel[5]++; return l },
		"another app":                  func(l []ledger.Line) []ledger.Line { l[0].Account.App[5]++; return l },
		"another tariff":               func(l []ledger.Line) []ledger.Line { l[0].Account.Tariff[5]++; return l },
		"an account that is not final": func(l []ledger.Line) []ledger.Line { l[0].Account.Final = false; return l },
		"another total":                func(l []ledger.Line) []ledger.Line { l[0].Account.Total = tariff.Units(3); return l },
		"channels out of order":        func(l []ledger.Line) []ledger.Line { return []ledger.Line{l[1], l[0]} },
		"the first channel left out":   func(l []ledger.Line) []ledger.Line { return l[1:] },
		"the present channel too": func(l []ledger.Line) []ledger.Line {
			return append(l, ledger.Line{Account: account.Account{App: [32]byte{1}, Channel: channel.ID{3}, Tariff: tariff.ID{3}, Final: true}})
		},
		"arrears of another channel": func(l []ledger.Line) []ledger.Line { l[0].Arrears.Channel[5]++; return l },
		"arrears of another app":     func(l []ledger.Line) []ledger.Line { l[0].Arrears.App[5]++; return l },
		"arrears on itself":          func(l []ledger.Line) []ledger.Line { l[0].Arrears.On = channel.ID{1}; return l },
		"arrears on a stranger":      func(l []ledger.Line) []ledger.Line { l[0].Arrears.On = channel.ID{9}; return l },
	} {
		if _, err := ledger.New(edit(good()), payers); !errors.Is(err, ledger.ErrLedger) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// life is an app with several channels, whose enclave crashes, is behind, and does everything twice.
type life struct {
	t      *testing.T
	rand   *rand.Rand
	payers []ledger.Payer
	terms  []channel.Terms
	chain  []channel.State
	now    int64
	used   usage.Totals
	// written is what survives a crash: the ledger's lines and the highest total signed on each channel.
	written []ledger.Line
	signed  []tariff.Amount
	ordered int
}

func (l *life) ledger() ledger.Ledger {
	got, err := ledger.New(l.written, l.payers)
	if err != nil {
		l.t.Fatal(err)
	}
	return got
}

// order opens a successor.
func (l *life) order() {
	if l.ordered == len(l.payers)-1 || l.rand.IntN(4) > 0 {
		return
	}
	l.ordered++
	l.chain[l.ordered] = channel.State{Deposited: tariff.Units(l.rand.Uint64N(4000)), SpentUntil: uint64(l.now)}
}

// reconcile does what the enclave does, of all that was ordered or, being behind, of what was before; a crash loses what it had not written.
func (l *life) reconcile(stale usage.Totals) {
	book := l.ledger().Follow(l.payers, l.rand.IntN(l.ordered+1), ledger.Moment{Used: stale, To: time.Unix(l.now, 0)})
	ends := map[channel.ID]ledger.Closing{}
	for i := range book.Len() {
		if l.chain[i].Status(time.Unix(l.now, 0)) == channel.Closed {
			ends[l.payers[i].Channel] = ledger.Closing{Claimed: l.chain[i].Claimed, Most: plenty}
		}
	}
	book = book.Settle(l.payers[book.Len()], ends)
	if l.rand.IntN(3) == 0 {
		return // crashed before it wrote, and so before any signature was out
	}
	l.written = book.Lines()
	for i, line := range book.Lines() {
		l.sign(i, line.Account.Total)
	}
	l.sign(book.Len(), book.Now(l.payers[book.Len()], stale, time.Time{}).Total)
}

func (l *life) sign(i int, total tariff.Amount) {
	if total.Cmp(l.signed[i]) > 0 {
		l.signed[i] = total
	}
}

// claim submits what is signed, and closes a channel that has a release.
func (l *life) claim(i int, release bool) {
	now := time.Unix(l.now, 0)
	if s := l.chain[i].Status(now); s != channel.Open {
		return
	}
	l.chain[i], _ = channel.Spend(l.chain[i], l.terms[i], l.signed[i], now)
	if release {
		l.chain[i].NoticeEnd = 1<<40 - 1
	}
}

func (l *life) step() {
	l.now += l.rand.Int64N(100)
	before := l.used
	l.used = l.used.Add(usage.Rate{MilliCPU: l.rand.Int64N(2000), MemoryBytes: l.rand.Int64N(1 << 31), StorageBytes: l.rand.Int64N(1 << 30)}.For(l.rand.Int64N(50)))
	l.order()
	stale := l.used
	if l.rand.IntN(2) == 0 {
		stale = before
	}
	for range l.rand.IntN(3) {
		l.reconcile(stale)
	}
	i := l.rand.IntN(l.ordered + 1)
	l.claim(i, i < len(l.written) && l.rand.IntN(2) == 0)
}

// finish follows all channels, closes them, and has the last one pay the rest.
func (l *life) finish() {
	for len(l.written) < l.ordered || !l.ledger().Settled() || l.ledger().Len() == 0 && l.ordered > 0 {
		book := l.ledger().Follow(l.payers, l.ordered, ledger.Moment{Used: l.used, To: time.Unix(l.now, 0)})
		ends := map[channel.ID]ledger.Closing{}
		for i, line := range book.Lines() {
			l.sign(i, line.Account.Total)
			l.claim(i, true)
			ends[l.payers[i].Channel] = ledger.Closing{Claimed: l.chain[i].Claimed, Most: plenty}
		}
		l.written = book.Settle(l.payers[l.ordered], ends).Lines()
	}
	l.sign(l.ordered, l.ledger().Now(l.payers[l.ordered], l.used, time.Time{}).Total)
	// Somebody pays all that is owed, so that nothing but the ledger decides what is claimed.
	l.chain[l.ordered].Deposited = l.chain[l.ordered].Deposited.Add(tariff.Units(1 << 40))
	l.now += 1 << 30
	l.claim(l.ordered, true)
}

func newLife(t *testing.T, seed uint64) *life {
	r := rand.New(rand.NewPCG(seed, 7))
	l := &life{t: t, rand: r, now: 1_000_000}
	price := func() tariff.Amount { return tariff.Units(r.Uint64N(100_000)) }
	for i := range 1 + r.IntN(5) {
		l.payers = append(l.payers, payer(byte(i+1), tariff.Tariff{CPUHour: price(), MemoryGiBHour: price(), StorageGiBHour: price()}))
		l.terms = append(l.terms, channel.Terms{Cap: tariff.Units(1 + r.Uint64N(200)), Window: 1 << 31})
	}
	l.chain, l.signed = make([]channel.State, len(l.payers)), make([]tariff.Amount, len(l.payers))
	l.chain[0] = channel.State{Deposited: tariff.Units(r.Uint64N(4000)), SpentUntil: uint64(l.now)}
	return l
}

// Whatever crashes, repeats, comes late, runs out of money or is closed by its cap: each unit of usage is on one channel, and what is claimed
// on all of them is usage × tariff of each part, to the base unit.
func TestClaimsAreExactWhateverHappens(t *testing.T) {
	lives := 3000
	if testing.Short() {
		lives = 500
	}
	var switches, arrears int
	for seed := range uint64(lives) {
		l := newLife(t, seed)
		for range 40 {
			l.step()
		}
		l.finish()
		var claimed, owed tariff.Amount
		for _, s := range l.chain {
			claimed = claimed.Add(s.Claimed)
		}
		book := l.ledger()
		switches += book.Len()
		var parts usage.Totals
		for i, line := range book.Lines() {
			owed, parts = owed.Add(naive(l.payers[i].Prices, line.Account.Usage)), parts.Add(line.Account.Usage)
			if !line.Arrears.Amount.IsZero() {
				arrears++
			}
		}
		last := book.Now(l.payers[l.ordered], l.used, time.Time{})
		owed, parts = owed.Add(naive(l.payers[l.ordered].Prices, last.Usage)), parts.Add(last.Usage)
		if !claimed.Equal(owed) {
			t.Fatalf("life %d: %s claimed on %d channels, and the parts cost %s", seed, claimed, l.ordered+1, owed)
		}
		if !parts.CPU.Equal(l.used.CPU) || !parts.Memory.Equal(l.used.Memory) || !parts.Storage.Equal(l.used.Storage) {
			t.Fatalf("life %d: the parts are %+v, and %+v was used", seed, parts, l.used)
		}
	}
	if switches < lives || arrears < lives/2 {
		t.Errorf("only %d switches and %d with arrears in %d lives", switches, arrears, lives)
	}
}

// naive is the published formula, written down once more.
func naive(p tariff.Tariff, u usage.Totals) tariff.Amount {
	gib := big.NewRat(1<<30, 1)
	sum := new(big.Rat)
	add := func(q usage.Quantity, price tariff.Amount, per *big.Rat) {
		x := new(big.Rat).SetInt(new(big.Int).Mul(q.Big(), price.Big()))
		sum.Add(sum, x.Quo(x, new(big.Rat).Mul(per, big.NewRat(3600, 1))))
	}
	add(u.CPU, p.CPUHour, big.NewRat(1000, 1))
	add(u.Memory, p.MemoryGiBHour, gib)
	add(u.Storage, p.StorageGiBHour, gib)
	a, err := tariff.NewAmount(new(big.Int).Quo(sum.Num(), sum.Denom()))
	if err != nil {
		panic(err)
	}
	return a
}
