// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/evidence"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/publisher"
	"github.com/apocryph/apocryph/internal/tee/snp"
)

// StateFlags say where this machine keeps what it knows.
type StateFlags struct {
	State string `help:"Directory of this machine's state." env:"APOCRYPH_STATE" placeholder:"DIR" type:"path"`
}

// AfterApply binds the *publisher.Store.
func (f *StateFlags) AfterApply(k *kong.Context) error { return k.BindSingletonProvider(f.open) }

func (f *StateFlags) open() (*publisher.Store, error) {
	dir, err := orDefault(f.State, "XDG_STATE_HOME", ".local/state")
	if err != nil {
		return nil, err
	}
	return publisher.OpenStore(dir)
}

// orDefault is path, or the directory apocryph below an XDG directory.
func orDefault(path, xdg, below string) (string, error) {
	if path != "" {
		return path, nil
	}
	base := os.Getenv(xdg)
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fault.Hint(fmt.Errorf("finding this user's directories: %w", err), "set "+xdg+", or use --state and --wallet")
		}
		base = filepath.Join(home, below)
	}
	return filepath.Join(base, "apocryph"), nil
}

// AppArg names an app.
type AppArg struct {
	App string `arg:"" help:"The app's name or id." placeholder:"APP"`
}

// AfterApply binds the *publisher.App.
func (f *AppArg) AfterApply(k *kong.Context) error { return k.BindSingletonProvider(f.find) }

func (f *AppArg) find(s *publisher.Store) (*publisher.App, error) { return s.Find(f.App) }

// ChannelArg names a channel: by its app, by its id, or by a file that has its terms.
type ChannelArg struct {
	App   string `arg:"" optional:"" help:"The app's name or id, or the channel's id." placeholder:"APP"`
	Terms string `help:"File with the channel's terms, instead of APP: what channel show --json wrote, or the app's file of a state directory." placeholder:"FILE"`
}

// AfterApply binds the *publisher.App.
func (f *ChannelArg) AfterApply(k *kong.Context) error { return k.BindSingletonProvider(f.find) }

func (f *ChannelArg) find(s *publisher.Store, std stdio) (*publisher.App, error) {
	switch {
	case (f.App == "") == (f.Terms == ""):
		return nil, fault.Hint(usageError{errors.New("name one channel, by APP or by --terms FILE")}, "list the apps with: apocryph ls; find channels of your wallet with: apocryph channel recover")
	case f.Terms != "":
		content, err := readInput(std, f.Terms)
		if err != nil {
			return nil, err
		}
		return publisher.ReadTerms(content, "--terms "+f.Terms)
	}
	if id, err := channel.ParseID(f.App); err == nil {
		return s.FindChannel(id)
	}
	return s.Find(f.App)
}

// maxInput bounds a file that a command reads, in bytes.
const maxInput = 1 << 20

