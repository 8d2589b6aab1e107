// SPDX-License-Identifier: Apache-2.0

package evm_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/evm/evmtest"
	"github.com/apocryph/apocryph/internal/gen/channels"
	"github.com/apocryph/apocryph/internal/tariff"
)

// TestEveryIntentionOnce lets a publisher deposit, and a provider claim and close, through endpoints that fail in every way the proxy
// knows, on a chain that takes back up to two blocks, with processes that die anywhere. One endpoint of a run lies besides. When the
// faults end and every command was run again until its outcome was known, the chain has each deposit that was said to be made once, none
// that was said not to be, and nobody ever saw a channel finally closed that was not.
//
// APOCRYPH_CHAIN_RUNS sets how many seeds, APOCRYPH_CHAIN_SEED runs one.
func TestEveryIntentionOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("eight storms")
	}
	total := counts{}
	defer func() { t.Logf("%v", total) }()
	if seed := setting(t, "APOCRYPH_CHAIN_SEED", 0); seed != 0 {
		runSeed(t, uint64(seed), total)
		return
	}
	for seed := range setting(t, "APOCRYPH_CHAIN_RUNS", 8) {
		if !t.Run(fmt.Sprintf("seed %d", seed+1), func(t *testing.T) { runSeed(t, uint64(seed+1), total) }) {
			return
		}
	}
}

func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// counts are what happened, to see that a run is worth something.
type counts map[string]int

// storm is a scene with weather.
type storm struct {
	*scene
	rng  *rand.Rand
	seen counts
	calm bool
	liar *evmtest.Proxy
	path string
	kill func() // ends the process that runs, if one may be killed
	fuse int    // waits until then; 0 for never
}

// intention is something that the publisher wants once.
type intention struct {
	terms  channel.Terms
	amount uint64
	done   bool // said to be made
	failed bool // said not to be, for good
}

func (i *intention) open() bool { return !i.done && !i.failed }

const (
	steps     = 25
	takesBack = 2 // blocks at most
)

func runSeed(t *testing.T, seed uint64, total counts) {
	rng := rand.New(rand.NewPCG(seed, 8))
	w := &storm{rng: rng, seen: total, calm: true, path: filepath.Join(t.TempDir(), "journal")}
	w.scene = newScene(t, 2+rng.IntN(2), func(c *evm.Config) {
		c.Confirmations, c.FinalAfter = takesBack, takesBack+2
		c.MineTimeout, c.Timeout = time.Minute, 2*time.Second
	})
	w.liar = w.nodes[rng.IntN(len(w.nodes))]
	second := w.world.terms(2)
	w.then = func(int) { w.chain.Mine(1) }
	w.open(t, second)
	w.approve(t)
	w.chain.Mine(5)
	w.calm = false
	w.then = func(int) { w.weather(t) }

	var wanted []*intention
	for range steps {
		w.waits = 0
		switch w.rng.IntN(8) {
		case 0, 1, 2, 3:
			i := &intention{terms: pick(rng, w.terms, second), amount: 1 + uint64(len(wanted))} // each its own, to tell them apart
			if old := lastOpen(wanted); old != nil && rng.IntN(4) > 0 {
				i = old // people run again what did not work
			} else {
				wanted = append(wanted, i)
			}
			w.run(t, i, wanted)
		case 4:
			w.claim(t, rng.Uint64N(500))
		case 5:
			if rng.IntN(4) == 0 {
				w.close(t, second)
			}
		case 6:
			w.look(t, second)
		case 7:
			w.weather(t)
		}
	}
	w.clear()
	for _, i := range wanted {
		for try := 0; i.open(); try++ {
			if w.waits = 0; try == 10 {
				t.Fatalf("seed %d: a deposit of %d has no end", seed, i.amount)
			}
			w.run(t, i, wanted)
		}
	}
	w.judge(t, seed, wanted)
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

func lastOpen(all []*intention) *intention {
	for _, i := range slices.Backward(all) {
		if i.open() {
			return i
		}
	}
	return nil
}

// run is a process that makes a deposit and tells its user, unless it dies.
func (w *storm) run(t *testing.T, i *intention, wanted []*intention) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m := &mortal{Journal: evm.NewFileJournal(w.path), kill: cancel}
	if !w.calm && w.rng.IntN(3) == 0 {
		if m.write = 1 + w.rng.IntN(4); w.rng.IntN(2) == 0 {
			m.write, w.fuse, w.kill = 0, 1+w.rng.IntN(6), m.die
		}
		m.after = w.rng.IntN(2) == 0
	}
	defer func() { w.kill, w.fuse = nil, 0 }()
	client, err := evm.Dial(ctx, w.urls(), w.cfg)
	if err != nil {
		w.seen["no endpoint"]++
		return
	}
	defer client.Close()
	wallet := evm.NewWalletWith(client, w.keys[0], evm.Sending{Journal: m, Settled: func(c evm.Call, _ evm.Receipt, err error) {
		for _, old := range wanted {
			if old.open() && string(c.Data) == string(depositData(old)) {
				old.done, old.failed = err == nil, err != nil
				w.seen["settled before another"]++
				return
			}
		}
	}})
	r, err := wallet.Deposit(ctx, i.terms, tariff.Units(i.amount))
	switch {
	case m.dead:
		w.seen["killed"]++
	case err == nil:
		i.done = true
		w.seen["deposited"]++
		if r.Resumed {
			w.seen["resumed"]++
		}
		if err := wallet.Acknowledge(); err != nil && !m.dead {
			t.Error(err)
		}
	case errors.Is(err, evm.ErrNotMined), errors.Is(err, evm.ErrUnavailable), errors.Is(err, evm.ErrDisagree), errors.Is(err, errEndless):
		w.seen["not known"]++
	default:
		i.failed = true
		w.seen["refused: "+name(err)]++
	}
}

