// SPDX-License-Identifier: Apache-2.0

package channeltest_test

import (
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/channel/channeltest"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/gen/channels"
)

// encode returns where a call goes, the name of its function, and its bytes.
func (w *world) encode(t *testing.T, r *run, call channeltest.Call) (to common.Address, function string, data []byte) {
	t.Helper()
	hub := func(function string, args ...any) (common.Address, string, []byte) {
		return w.channels, function, w.pack(t, "Channels", function, args...)
	}
	switch c := call.(type) {
	case channeltest.Open:
		if c.WithPermit {
			return hub("openWithPermit", chainTerms(c.Terms), c.Amount, w.permit(t, c.Terms.Token, c.Permit))
		}
		return hub("open", chainTerms(c.Terms), c.Amount)
	case channeltest.OpenFor:
		return hub("openFor", chainTerms(c.Terms), c.Amount, c.Deadline, w.signature(t, r, c.Signature), w.permit(t, c.Terms.Token, c.Permit))
	case channeltest.Deposit:
		if c.WithPermit {
			return hub("depositWithPermit", chainTerms(c.Terms), c.Amount, w.permit(t, c.Terms.Token, c.Permit))
		}
		return hub("deposit", chainTerms(c.Terms), c.Amount)
	case channeltest.Claim:
		return hub("claim", chainTerms(c.Terms).Payment, w.item(t, r, channeltest.Item(c)))
	case channeltest.ClaimBatch:
		items := []channels.Claim{}
		for _, item := range c.Items {
			items = append(items, w.item(t, r, item))
		}
		return hub("claimBatch", chainTerms(c.Payment).Payment, items)
	case channeltest.ReleaseAt:
		return hub("release", chainTerms(c.Terms), c.Total, w.signature(t, r, c.Signature))
	case channeltest.Notice:
		return hub("notice", chainTerms(c.Terms))
	case channeltest.Withdraw:
		return hub("withdraw", chainTerms(c.Terms))
	case channeltest.Close:
		return hub("close", chainTerms(c.Terms))
	case channeltest.WithdrawCredit:
		return hub("withdrawCredit", c.Token, c.To)
	}
	return w.encodeAround(t, call)
}

// encodeAround is encode for what happens around the contract.
func (w *world) encodeAround(t *testing.T, call channeltest.Call) (to common.Address, function string, data []byte) {
	t.Helper()
	switch c := call.(type) {
	case channeltest.Mint:
		return c.Token, "mint", w.pack(t, "OddToken", "mint", c.Account, c.Amount)
	case channeltest.Burn:
		return c.Token, "burn", w.pack(t, "OddToken", "burn", c.Account, c.Amount)
	case channeltest.Approve:
		return c.Token, "approve", w.pack(t, "OddToken", "approve", w.channels, c.Amount)
	case channeltest.UsePermit:
		p := w.permit(t, c.Token, c.Permit)
		return c.Token, "permit", w.pack(t, "TestToken", "permit", c.Permit.Owner, c.Permit.Spender, c.Permit.Value, p.Deadline, p.V, p.R, p.S)
	case channeltest.SetHabits:
		switch c.Which {
		case "blocked":
			return c.Token, "habit", w.pack(t, "OddToken", "setBlocked", c.Account, c.Blocked)
		case "fee":
			return c.Token, "habit", w.pack(t, "OddToken", "setFee", new(big.Int).SetUint64(c.Fee))
		}
		return c.Token, "habit", w.pack(t, "OddToken", "setAnswer", uint8(c.Answer))
	case channeltest.Lock:
		return c.Wallet, "lock", w.pack(t, "OddWallet", "setLocked", c.Locked)
	}
	t.Fatalf("no bytes for %T", call)
	return to, "", nil
}

func (w *world) item(t *testing.T, r *run, c channeltest.Item) channels.Claim {
	t.Helper()
	return channels.Claim{
		Agreement: c.Terms.AgreementHash(), Cap: c.Terms.Cap.Big(), Window: number(c.Terms.Window), Total: c.Total, Signature: w.signature(t, r, c.Signature),
	}
}

// chainTerms is how the contract takes terms.
func chainTerms(t channel.Terms) channels.Terms {
	payees := []channels.Payee{}
	for _, p := range t.Payees {
		payees = append(payees, channels.Payee{Account: p.Account, Share: p.Share})
	}
	return channels.Terms{
		Payment:   channels.Payment{Token: t.Token, Payout: t.Payout, Payees: payees, Signer: t.Signer},
		Cap:       t.Cap.Big(),
		Window:    number(t.Window),
		Agreement: channels.Agreement{Publisher: t.Publisher, App: t.App, Tariff: t.Tariff, Quote: t.Quote, Notice: number(t.Notice), Salt: t.Salt},
	}
}

func number(n uint64) *big.Int { return new(big.Int).SetUint64(n) }

func decimal(t *testing.T, s string) *big.Int {
	t.Helper()
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		t.Fatalf("%q is no number", s)
	}
	return n
}

