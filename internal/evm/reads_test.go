// SPDX-License-Identifier: Apache-2.0

package evm_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/evm/evmtest"
	"github.com/apocryph/apocryph/internal/gen/channels"
	"github.com/apocryph/apocryph/internal/gen/token"
	"github.com/apocryph/apocryph/internal/tariff"
)

// closedState is what a contract answers about a closed channel: deposited 100,000, claimed 0, spent until 1, noticeEnd at its largest.
const closedState = "0x00000000000000000000000000000000000000000000000000000000000186a0" +
	"0000000000000000000000000000000000000000000000000000000000000000" +
	"0000000000000000000000000000000000000000000000000000000000000001" +
	"000000000000000000000000000000000000000000000000000000ffffffffff"

// aboutState picks the calls that read a channel.
func aboutState(r evmtest.Request) bool {
	var call struct{ Input, Data string }
	if len(r.Params) == 0 || json.Unmarshal(r.Params[0], &call) != nil {
		return false
	}
	const length = 2 + 2*(4+32)
	return len(call.Input) == length || len(call.Data) == length
}

func lieClosed(p *evmtest.Proxy) {
	p.Inject(evmtest.Fault{Method: "eth_call", If: aboutState, Do: evmtest.Say(closedState)})
}

// What one endpoint does not do, the next one does; alone, it is an error and never a state.
func TestFailover(t *testing.T) {
	for name, do := range map[string]evmtest.Behaviour{
		"hangs":                      evmtest.Hang(),
		"says it has no such header": evmtest.Fail(-32000, "header not found"),
		"is limiting":                evmtest.Fail(-32005, "limit exceeded"),
		"has an internal error":      evmtest.Fail(-32603, "internal error"),
		"answers 503":                evmtest.HTTP(503),
		"answers 429":                evmtest.HTTP(429),
		"answers a page":             evmtest.Garbage(),
		"answers half":               evmtest.Truncate(),
		"hangs up":                   evmtest.Break(),
		"answers null":               evmtest.Say(nil),
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, 2)
			if name == "hangs" {
				s.cfg.Timeout = 3 * time.Second // what it costs; the others answer, however slow this machine is
			}
			both, alone := s.dial(t, s.nodes...), s.dial(t, s.nodes[0])
			s.nodes[0].Inject(evmtest.Fault{Do: do})
			v, err := both.State(t.Context(), s.id)
			if err != nil || v.Status() != channel.Open {
				t.Errorf("with another endpoint: %s, %v", v.Status(), err)
			}
			if v, err := alone.State(t.Context(), s.id); !errors.Is(err, evm.ErrUnavailable) {
				t.Errorf("alone: %s, %v", v.Status(), err)
			}
			if h := both.Endpoints(); h[0].Err == nil || h[1].Err != nil {
				t.Errorf("health: %+v", h)
			}
			s.nodes[0].Heal()
			if v, err := alone.State(t.Context(), s.id); err != nil || v.Status() != channel.Open {
				t.Errorf("healed: %s, %v", v.Status(), err)
			}
		})
	}
}

func TestAnEndpointThatIsBehind(t *testing.T) {
	s := newScene(t, 2)
	both, alone := s.dial(t, s.nodes...), s.dial(t, s.nodes[0])
	s.chain.Mine(30)
	if _, err := alone.State(t.Context(), s.id); err != nil {
		t.Fatal(err)
	}
	s.nodes[0].Lag(20)
	if v, err := both.State(t.Context(), s.id); err != nil || v.Status() != channel.Open {
		t.Errorf("with another endpoint: %s, %v", v.Status(), err)
	}
	if v, err := alone.State(t.Context(), s.id); !errors.Is(err, evm.ErrStale) || !errors.Is(err, evm.ErrUnavailable) {
		t.Errorf("alone: %s, %v", v.Status(), err)
	}
	if h := both.Endpoints()[0]; h.Behind != 20 {
		t.Errorf("health: %+v", h)
	}
}

// A read does not go back before what was read earlier, although an endpoint is only a block behind.
func TestReadsOnlyGoForward(t *testing.T) {
	s := newScene(t, 2)
	c := s.dial(t, s.nodes...)
	before, err := c.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.nodes[0].Lag(1)
	after, err := c.Head(t.Context())
	if err != nil || after.Number < before.Number {
		t.Errorf("block %d after %d, %v", after.Number, before.Number, err)
	}
	s.nodes[1].Lag(1)
	s.then = func(n int) { // nobody has it at first
		if n == 2 {
			s.nodes[1].Lag(0)
		}
	}
	s.waits = 0
	if again, err := c.Head(t.Context()); err != nil || again.Number < before.Number || s.waits == 0 {
		t.Errorf("block %d after %d and %d waits, %v", again.Number, before.Number, s.waits, err)
	}
}