func name(err error) string {
	for _, e := range []error{evm.ErrReverted, evm.ErrClosed, evm.ErrReplaced, evm.ErrRefused, evm.ErrInsufficientFunds, evm.ErrInsufficientGas} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	return err.Error()
}

func depositData(i *intention) []byte {
	t := i.terms
	return channels.NewChannels().PackDeposit(channels.Terms{
		Payment: channels.Payment{Token: t.Token, Payout: t.Payout, Payees: []channels.Payee{}, Signer: t.Signer},
		Cap:     t.Cap.Big(), Window: number(t.Window),
		Agreement: channels.Agreement{Publisher: t.Publisher, App: t.App, Tariff: t.Tariff, Quote: t.Quote, Notice: number(t.Notice), Salt: t.Salt},
	}, tariff.Units(i.amount).Big())
}

func (w *storm) urls() []string {
	var out []string
	for _, n := range w.nodes {
		out = append(out, n.URL)
	}
	return out
}

// claim is the provider's: whatever becomes of it, it may be done again.
func (w *storm) claim(t *testing.T, total uint64) {
	client, err := evm.Dial(t.Context(), w.urls(), w.cfg)
	if err != nil {
		return
	}
	defer client.Close()
	wallet := evm.NewWalletWith(client, w.keys[1], evm.Sending{Exclusive: true})
	if _, err := wallet.Claim(t.Context(), w.voucher(t, w.terms, total)); err == nil {
		w.seen["claimed"]++
	}
}

func (w *storm) close(t *testing.T, terms channel.Terms) {
	client, err := evm.Dial(t.Context(), w.urls(), w.cfg)
	if err != nil {
		return
	}
	defer client.Close()
	if _, err := evm.NewWalletWith(client, w.keys[1], evm.Sending{Exclusive: true}).Close(t.Context(), terms); err == nil {
		w.seen["closed"]++
	}
}

// look checks that what is said to be final is true.
func (w *storm) look(t *testing.T, terms channel.Terms) {
	t.Helper()
	client, err := evm.Dial(t.Context(), w.urls(), w.cfg)
	if err != nil {
		return
	}
	defer client.Close()
	for _, terms := range []channel.Terms{w.terms, terms} {
		v, err := client.Look(t.Context(), terms.ID(client.Domain()))
		if v.Latest.Status() == channel.Closed {
			w.seen["seems closed"]++
		}
		if err != nil {
			w.seen["doubt"]++
		}
		if v.Final == nil || v.Final.Status() != channel.Closed {
			continue
		}
		w.seen["finally closed"]++
		truth, err := w.publisherAt(t).State(t.Context(), terms.ID(client.Domain()))
		if err != nil || truth.Status() != channel.Closed {
			t.Errorf("finally closed, and it is %s, %v", truth.Status(), err)
		}
	}
}

