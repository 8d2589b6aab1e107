// SPDX-License-Identifier: Apache-2.0

package channeltest_test

import (
	"crypto/ecdsa"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/apocryph/apocryph/internal/channel/channeltest"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/gen/channels"
	"github.com/apocryph/apocryph/internal/gen/token"
)

const (
	chainID = 1337
	// start is when a run begins: far enough ahead that a simulated chain never meets the clock of the machine.
	start = 2_000_000_000
)

// chain is where the contracts run.
type chain interface {
	// deploy puts a contract there, before any run.
	deploy(t *testing.T, code []byte) common.Address
	// send makes a transaction in a block of this time, which is never before the last one's.
	send(t *testing.T, at uint64, from *ecdsa.PrivateKey, to common.Address, data []byte) sent
	// read asks as in the last block.
	read(t *testing.T, to common.Address, data []byte) []byte
}

type sent struct {
	reverted bool
	returned []byte
	logs     []*types.Log
}

// world is a chain with the contracts and the accounts of a run.
type world struct {
	chain
	channels common.Address
	wallet   common.Address
	// coin is an ordinary token with permits; gold blocks receivers and answers nothing; mud does everything that tokens do; nowhere is
	// no contract.
	coin, gold, mud, nowhere common.Address
	keys                     map[common.Address]*ecdsa.PrivateKey
	names                    map[common.Address]string
	abi                      map[string]*abi.ABI // Channels, TestToken, OddToken, OddWallet
	all                      []common.Address    // whose money is watched; the contract first
	watched                  []money
}

// keyOf is the key of an account of every run.
func keyOf(name string) *ecdsa.PrivateKey {
	key, err := crypto.ToECDSA(crypto.Keccak256([]byte("model: " + name)))
	if err != nil {
		panic(err) // a hash that is no key
	}
	return key
}

// people are the accounts with keys, made once.
var people = sync.OnceValue(func() map[string]common.Address {
	all := map[string]common.Address{}
	for _, name := range holders() {
		all[name] = crypto.PubkeyToAddress(keyOf(name).PublicKey)
	}
	return all
})

func accountOf(name string) common.Address { return people()[name] }

func holders() []string {
	return []string{"publisher", "publisher2", "provider", "provider2", "stranger", "enclave", "enclave2", "payee", "payee2"}
}

func newWorld(t *testing.T, c chain) *world {
	t.Helper()
	w := &world{chain: c, keys: map[common.Address]*ecdsa.PrivateKey{}, names: map[common.Address]string{}, abi: map[string]*abi.ABI{}}
	for _, name := range holders() {
		w.keys[accountOf(name)] = keyOf(name)
		w.names[accountOf(name)] = name
	}
	w.channels = w.put(t, "Channels", "channels", channels.ChannelsMetaData.ABI, channels.ChannelsMetaData.Bin)
	w.coin = w.put(t, "TestToken", "coin", token.TestTokenMetaData.ABI, token.TestTokenMetaData.Bin)
	odd, code := committed(t, "OddToken")
	w.gold, w.mud = w.put(t, "OddToken", "gold", odd, code), w.put(t, "OddToken", "mud", odd, code)
	wallet, code := committed(t, "OddWallet")
	owner := common.LeftPadBytes(accountOf("enclave2").Bytes(), 32)
	w.wallet = w.put(t, "OddWallet", "wallet", wallet, code+common.Bytes2Hex(owner))
	w.nowhere = common.Address{19: 0x99}
	w.all = []common.Address{w.channels, w.wallet}
	for _, name := range holders() {
		w.all = append(w.all, accountOf(name))
	}
	w.watched = w.watch(t)
	w.names[w.nowhere], w.names[common.Address{}] = "nowhere", "nobody"
	return w
}

// model is what the contracts are held against: nobody has anything yet.
func (w *world) model() *channeltest.Model {
	m := channeltest.New(eip712.Domain{ChainID: chainID, Contract: w.channels})
	m.Now = start
	m.Wallets[w.wallet] = channeltest.Wallet{Owner: accountOf("enclave2")}
	for _, a := range w.tokens() {
		m.Tokens[a] = channeltest.NewToken(a == w.coin)
	}
	return m
}

func (w *world) tokens() []common.Address { return []common.Address{w.coin, w.gold, w.mud} }

func (w *world) accounts() []common.Address { return w.all }

func (w *world) put(t *testing.T, contract, name, text, code string) common.Address {
	t.Helper()
	parsed, err := abi.JSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	w.abi[contract] = &parsed
	address := w.deploy(t, common.FromHex(code))
	w.names[address] = name
	return address
}

// committed reads a contract that only tests deploy, as contracts/generate.sh left it.
func committed(t *testing.T, contract string) (text, code string) {
	t.Helper()
	var parts [2]string
	for i, ext := range []string{".json", ".bin"} {
		b, err := os.ReadFile(filepath.Join("..", "..", "..", "contracts", "abi", contract+ext))
		if err != nil {
			t.Fatal(err)
		}
		parts[i] = strings.TrimSpace(string(b))
	}
	return parts[0], parts[1]
}

// called puts names in the place of addresses.
func (w *world) called(text string) string {
	for address, name := range w.names {
		text = strings.ReplaceAll(text, address.Hex(), name)
	}
	return text
}

func (w *world) pack(t *testing.T, contract, method string, args ...any) []byte {
	t.Helper()
	data, err := w.abi[contract].Pack(method, args...)
	if err != nil {
		t.Fatalf("packing %s: %v", method, err)
	}
	return data
}

// question is something to read again and again.
type question struct {
	about string
	to    common.Address
	data  []byte
}

// ask reads one word, or a struct of words, as numbers.
func (w *world) ask(t *testing.T, q question) []*big.Int {
	out := w.read(t, q.to, q.data)
	words := make([]*big.Int, len(out)/32)
	for i := range words {
		words[i] = new(big.Int).SetBytes(out[32*i : 32*i+32])
	}
	if len(words) == 0 {
		t.Fatalf("%s: no answer", q.about)
	}
	return words
}

// money is what is watched of an account's money in one token.
type money struct {
	channeltest.Holding
	balance, credit, allowance question
}

func (w *world) watch(t *testing.T) []money {
	t.Helper()
	var all []money
	for _, token := range w.tokens() {
		for _, account := range w.accounts() {
			all = append(all, money{
				Holding:   channeltest.Holding{Token: token, Account: account},
				balance:   question{"balance", token, w.pack(t, "OddToken", "balanceOf", account)},
				allowance: question{"allowance", token, w.pack(t, "OddToken", "allowance", account, w.channels)},
				credit:    question{"credit", w.channels, w.pack(t, "Channels", "credit", token, account)},
			})
		}
	}
	return all
}

// refusal names what a call reverted with, by the errors of all contracts.
func (w *world) refusal(data []byte) string {
	if len(data) == 0 {
		return ""
	}
	if len(data) >= 4 {
		for _, contract := range w.abi {
			if e, err := contract.ErrorByID([4]byte(data[:4])); err == nil {
				return e.Name
			}
		}
	}
	return fmt.Sprintf("0x%x", data)
}