// An endpoint of another chain or with another contract stops the start, or is never used if it comes later.
func TestEndpointsAreChecked(t *testing.T) {
	foreign := func(p *evmtest.Proxy) { p.Inject(evmtest.Fault{Method: "eth_chainId", Do: evmtest.Say("0x1")}) }
	empty := func(p *evmtest.Proxy) { p.Inject(evmtest.Fault{Method: "eth_getCode", Do: evmtest.Say("0x")}) }
	for name, test := range map[string]struct {
		wrong func(*evmtest.Proxy)
		want  error
	}{"another chain": {foreign, evm.ErrWrongChain}, "no contract": {empty, evm.ErrNoContract}} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, 2)
			urls := []string{s.nodes[0].URL, s.nodes[1].URL}
			test.wrong(s.nodes[0])
			if _, err := evm.Dial(t.Context(), urls, s.cfg); !errors.Is(err, test.want) {
				t.Errorf("at the start: %v", err)
			}
			s.nodes[0].Heal()
			s.nodes[0].Inject(evmtest.Fault{Do: evmtest.Break()})
			c := s.dial(t, s.nodes...) // one is away
			s.nodes[0].Heal()
			test.wrong(s.nodes[0])
			lieClosed(s.nodes[0])
			s.nodes[1].Inject(evmtest.Fault{Method: "eth_getBlockByNumber", Do: evmtest.Break()})
			if v, err := c.State(t.Context(), s.id); err == nil {
				t.Errorf("it was used: %s", v.Status())
			}
			s.nodes[1].Heal()
			if v, err := c.State(t.Context(), s.id); err != nil || v.Status() != channel.Open {
				t.Errorf("without it: %s, %v", v.Status(), err)
			}
		})
	}
}

// With any chain id, all endpoints have to be of the same.
func TestEndpointsAreOfOneChain(t *testing.T) {
	s := newScene(t, 2)
	s.cfg.ChainID, s.cfg.Channels = 0, [20]byte{}
	s.nodes[1].Inject(evmtest.Fault{Method: "eth_chainId", Do: evmtest.Say("0x1")})
	if _, err := evm.Dial(t.Context(), []string{s.nodes[0].URL, s.nodes[1].URL}, s.cfg); !errors.Is(err, evm.ErrWrongChain) {
		t.Errorf("Dial = %v", err)
	}
}

func TestGoodNewsIsConfirmed(t *testing.T) {
	s := newScene(t, 1, func(c *evm.Config) { c.Confirmations = 2 })
	careful := s.dial(t, s.nodes...)
	s.mineAlways()
	r, err := s.deposit(t, s.wallet(t, evm.Sending{}, s.nodes...), 5)
	if err != nil {
		t.Fatal(err)
	}
	if head := s.chain.Head().Number.Uint64(); head < r.Block+2 {
		t.Errorf("a receipt of block %d was good at %d", r.Block, head)
	}
	s.cfg.Confirmations = 0
	if _, err := s.deposit(t, s.wallet(t, evm.Sending{}, s.nodes...), 7); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"100005", "100005", "100012"} {
		v, err := careful.Look(t.Context(), s.id)
		if err != nil || v.Latest.Deposited.String() != "100012" || v.Confirmed.Deposited.String() != want || v.Final != nil {
			t.Errorf("newest %s, confirmed %s, want %s, final %v, %v", v.Latest.Deposited, v.Confirmed.Deposited, want, v.Final, err)
		}
		s.chain.Mine(1)
	}
}

// Closing is news at once and true when final.
func TestBadNewsIsFinal(t *testing.T) {
	s := newScene(t, 2, func(c *evm.Config) { c.FinalAfter = 0 })
	for _, n := range s.nodes {
		n.Final(3)
	}
	s.chain.Mine(3)
	c := s.dial(t, s.nodes...)
	s.mineAlways()
	if _, err := s.provider.Close(t.Context(), s.terms); err != nil {
		t.Fatal(err)
	}
	v, err := c.Look(t.Context(), s.id)
	if err != nil || v.Latest.Status() != channel.Closed || v.Final == nil || v.Final.Status() != channel.Open {
		t.Fatalf("at once: %+v, %v", v, err)
	}
	s.chain.Mine(3)
	v, err = c.Look(t.Context(), s.id)
	if err != nil || v.Final == nil || v.Final.Status() != channel.Closed {
		t.Errorf("when final: %+v, %v", v, err)
	}
	s.nodes[1].Lag(2) // an honest one that is late makes it older, not unknown
	v, err = c.Look(t.Context(), s.id)
	if err != nil || v.Final == nil {
		t.Errorf("with one behind: %+v, %v", v, err)
	}
}

