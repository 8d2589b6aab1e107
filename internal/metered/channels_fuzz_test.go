// SPDX-License-Identifier: Apache-2.0

package metered_test

import (
	"crypto/ecdsa"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/account"
	"github.com/apocryph/apocryph/internal/channel"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/ledger"
	"github.com/apocryph/apocryph/internal/metered"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

// twoChannels is a spec with two channels, and the account of the first.
func twoChannels(f *testing.F) (v1alpha1.AppSpec, v1alpha1.FormerAccount) {
	f.Helper()
	key, err := crypto.GenerateKey()
	if err != nil {
		f.Fatal(err)
	}
	prices := tariff.Tariff{Token: [20]byte{4}, CPUHour: tariff.Units(3600)}
	first, second := deal(f, key, prices, 1), deal(f, key, prices, 2)
	spec := v1alpha1.AppSpec{Former: []v1alpha1.FormerChannel{first}, Channel: second.Channel, Terms: second.Terms, Quote: second.Quote}
	row, err := metered.Row(spec)
	if err != nil {
		f.Fatal(err)
	}
	payers := []ledger.Payer{row[0].Payer, row[1].Payer}
	book := ledger.Ledger{}.Follow(payers, 1, ledger.Moment{Used: usage.Rate{MilliCPU: 1000}.For(10)})
	book = book.Settle(payers[1], map[channel.ID]ledger.Closing{row[0].Channel: {Claimed: tariff.Units(4), Most: tariff.Units(100)}})
	line := book.Lines()[0]
	signed, err1 := account.Sign(line.Account, key)
	arrears, err2 := account.SignArrears(*line.Arrears, key)
	if err1 != nil || err2 != nil {
		f.Fatal(err1, err2)
	}
	encoded, err := proto.Marshal(arrears)
	if err != nil {
		f.Fatal(err)
	}
	return spec, v1alpha1.FormerAccount{Channel: first.Channel, Account: signed.Account, Signature: signed.Signature, Arrears: encoded}
}

func deal(f *testing.F, key *ecdsa.PrivateKey, prices tariff.Tariff, salt byte) v1alpha1.FormerChannel {
	f.Helper()
	id, err := prices.ID()
	if err != nil {
		f.Fatal(err)
	}
	signer, address := crypto.PubkeyToAddress(key.PublicKey), make([]byte, 20)
	address[0] = 9
	q := &orderv1.Quote{
		Provider: address, Tariff: prices.Proto(), ManifestHash: make([]byte, 32), ChainId: 1, Contract: address,
		Terms: &orderv1.Terms{
			Publisher: address, App: make([]byte, 32), Payout: address, Signer: signer[:], Token: prices.Token[:], Tariff: id[:], Cap: []byte{2}, Window: 7200, Notice: 3600,
		},
	}
	signed, err := quote.Sign(q, key)
	if err != nil {
		f.Fatal(err)
	}
	terms, err1 := proto.Marshal(quote.Terms(signed, q, [32]byte{salt}))
	encoded, err2 := proto.Marshal(signed)
	if err1 != nil || err2 != nil {
		f.Fatal(err1, err2)
	}
	return v1alpha1.FormerChannel{Channel: channel.ID{salt}.String(), Terms: terms, Quote: encoded}
}

// What lies in objects makes a ledger of the channels in the spec or is refused; whatever it says, no line is of another channel, and what is due
// on the present one is never less than its arrears.
func FuzzBook(f *testing.F) {
	spec, good := twoChannels(f)
	f.Add(good.Account, good.Signature, good.Arrears, spec.Terms, spec.Quote)
	f.Add([]byte{}, []byte{1}, []byte{2}, []byte{3}, []byte{4})
	f.Add(good.Account, good.Signature, good.Arrears, spec.Former[0].Quote, spec.Former[0].Terms)
	f.Fuzz(func(t *testing.T, encoded, signature, arrears, terms, signed []byte) {
		s := spec
		s.Terms, s.Quote = terms, signed
		row, err := metered.Row(s)
		if err != nil {
			return
		}
		book, err := metered.Book(row, v1alpha1.UsageStatus{Former: []v1alpha1.FormerAccount{{
			Channel: good.Channel, Account: encoded, Signature: signature, Arrears: arrears,
		}}})
		if err != nil {
			return
		}
		if book.Len() != 1 || book.Lines()[0].Account.Channel != row[0].Channel {
			t.Errorf("lines %+v", book.Lines())
		}
		now := book.Now(row[1].Payer, usage.Rate{MilliCPU: 1000}.For(12), book.Lines()[0].Account.AccruedTo)
		if now.Total.Cmp(now.Arrears) < 0 {
			t.Errorf("%s due with arrears of %s", now.Total, now.Arrears)
		}
	})
}