// judge compares what was said with the chain.
func (w *storm) judge(t *testing.T, seed uint64, wanted []*intention) {
	t.Helper()
	w.chain.Mine(5)
	said, made := map[string]int{}, map[string]int{}
	for _, i := range wanted {
		if i.done {
			said[fmt.Sprintf("%x %d", i.terms.Salt[0], i.amount)]++
		}
	}
	honest := w.publisherAt(t)
	for _, terms := range []channel.Terms{w.terms, w.world.terms(2)} {
		events, err := honest.Events(t.Context(), terms.ID(honest.Domain()), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Kind == evm.Deposited {
				made[fmt.Sprintf("%x %s", terms.Salt[0], e.Amount)]++
			}
		}
	}
	if !maps.Equal(said, made) {
		t.Errorf("seed %d: said %v, made %v", seed, said, made)
	}
	w.seen["intentions"] += len(wanted)
}

// weather changes something, mostly for the worse.
func (w *storm) weather(t *testing.T) {
	if w.fuse > 0 {
		if w.fuse--; w.fuse == 0 && w.kill != nil {
			w.kill()
		}
	}
	if w.calm {
		w.chain.Mine(1)
		return
	}
	node := pick(w.rng, w.nodes...)
	switch w.rng.IntN(14) {
	case 0, 1, 2, 3, 4:
		w.chain.Mine(1 + w.rng.IntN(2))
	case 5, 6:
		w.clear()
		w.calm = false
	case 7:
		w.seen["dropped"]++
		w.chain.Drop()
	case 8:
		w.seen["taken back"]++
		depth := 1 + w.rng.IntN(takesBack)
		w.chain.Reorg(t, depth, depth+w.rng.IntN(2), w.rng.IntN(2) == 0)
		w.chain.Mine(takesBack) // a block that was deep enough stays
	case 9:
		w.seen["behind"]++
		node.Lag(1 + w.rng.Uint64N(8))
	case 10, 11:
		w.seen["faults"]++
		node.Inject(evmtest.Fault{Method: w.method(), Times: 1 + w.rng.IntN(4), Do: w.fault()})
	case 12:
		w.seen["swallowed"]++
		node.Inject(evmtest.Fault{Method: sendRaw, Times: 1 + w.rng.IntN(3), Do: pick(w.rng,
			evmtest.Say(common.Hash{1}), evmtest.Lose(), evmtest.FailAfter(-32603, "internal error"), evmtest.FailAfter(-32000, "nonce too low"))})
	case 13:
		w.seen["lies"]++
		w.lie()
	}
}

func (w *storm) clear() {
	for _, n := range w.nodes {
		n.Heal()
	}
	w.calm = true
}

func (w *storm) method() string {
	return pick(w.rng, "", "eth_call", "eth_getBlockByNumber", receipt, count, sendRaw, "eth_estimateGas", "eth_getBalance", "eth_maxPriorityFeePerGas", "eth_chainId")
}

func (w *storm) fault() evmtest.Behaviour {
	return pick(w.rng, evmtest.HTTP(500), evmtest.HTTP(429), evmtest.Fail(-32603, "internal error"), evmtest.Fail(-32000, "header not found"),
		evmtest.Garbage(), evmtest.Truncate(), evmtest.Break())
}

// lie makes the one endpoint lie about something for some time.
func (w *storm) lie() {
	times := 1 + w.rng.IntN(6)
	switch w.rng.IntN(8) {
	case 7:
		w.liar.Inject(evmtest.Fault{Method: sendRaw, Times: times, Do: evmtest.FailAfter(-32000, "insufficient funds for gas * price + value")})
	case 0:
		w.liar.Inject(evmtest.Fault{Method: receipt, Times: times, Do: evmtest.With("status", "0x0")})
	case 1:
		w.liar.Inject(evmtest.Fault{Method: receipt, Times: times, Do: evmtest.Say(nil)})
	case 2:
		w.liar.Inject(evmtest.Fault{Method: count, Times: times, Do: evmtest.Say(hexutil.Uint64(w.rng.Uint64N(40)))})
	case 3:
		w.liar.Inject(evmtest.Fault{Method: "eth_call", If: aboutState, Times: times, Do: evmtest.Say(closedState)})
	case 4:
		w.liar.Inject(evmtest.Fault{Method: receipt, Times: times, Do: evmtest.With("status", "0x1")})
	case 5:
		w.liar.Inject(evmtest.Fault{Method: "eth_estimateGas", Times: times, Do: evmtest.Revert("0x")})
	case 6:
		w.liar.Inject(evmtest.Fault{Method: "eth_getBlockByNumber", Times: times, Do: evmtest.With("number", hexutil.Uint64(w.chain.Head().Number.Uint64()+w.rng.Uint64N(3)))})
	}
}

func number(n uint64) *big.Int { return new(big.Int).SetUint64(n) }