// readInput reads a file, or standard input for "-".
func readInput(std stdio, name string) ([]byte, error) {
	file := std.in
	if name != "-" {
		var err error
		if file, err = os.Open(name); err != nil {
			return nil, fault.Hint(fmt.Errorf("reading the file: %w", err), "check its name; - is standard input")
		}
		defer func() { _ = file.Close() }()
	}
	content, err := io.ReadAll(io.LimitReader(file, maxInput+1))
	if err == nil && len(content) > maxInput {
		err = fmt.Errorf("it has more than %d bytes", maxInput)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return content, nil
}

// ChainFlags say where the money is. They never come from a provider.
type ChainFlags struct {
	RPC      []string `name:"rpc" help:"Endpoint of the chain (http, https, ws, wss). May be repeated: one that fails is passed over, and what can't be taken back counts when more than half of them agree." env:"APOCRYPH_RPC" placeholder:"URL"`
	Channels string   `help:"Address of the Channels contract." env:"APOCRYPH_CHANNELS" placeholder:"ADDRESS"`
	Token    string   `help:"Address of the token that is paid in." env:"APOCRYPH_TOKEN" placeholder:"ADDRESS"`

	Confirmations uint64 `help:"Blocks that have to follow the one with good news, such as a transaction of yours; 0 takes the newest block at its word." env:"APOCRYPH_CONFIRMATIONS" default:"0"`
	FinalAfter    uint64 `help:"For chains without finalized blocks: how many blocks make one final, itself included; 0 asks the chain." env:"APOCRYPH_FINAL_AFTER" default:"0"`

	client *evm.Client
}

// AfterApply binds the *Chain.
func (f *ChainFlags) AfterApply(k *kong.Context) error { return k.BindSingletonProvider(f.dial) }

// AfterRun closes the connection.
func (f *ChainFlags) AfterRun() error { //nolint:unparam // the shape of kong's hooks
	if f.client != nil {
		f.client.Close()
	}
	return nil
}

func (f *ChainFlags) dial(ctx context.Context) (*Chain, error) {
	if len(f.RPC) == 0 {
		return nil, noChain()
	}
	contract, err := address(f.Channels, "--channels", "APOCRYPH_CHANNELS")
	if err != nil {
		return nil, err
	}
	token, err := address(f.Token, "--token", "APOCRYPH_TOKEN")
	if err != nil {
		return nil, err
	}
	f.client, err = evm.Dial(ctx, f.RPC, evm.Config{Channels: contract, Confirmations: f.Confirmations, FinalAfter: f.FinalAfter})
	if err != nil {
		return nil, err
	}
	return &Chain{client: f.client, token: token}, nil
}

func noChain() error {
	return fault.Hint(errors.New("no chain is configured"), "set --rpc URL or APOCRYPH_RPC (a devnet writes all of these to one file to source)")
}

func address(text, flag, env string) (common.Address, error) {
	if !common.IsHexAddress(text) {
		what := fmt.Sprintf("%s is not set", flag)
		if text != "" {
			what = fmt.Sprintf("%s: %.80q is no address", flag, text)
		}
		return common.Address{}, fault.Hint(errors.New(what), fmt.Sprintf("set %s or %s to 0x and 40 hex digits", flag, env))
	}
	return common.HexToAddress(text), nil
}

// WalletFlags say which wallet signs.
type WalletFlags struct {
	Wallet         string `help:"Wallet file (keystore V3)." env:"APOCRYPH_WALLET" placeholder:"FILE" type:"path"`
	PassphraseFile string `help:"File with the wallet's passphrase. Without it, APOCRYPH_PASSPHRASE or the terminal is asked." placeholder:"FILE" type:"path"`

	std    stdio
	opened *Wallet
}

// AfterRun lets the wallet forget the transactions whose outcome was told.
func (f *WalletFlags) AfterRun() error {
	if f.opened == nil {
		return nil
	}
	return f.opened.acknowledge()
}

// AfterApply binds the *Wallet.
func (f *WalletFlags) AfterApply(k *kong.Context, std stdio) error {
	f.std = std
	return k.BindSingletonProvider(f.open)
}

// file is the wallet's path.
func (f *WalletFlags) file() (string, error) {
	if f.Wallet != "" {
		return f.Wallet, nil
	}
	dir, err := orDefault("", "XDG_CONFIG_HOME", ".config")
	return filepath.Join(dir, "wallet.json"), err
}

func (f *WalletFlags) open() (*Wallet, error) {
	path, err := f.file()
	if err != nil {
		return nil, err
	}
	address, err := evm.KeystoreAddress(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fault.Hint(err, "make one with: apocryph wallet new, or name yours with --wallet FILE or APOCRYPH_WALLET")
	case err != nil:
		return nil, fault.Hint(err, "name a keystore V3 file with --wallet FILE or APOCRYPH_WALLET")
	}
	f.opened = &Wallet{path: path, address: address, passphrase: func() (string, error) { return f.passphrase(false) }, note: f.note}
	return f.opened, nil
}

// note tells people, and nobody else, what a wallet found under way.
func (f *WalletFlags) note(format string, args ...any) {
	_, _ = fmt.Fprintf(f.std.err, "note      "+format+"\n", args...)
}

// passphrase is from the file, the environment or the terminal, in this order.
func (f *WalletFlags) passphrase(twice bool) (string, error) {
	if f.PassphraseFile != "" {
		b, err := os.ReadFile(f.PassphraseFile)
		if err != nil {
			return "", fault.Hint(fmt.Errorf("reading the passphrase: %w", err), "check --passphrase-file")
		}
		return strings.TrimRight(string(b), "\r\n"), nil
	}
	if p, ok := os.LookupEnv("APOCRYPH_PASSPHRASE"); ok {
		return p, nil
	}
	path, err := f.file()
	if err != nil {
		return "", err
	}
	return readPassphrase(f.std, path, twice)
}

// TrustFlags say what evidence is accepted.
type TrustFlags struct {
	Measurement     []string `help:"Measurement of provider software to accept from hardware: 96 hex digits, and /FLOOR for the oldest firmware (TCB version in hex)." env:"APOCRYPH_MEASUREMENTS" placeholder:"HEX"`
	AcceptSimulator string   `help:"Accept evidence of this simulator (ROOT/CHAIN/MEASUREMENT), which protects nothing: its admin can read and change everything." env:"APOCRYPH_SIMULATOR" placeholder:"ROOT/CHAIN/MEASUREMENT"`

	remote *remote
}

// AfterApply binds the *publisher.Publisher, which has no chain yet.
func (f *TrustFlags) AfterApply(k *kong.Context) error { return k.BindSingletonProvider(f.publisher) }

// AfterRun closes the connections to providers.
func (f *TrustFlags) AfterRun() error {
	if f.remote == nil {
		return nil
	}
	return f.remote.close()
}

func (f *TrustFlags) publisher(s *publisher.Store, w *Wallet, c *Console) (*publisher.Publisher, error) {
	policy := evidence.Policy{Hardware: snp.Verifier{}}
	for _, text := range f.Measurement {
		m, err := measurement(text, time.Now())
		if err != nil {
			return nil, err
		}
		policy.Measurements = append(policy.Measurements, m)
	}
	if f.AcceptSimulator != "" {
		sim, err := evidence.ParseSimulator(f.AcceptSimulator)
		if err != nil {
			return nil, fault.Hint(fmt.Errorf("the evidence to accept: %w", err), "check --accept-simulator (APOCRYPH_SIMULATOR)")
		}
		policy.Simulator = &sim
	}
	f.remote = &remote{keyFile: s.PeerKeyFile()}
	peer, err := f.remote.peer()
	if err != nil {
		return nil, err
	}
	return &publisher.Publisher{Store: s, Wallet: w, Peer: peer, Dial: f.remote.dial, Trust: policy, Now: time.Now, Report: c.Step}, nil
}

// measurementLife is how long a measurement that is named by hand counts; the command does not run longer.
const measurementLife = 24 * time.Hour

func measurement(text string, now time.Time) (evidence.Measurement, error) {
	m := evidence.Measurement{NotAfter: now.Add(measurementLife)}
	value, floor, _ := strings.Cut(text, "/")
	b, err := hex.DecodeString(value)
	if err == nil && floor != "" {
		m.MinimumTCB, err = strconv.ParseUint(floor, 16, 64)
	}
	if err != nil || len(b) != len(m.Value) {
		return m, fault.Hint(fmt.Errorf("%.120q is no measurement", text), "write 96 hex digits, and /FLOOR in up to 16")
	}
	copy(m.Value[:], b)
	return m, nil
}
