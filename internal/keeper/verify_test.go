// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/tariff"
)

func lower(a common.Address) string { return "0x" + common.Bytes2Hex(a[:]) }

func channelOf(t testing.TB, k *Keeper, p *orderv1.Terms) channel.ID {
	t.Helper()
	terms, err := channel.FromProto(p)
	if err != nil {
		return channel.ID{0xbd}
	}
	return terms.ID(k.cfg.Domain)
}

func TestVerify(t *testing.T) {
	tests := map[string]struct {
		with func(*world)
		want string
	}{
		"as ordered":                      {func(*world) {}, ""},
		"as ordered, and stopped":         {func(w *world) { w.stop = true }, ""},
		"name of another app":             {func(w *world) { w.onApp = func(a *v1alpha1.App) { a.Name = delegation.AppID{}.String() } }, ReasonForeignApp},
		"salt of another app":             {func(w *world) { w.onApp = func(a *v1alpha1.App) { a.Spec.Salt = common.Hash{1}.Hex() } }, ReasonForeignApp},
		"salt that is none":               {func(w *world) { w.onApp = func(a *v1alpha1.App) { a.Spec.Salt = "0x" } }, ReasonForeignApp},
		"another provider":                {func(w *world) { w.onApp = func(a *v1alpha1.App) { a.Spec.Provider = lower(common.Address{8}) } }, ReasonForeignApp},
		"another publisher":               {func(w *world) { w.onApp = func(a *v1alpha1.App) { a.Spec.Publisher = lower(common.Address{8}) } }, ReasonForeignApp},
		"no statement":                    {func(w *world) { w.onApp = func(a *v1alpha1.App) { a.Spec.Statement = nil } }, ReasonStatementInvalid},
		"statement by another peer":       {func(w *world) { w.orderKey = otherPeer }, ReasonStatementInvalid},
		"statement about another app":     {func(w *world) { w.onOrder = func(s *delegation.Statement) { s.App[0] ^= 1 } }, ReasonStatementInvalid},
		"apply not delegated":             {func(w *world) { w.operations = []orderv1.Operation{orderv1.Operation_OPERATION_STOP} }, ReasonStatementInvalid},
		"a stop as the order":             {func(w *world) { w.onOrder = func(s *delegation.Statement) { s.Action = orderv1.Action_ACTION_STOP } }, ReasonStatementInvalid},
		"delegation too old when ordered": {func(w *world) { w.onOrder = func(s *delegation.Statement) { s.IssuedAt = s.IssuedAt.AddDate(0, 1, 0) } }, ReasonStatementInvalid},
		"manifest that was not ordered":   {func(w *world) { w.onApp = func(a *v1alpha1.App) { a.Spec.Manifest = otherManifest(w) } }, ReasonManifestInvalid},
		"manifest with a byte more":       {func(w *world) { w.onApp = func(a *v1alpha1.App) { a.Spec.Manifest = append(a.Spec.Manifest, 0) } }, ReasonManifestInvalid},
		"manifest hash beside it differs": {func(w *world) { w.onApp = func(a *v1alpha1.App) { a.Spec.ManifestHash = "00" } }, ReasonManifestInvalid},
		"manifest hash ordered differs":   {func(w *world) { w.onOrder = func(s *delegation.Statement) { s.ManifestHash[0] ^= 1 } }, ReasonManifestInvalid},
		"quote by another enclave":        {func(w *world) { w.quoteKey = otherWallet }, ReasonQuoteInvalid},
		"quote of another provider":       {func(w *world) { w.onQuote = func(q *orderv1.Quote) { q.Provider = make([]byte, 20) } }, ReasonQuoteInvalid},
		"quote for another chain":         {func(w *world) { w.onQuote = func(q *orderv1.Quote) { q.ChainId++ } }, ReasonQuoteInvalid},
		"quote for another contract":      {func(w *world) { w.onQuote = func(q *orderv1.Quote) { q.Contract = make([]byte, 20) } }, ReasonQuoteInvalid},
		"quote with a broken tariff":      {func(w *world) { w.onQuote = func(q *orderv1.Quote) { q.Tariff.Token = nil } }, ReasonQuoteInvalid},
		"no quote":                        {func(w *world) { w.onApp = func(a *v1alpha1.App) { a.Spec.Quote = nil } }, ReasonQuoteInvalid},
		"quote that expired since":        {func(w *world) { w.onQuote = func(q *orderv1.Quote) { q.ExpiresAt = 1 } }, ""},
		"terms with another payout":       {func(w *world) { w.onTerms = func(p *orderv1.Terms) { p.Payout = p.Publisher } }, ReasonTermsInvalid},
		"terms with a smaller cap":        {func(w *world) { w.onTerms = func(p *orderv1.Terms) { p.Cap = []byte{1} } }, ReasonTermsInvalid},
		"terms for another app":           {func(w *world) { w.onQuote = func(q *orderv1.Quote) { q.Terms.App = make([]byte, 32) } }, ReasonTermsInvalid},
		"terms for another publisher":     {func(w *world) { w.onQuote = func(q *orderv1.Quote) { q.Terms.Publisher = q.Provider } }, ReasonTermsInvalid},
		"terms of another tariff":         {func(w *world) { w.onQuote = func(q *orderv1.Quote) { q.Terms.Tariff = make([]byte, 32) } }, ReasonTermsInvalid},
		"terms in another token":          {func(w *world) { w.onQuote = func(q *orderv1.Quote) { q.Terms.Token = q.Provider } }, ReasonTermsInvalid},
		"terms that the contract refuses": {func(w *world) { w.onQuote = func(q *orderv1.Quote) { q.Terms.Window = 0 } }, ReasonTermsInvalid},
		"unreadable terms":                {func(w *world) { w.onApp = func(a *v1alpha1.App) { a.Spec.Terms = []byte{0xff} } }, ReasonTermsInvalid},
		"another channel ordered":         {func(w *world) { w.onOrder = func(s *delegation.Statement) { s.Channel[0] ^= 1 } }, ReasonForeignChannel},
		"another channel beside it":       {func(w *world) { w.onApp = func(a *v1alpha1.App) { a.Spec.Channel = common.Hash{1}.Hex() } }, ReasonForeignChannel},
		"a cap exactly large enough":      {func(w *world) { w.cap = 2 }, ""},
		"a cap one too small":             {func(w *world) { w.cap = 1 }, ReasonCapTooSmall},
		"a cap offered before the log that is kept was a part of it": {func(w *world) { w.logsCost(t); w.cap = 2050 }, ""},
		"a cap one below that": {func(w *world) { w.logsCost(t); w.cap = 2049 }, ReasonCapTooSmall},
		"a resource without a price": {func(w *world) {
			w.manifest.Services[0].Resources.Extended = []*manifestv1.Units{{Resource: "nvidia.com/gpu", Count: 1}}
		}, ReasonCapTooSmall},
		"a cap one too small, and stopped":       {func(w *world) { w.cap, w.stop = 1, true }, ""},
		"a cap one too small, and a forged stop": {func(w *world) { w.cap, w.stop, w.onApp = 1, true, forgeStop(w) }, ReasonStopInvalid},
		"stop by another peer":                   {func(w *world) { w.stop = true; w.onApp = forgeStop(w) }, ReasonStopInvalid},
		"an order as the stop": {func(w *world) {
			w.stop = true
			w.onStop = func(s *delegation.Statement) { s.Action = orderv1.Action_ACTION_APPLY }
		}, ReasonStopInvalid},
		"stop of another app":               {func(w *world) { w.stop = true; w.onStop = func(s *delegation.Statement) { s.App[0] ^= 1 } }, ReasonStopInvalid},
		"stop for another channel":          {func(w *world) { w.stop = true; w.onStop = func(s *delegation.Statement) { s.Channel[0] ^= 1 } }, ReasonStopInvalid},
		"stop as old as the order":          {func(w *world) { w.stop = true; w.onStop = func(s *delegation.Statement) { s.Sequence = w.sequence } }, ReasonStopInvalid},
		"number beside it is higher":        {func(w *world) { w.onApp = func(a *v1alpha1.App) { a.Spec.Sequence++ } }, ReasonSequenceInvalid},
		"number beside it is negative":      {func(w *world) { w.onApp = func(a *v1alpha1.App) { a.Spec.Sequence = -7 } }, ReasonSequenceInvalid},
		"stopped, and the number is before": {func(w *world) { w.stop = true; w.onApp = func(a *v1alpha1.App) { a.Spec.Sequence-- } }, ReasonSequenceInvalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.with(w)
			app := w.app(t)
			_, err := verify(w.keeper.own(), app)
			got := ""
			if err != nil {
				got = reasonOf(err)
			}
			if got != tt.want {
				t.Errorf("reason %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}

var (
	otherPeer   = newPeer(&testing.T{})
	otherWallet = newWallet(&testing.T{})
)

func otherManifest(w *world) []byte {
	m := proto.CloneOf(w.manifest)
	m.Name = "other"
	b, err := manifest.Encode(m)
	if err != nil {
		panic(err)
	}
	return b
}

// forgeStop signs the stop with a key that nobody delegated to.
func forgeStop(*world) func(*v1alpha1.App) {
	return func(a *v1alpha1.App) {
		var s orderv1.SignedStatement
		if err := proto.Unmarshal(a.Spec.Stop, &s); err != nil {
			panic(err)
		}
		sig, err := otherPeer.Sign(append([]byte("apocryph/statement/v1\x00"), s.Statement...))
		if err != nil {
			panic(err)
		}
		s.Signature = sig
		if a.Spec.Stop, err = proto.Marshal(&s); err != nil {
			panic(err)
		}
	}
}

// logsCost has a MiB of a service's disk cost one unit a second. Without the log, two replicas of the order cost 2 for CPU and 2048 for disk.
func (w *world) logsCost(t *testing.T) {
	t.Helper()
	prices := w.keeper.cfg.Tariff
	prices.EphemeralGiBHour = tariff.Units(3600 * 1024)
	id, err := prices.ID()
	if err != nil {
		t.Fatal(err)
	}
	w.onQuote = func(q *orderv1.Quote) { q.Tariff, q.Terms.Tariff = prices.Proto(), id[:] }
}

func TestCheckMemory(t *testing.T) {
	id, other := channel.ID{1}, channel.ID{2}
	at := func(sequence uint64, manifest byte, on channel.ID) *order {
		return &order{sequence: sequence, channel: on, statement: delegation.Statement{ManifestHash: [32]byte{manifest}}}
	}
	voucher := func(on channel.ID) *v1alpha1.Usage {
		return &v1alpha1.Usage{Status: v1alpha1.UsageStatus{Voucher: &v1alpha1.Voucher{Channel: on.String()}}}
	}
	tests := map[string]struct {
		memory memory
		usage  *v1alpha1.Usage
		got    *order
		want   string
	}{
		"nothing known":                       {memory{}, nil, at(1, 1, id), ""},
		"a higher number":                     {memory{order: at(1, 1, id)}, nil, at(2, 2, id), ""},
		"the same order again":                {memory{order: at(1, 1, id)}, nil, at(1, 1, id), ""},
		"a lower number":                      {memory{order: at(2, 1, id)}, nil, at(1, 1, id), ReasonReplayed},
		"the same number, another manifest":   {memory{order: at(1, 1, id)}, nil, at(1, 2, id), ReasonReplayed},
		"vouchers are out on this channel":    {memory{signedOn: id}, voucher(id), at(1, 1, id), ""},
		"vouchers are out on another channel": {memory{}, voucher(other), at(1, 1, id), ReasonChannelChanged},
		"another channel was signed for":      {memory{signedOn: other}, nil, at(1, 1, id), ReasonChannelChanged},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := checkMemory(tt.memory, tt.usage, tt.got); err != nil {
				got = reasonOf(err)
			}
			if got != tt.want {
				t.Errorf("reason %q, want %q", got, tt.want)
			}
		})
	}
}
