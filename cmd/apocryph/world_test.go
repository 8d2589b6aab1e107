// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/ethclient/simulated"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/rpc"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/gen/channels"
	"github.com/apocryph/apocryph/internal/gen/token"
)

// world is what scripts run against: a chain with the contracts, served as JSON-RPC, a provider that answers over libp2p, and images.
type world struct {
	sim      *simulated.Backend
	rpc      *rpc.Client
	mining   sync.Mutex
	url      string
	cfg      evm.Config
	token    common.Address
	faucet   *evm.Wallet
	provider *fakeProvider
	images   string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	key, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	alloc := types.GenesisAlloc{crypto.PubkeyToAddress(key.PublicKey): {Balance: new(big.Int).Lsh(big.NewInt(1), 100)}}
	ipc := filepath.Join(t.TempDir(), "geth.ipc")
	w := &world{sim: simulated.NewBackend(alloc, func(n *node.Config, c *ethconfig.Config) {
		n.IPCPath = ipc
		// The default development chain has the gas schedule of a fork that is not out yet.
		rules := *c.Genesis.Config
		rules.BogotaTime = nil
		c.Genesis.Config = &rules
	})}
	t.Cleanup(func() { _ = w.sim.Close() })
	if w.rpc, err = rpc.Dial(ipc); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.rpc.Close)
	server := httptest.NewServer(http.HandlerFunc(w.serveRPC))
	t.Cleanup(server.Close)
	w.url = server.URL
	w.deploy(t, key)
	w.images = makeImages(t)
	w.provider = newFakeProvider(t, w, key)
	return w
}

// serveRPC answers JSON-RPC from the simulated chain, and mines what is sent.
func (w *world) serveRPC(out http.ResponseWriter, r *http.Request) {
	var call struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params []any           `json:"params"`
	}
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	w.mining.Lock()
	defer w.mining.Unlock()
	answer := map[string]any{"jsonrpc": "2.0", "id": call.ID}
	var result json.RawMessage
	err := w.rpc.CallContext(r.Context(), &result, call.Method, call.Params...)
	var coded rpc.Error
	var data rpc.DataError
	switch {
	case errors.As(err, &data):
		answer["error"] = map[string]any{"code": data.(rpc.Error).ErrorCode(), "message": data.Error(), "data": data.ErrorData()}
	case errors.As(err, &coded):
		answer["error"] = map[string]any{"code": coded.ErrorCode(), "message": coded.Error()}
	case err != nil:
		answer["error"] = map[string]any{"code": -32000, "message": err.Error()}
	default:
		answer["result"] = result
	}
	if call.Method == "eth_sendRawTransaction" && err == nil {
		w.sim.Commit()
	}
	out.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(out).Encode(answer)
}

// pass moves the chain's clock.
func (w *world) pass(d time.Duration) error {
	w.mining.Lock()
	defer w.mining.Unlock()
	return w.sim.AdjustTime(d)
}

func (w *world) deploy(t *testing.T, key *ecdsa.PrivateKey) {
	t.Helper()
	deploy := func(bin string) common.Address {
		bare, err := evm.Dial(t.Context(), []string{w.url}, evm.Config{Poll: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		r, err := evm.NewWallet(bare, key).Send(t.Context(), evm.Call{Data: common.FromHex(bin)})
		if err != nil {
			t.Fatal(err)
		}
		return r.Contract
	}
	w.token = deploy(token.TestTokenMetaData.Bin)
	w.cfg = evm.Config{Channels: deploy(channels.ChannelsMetaData.Bin), Poll: time.Millisecond}
	client, err := evm.Dial(t.Context(), []string{w.url}, w.cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.faucet = evm.NewWallet(client, key)
}

// fund gives a wallet file's account one coin and ten million base units of the token, which are 10 TEST.
func (w *world) fund(ctx context.Context, file string) error {
	to, err := evm.KeystoreAddress(file)
	if err != nil {
		return err
	}
	if _, err := w.faucet.Send(ctx, evm.Call{To: &to, Value: big.NewInt(1e18)}); err != nil {
		return err
	}
	_, err = w.faucet.Send(ctx, evm.Call{To: &w.token, Data: token.NewTestToken().PackMint(to, big.NewInt(10_000_000))})
	return err
}

// makeImages writes an OCI layout with one image, web:1.
func makeImages(t *testing.T) string {
	t.Helper()
	img, err := random.Image(1024, 2)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Config = v1.Config{Entrypoint: []string{"/web"}, ExposedPorts: map[string]struct{}{"9000/tcp": {}}}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "images")
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "web:1"})); err != nil {
		t.Fatal(err)
	}
	return dir
}

// env is what a devnet writes for its users.
func (w *world) env(home string) []string {
	return []string{
		"HOME=" + home,
		"APOCRYPH_RPC=" + w.url,
		"APOCRYPH_CHANNELS=" + w.cfg.Channels.Hex(),
		"APOCRYPH_TOKEN=" + w.token.Hex(),
		"APOCRYPH_PROVIDER=" + w.provider.addr,
		"APOCRYPH_SIMULATOR=" + w.provider.simulator,
		"APOCRYPH_IMAGES=" + w.images,
		"APOCRYPH_STATE=" + filepath.Join(home, "state"),
		"APOCRYPH_WALLET=" + filepath.Join(home, "wallet.json"),
		"APOCRYPH_PASSPHRASE=correct horse",
	}
}

// checkMode fails unless a file is readable for its owner alone.
func checkMode(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm() != 0o600 {
		return fmt.Errorf("%s has mode %o", path, info.Mode().Perm())
	}
	return nil
}