// signature makes the bytes of a signature.
func (w *world) signature(t *testing.T, r *run, s channeltest.Signature) []byte {
	t.Helper()
	amount := eip712.Uint(decimal(t, s.Over.Amount))
	var hash common.Hash
	switch s.Over.Kind {
	case channeltest.Voucher:
		hash = crypto.Keccak256Hash(crypto.Keccak256([]byte("Voucher(bytes32 channel,uint256 total)")), s.Over.Channel[:], amount)
	case channeltest.Release:
		hash = crypto.Keccak256Hash(crypto.Keccak256([]byte("Release(bytes32 channel,uint256 total)")), s.Over.Channel[:], amount)
	case channeltest.Opening:
		hash = crypto.Keccak256Hash(crypto.Keccak256([]byte("Open(Terms terms,uint256 amount,uint256 deadline)"+
			"Agreement(address publisher,bytes32 app,bytes32 tariff,bytes32 quote,uint40 notice,bytes32 salt)"+
			"Payee(address account,uint32 share)Payment(address token,address payout,Payee[] payees,address signer)"+
			"Terms(Payment payment,uint88 cap,uint40 window,Agreement agreement)")),
			r.byID[s.Over.Channel].Hash().Bytes(), amount, eip712.Uint(decimal(t, s.Over.Deadline)))
	}
	return w.sign(t, s.By, s.Over.Domain.Digest(hash), s.Flaw)
}

func (w *world) sign(t *testing.T, by common.Address, digest common.Hash, flaw channeltest.Flaw) []byte {
	t.Helper()
	sig, err := eip712.Sign(digest, w.keys[by])
	if err != nil {
		t.Fatal(err)
	}
	switch flaw {
	case channeltest.None, channeltest.Flaws:
	case channeltest.HighS:
		s := new(big.Int).Sub(crypto.S256().Params().N, new(big.Int).SetBytes(sig[32:64]))
		s.FillBytes(sig[32:64])
		sig[64] = 27 + 28 - sig[64]
	case channeltest.Compact:
		sig[32] |= (sig[64] - 27) << 7
		sig = sig[:64]
	case channeltest.Truncated:
		sig = slices.Concat(sig[:63], sig[64:])
	case channeltest.Long:
		sig = append(sig, 0)
	case channeltest.Empty:
		sig = []byte{}
	case channeltest.LowV:
		sig[64] -= 27
	case channeltest.Flipped:
		sig[7] ^= 1
	}
	return sig
}

// permit makes the bytes of a permit. Flaws of length have no place in one, and are a flipped bit there.
func (w *world) permit(t *testing.T, token common.Address, p channeltest.Permit) channels.Permit {
	t.Helper()
	if p.Deadline == 0 {
		return channels.Permit{Deadline: new(big.Int)}
	}
	domain := crypto.Keccak256(
		crypto.Keccak256([]byte("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")),
		crypto.Keccak256([]byte("Apocryph Test Token")), crypto.Keccak256([]byte("1")), eip712.Uint64(chainID), eip712.Address(token))
	hash := crypto.Keccak256(
		crypto.Keccak256([]byte("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)")),
		eip712.Address(p.Owner), eip712.Address(p.Spender), eip712.Uint(p.Value), eip712.Uint64(p.Nonce), eip712.Uint64(p.Deadline))
	flaw := p.Flaw
	if flaw != channeltest.None && flaw != channeltest.HighS && flaw != channeltest.LowV {
		flaw = channeltest.Flipped
	}
	sig := w.sign(t, p.By, crypto.Keccak256Hash([]byte{0x19, 0x01}, domain, hash), flaw)
	return channels.Permit{Deadline: number(p.Deadline), V: sig[64], R: [32]byte(sig[:32]), S: [32]byte(sig[32:64])}
}

// told puts a log of the contract into the model's words.
func (w *world) told(t *testing.T, log *types.Log) (text, reason string) {
	t.Helper()
	event, err := w.abi["Channels"].EventByID(log.Topics[0])
	if err != nil {
		t.Fatal(err)
	}
	data, err := event.Inputs.NonIndexed().Unpack(log.Data)
	if err != nil {
		t.Fatal(err)
	}
	words := []string{event.Name}
	topics := log.Topics[1:]
	for _, input := range event.Inputs {
		switch {
		case input.Indexed && input.Type.String() == "address":
			words = append(words, common.BytesToAddress(topics[0].Bytes()).Hex())
			topics = topics[1:]
		case input.Indexed:
			words = append(words, channel.ID(topics[0]).String())
			topics = topics[1:]
		default:
			switch v := data[0].(type) {
			case [4]byte:
				reason = w.refusal(v[:])
			case common.Address:
				words = append(words, v.Hex())
			case *big.Int:
				words = append(words, v.String())
			}
			data = data[1:]
		}
	}
	return strings.Join(words, " "), reason
}