// One of several endpoints can neither close a channel nor hide that it cannot be known.
func TestNobodyClosesAlone(t *testing.T) {
	type want struct {
		final channel.Status // None for no answer
		err   error
	}
	break1 := func(_ *testing.T, s *scene) { s.nodes[1].Inject(evmtest.Fault{Do: evmtest.Break()}) }
	for name, test := range map[string]struct {
		endpoints int
		wrong     func(*testing.T, *scene)
		want      want
	}{
		"one of two lies":             {2, func(_ *testing.T, s *scene) { lieClosed(s.nodes[0]) }, want{err: evm.ErrDisagree}},
		"one of three lies":           {3, func(_ *testing.T, s *scene) { lieClosed(s.nodes[0]) }, want{final: channel.Open}},
		"one lies, another is away":   {3, func(t *testing.T, s *scene) { lieClosed(s.nodes[0]); break1(t, s) }, want{err: evm.ErrDisagree}},
		"one lies, the other is away": {2, func(t *testing.T, s *scene) { lieClosed(s.nodes[0]); break1(t, s) }, want{err: evm.ErrNoQuorum}},
		"one follows another chain where it is closed": {2, func(t *testing.T, s *scene) {
			other := otherChain(t, s)
			s.nodes[0].Route(other)
		}, want{err: evm.ErrDisagree}},
		"two of three lie, which is beyond help": {3, func(_ *testing.T, s *scene) { lieClosed(s.nodes[0]); lieClosed(s.nodes[1]) }, want{final: channel.Closed}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, test.endpoints)
			c := s.dial(t, s.nodes...)
			test.wrong(t, s)
			v, err := c.Look(t.Context(), s.id)
			if v.Latest.Status() != channel.Closed {
				t.Fatalf("the lie did not arrive: %+v, %v", v, err)
			}
			if !errors.Is(err, test.want.err) {
				t.Errorf("Look = %v, want %v", err, test.want.err)
			}
			if (v.Final != nil) != (test.want.final != channel.None) || (v.Final != nil && v.Final.Status() != test.want.final) {
				t.Errorf("final %+v, want %s", v.Final, test.want.final)
			}
		})
	}
}

// An endpoint that calls too new a block final does not make it so.
func TestFinalityIsAgreed(t *testing.T) {
	s := newScene(t, 2, func(c *evm.Config) { c.FinalAfter = 0 })
	s.nodes[0].Final(0)
	s.nodes[1].Final(3)
	s.chain.Mine(3)
	c := s.dial(t, s.nodes...)
	s.mineAlways()
	if _, err := s.provider.Close(t.Context(), s.terms); err != nil {
		t.Fatal(err)
	}
	v, err := c.Look(t.Context(), s.id)
	if err != nil || v.Final == nil || v.Final.Status() != channel.Open {
		t.Errorf("final %+v, %v", v.Final, err)
	}
}

// otherChain has the same contracts at the same addresses and as many blocks, but there the channel is closed.
func otherChain(t *testing.T, s *scene) *evmtest.Chain {
	t.Helper()
	var funded []common.Address
	for _, k := range s.keys {
		funded = append(funded, crypto.PubkeyToAddress(k.PublicKey))
	}
	c := evmtest.NewChain(t, evmtest.Options{Funded: funded})
	c.Deploy(t, s.keys[1], token.TestTokenMetaData.Bin)
	c.Deploy(t, s.keys[1], channels.ChannelsMetaData.Bin)
	c.Do(t, s.keys[1], &s.token, token.NewTestToken().PackMint(funded[0], big.NewInt(1_000_000)), nil)
	there := s.dial(t, c.Endpoint(t))
	if _, err := evm.NewWallet(there, s.keys[0]).Open(t.Context(), s.terms, tariff.Units(100_000)); err != nil {
		t.Fatal(err)
	}
	if _, err := evm.NewWallet(there, s.keys[1]).Close(t.Context(), s.terms); err != nil {
		t.Fatal(err)
	}
	for c.Head().Number.Cmp(s.chain.Head().Number) < 0 {
		c.Mine(1)
	}
	return c
}

// A channel that one endpoint has exists; that there is none takes the word of most.
func TestExists(t *testing.T) {
	silent := func(p *evmtest.Proxy) { p.Inject(evmtest.Fault{Do: evmtest.Break()}) }
	blank := func(p *evmtest.Proxy) {
		p.Inject(evmtest.Fault{Method: "eth_call", If: aboutState, Do: evmtest.Say("0x" + strings.Repeat("0", 4*64))})
	}
	for name, test := range map[string]struct {
		wrong []func(*evmtest.Proxy) // by endpoint
		other bool                   // asks for a channel that is not there
		want  bool
		err   error
	}{
		"all have it":     {want: true},
		"only one has it": {wrong: []func(*evmtest.Proxy){blank, blank}, want: true},
		"the one that has it is the one to answer": {wrong: []func(*evmtest.Proxy){silent, silent}, want: true},
		"nobody has it":      {other: true},
		"most don't have it": {other: true, wrong: []func(*evmtest.Proxy){silent}},
		"too few answer":     {other: true, wrong: []func(*evmtest.Proxy){silent, silent}, err: evm.ErrNoQuorum},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, 3)
			c := s.dial(t, s.nodes...)
			for i, wrong := range test.wrong {
				wrong(s.nodes[i])
			}
			id := s.id
			if test.other {
				id[0]++
			}
			if got, err := c.Exists(t.Context(), id); got != test.want || !errors.Is(err, test.err) {
				t.Errorf("Exists = %t, %v", got, err)
			}
		})
	}
}
