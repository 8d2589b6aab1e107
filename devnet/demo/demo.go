// SPDX-License-Identifier: Apache-2.0

// Package demo is the whole product in one run: a publisher with a Compose file, a provider, a real app, real money on a real chain.
//
// It uses what a person would use — the client's binary, a browser's view of the URL — and believes nobody: amounts come from the
// contract and the token, the sum is computed again from the published formula. Anything that does not hold is an error.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// Config says where things are.
type Config struct {
	// Root is the checkout, Bin the client's binary, EnvFile what `devnet up` wrote for users.
	Root, Bin, EnvFile string
	// Fund gives an address coins and test tokens.
	Fund func(ctx context.Context, address string) error
	// Chain reads the chain.
	Chain Chain
	// Out shows people what happens.
	Out io.Writer
	// Keep leaves the app running.
	Keep bool
	// Build and DevnetReady are what came before, for the receipt.
	Build, DevnetReady time.Duration
}

// Chain is what the demo asks of the chain itself.
type Chain interface {
	// Balance returns what an account has of the test token.
	Balance(ctx context.Context, account string) (*big.Int, error)
	// Channel returns what was put into a channel and what was claimed, and whether it is closed.
	Channel(ctx context.Context, id string) (deposited, claimed *big.Int, closed bool, err error)
	// Refunded returns what a closed channel gave back, from the contract's own record of it.
	Refunded(ctx context.Context, id string) (*big.Int, error)
	// ClaimedBeside returns what was claimed on all other channels since a block: the same provider's other apps.
	ClaimedBeside(ctx context.Context, id string, since uint64) (*big.Int, error)
	// Head returns the newest block's number.
	Head(ctx context.Context) (uint64, error)
	// Provider is the payout address.
	Provider() string
}

// note is what the demo writes into the app and wants back.
const note = "written before the pod was deleted"

const (
	appName    = "pocketbase"
	namespaced = "app-"
	// ofService is the label of a service's pods.
	ofService = "apocryph.network/service"
	stepLimit = 2 * time.Minute
)

// demo is one run.
type demo struct {
	Config
	cli     *commandLine
	cluster kubernetes.Interface
	wallet  string
	app     deployed
	base    *pocketBase
	receipt Receipt

	before struct {
		publisher, provider *big.Int
		block               uint64
	}
	bill bill
}

// deployed and bill are results of the client with --json.
type deployed struct {
	App     string `json:"app"`
	URL     string `json:"url"`
	Channel string `json:"channel"`
}

type bill struct {
	Usage struct {
		CPU       string `json:"cpu_milli_seconds"`
		Memory    string `json:"memory_byte_seconds"`
		Ephemeral string `json:"ephemeral_byte_seconds"`
		Storage   string `json:"storage_byte_seconds"`
		Egress    string `json:"egress_bytes"`
	} `json:"usage"`
	Tariff struct {
		CPU       string `json:"cpu_hour"`
		Memory    string `json:"memory_gib_hour"`
		Ephemeral string `json:"ephemeral_gib_hour"`
		Storage   string `json:"storage_gib_hour"`
		Egress    string `json:"egress_gib"`
	} `json:"tariff"`
	Owed    string `json:"owed"`
	Claimed string `json:"claimed"`
	Final   bool   `json:"final"`
}

// Run runs the demo. The receipt is written even when something did not hold, with what was known by then.
func Run(ctx context.Context, c Config) error {
	d := &demo{Config: c}
	d.receipt.Timings.Build = seconds(c.Build)
	d.receipt.Timings.DevnetReady = seconds(c.DevnetReady)
	steps := []struct {
		what string
		do   func(context.Context) error
	}{
		{"a publisher with a wallet and test tokens", d.prepare},
		{"one command deploys a real app from a Compose file", d.deploy},
		{"a page, by host name, through the facade", d.visit},
		{"its log, streamed", d.logs},
		{"data written, the pod deleted, the data read back", d.survive},
		{"the bill grows while it runs, and is claimed on chain", d.watchBill},
	}
	if !c.Keep {
		steps = append(steps, struct {
			what string
			do   func(context.Context) error
		}{"stopped, settled, and every unit accounted for", d.settle})
	}
	for i, s := range steps {
		_, _ = fmt.Fprintf(c.Out, "\n── %d. %s\n", i+1, s.what)
		if err := d.step(ctx, s.do); err != nil {
			return errors.Join(fmt.Errorf("step %d (%s): %w", i+1, s.what, err), d.write())
		}
	}
	return d.write()
}

func (d *demo) step(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	return do(ctx)
}

func (d *demo) prepare(ctx context.Context) error {
	env, err := readEnv(d.EnvFile)
	if err != nil {
		return fmt.Errorf("reading the devnet's environment: %w", err)
	}
	home := filepath.Join(d.Root, "build", "demo")
	if err := os.RemoveAll(home); err != nil {
		return err
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	env["APOCRYPH_WALLET"] = filepath.Join(home, "wallet.json")
	env["APOCRYPH_STATE"] = filepath.Join(home, "state")
	env["APOCRYPH_PASSPHRASE"] = "a passphrase for a wallet of test tokens"
	d.cli = &commandLine{bin: d.Bin, env: os.Environ(), out: d.Out}
	for _, k := range slices.Sorted(maps.Keys(env)) {
		d.cli.env = append(d.cli.env, k+"="+env[k])
	}
	if err := writeEnv(filepath.Join(home, "env"), env); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", env["KUBECONFIG"])
	if err != nil {
		return err
	}
	if d.cluster, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	var made struct {
		Address string `json:"address"`
	}
	if err := d.cli.result(ctx, &made, "wallet", "new"); err != nil {
		return err
	}
	d.wallet = made.Address
	if err := d.Fund(ctx, d.wallet); err != nil {
		return fmt.Errorf("asking the faucet: %w", err)
	}
	if _, err := d.cli.show(ctx, "wallet", "show"); err != nil {
		return err
	}
	if d.before.publisher, err = d.Chain.Balance(ctx, d.wallet); err != nil {
		return err
	}
	if d.before.block, err = d.Chain.Head(ctx); err != nil {
		return err
	}
	if d.before.provider, err = d.Chain.Balance(ctx, d.Chain.Provider()); err != nil {
		return err
	}
	d.base = newPocketBase("", env["APOCRYPH_FACADE"])
	return nil
}

func (d *demo) deploy(ctx context.Context) error {
	begin := time.Now()
	file := filepath.Join("examples", appName, "compose.yaml")
	if err := d.cli.result(ctx, &d.app, "deploy", filepath.Join(d.Root, file), "--for", "24h", "--yes"); err != nil {
		return err
	}
	d.receipt.Timings.DeployToReady = seconds(time.Since(begin))
	d.receipt.App, d.receipt.URL, d.receipt.Channel = d.app.App, d.app.URL, d.app.Channel
	_, _ = fmt.Fprintf(d.Out, "ready after %ss: %s\n", d.receipt.Timings.DeployToReady, d.app.URL)
	_, err := d.cli.show(ctx, "ls")
	return err
}

func (d *demo) visit(ctx context.Context) error {
	d.base.url = strings.TrimSuffix(d.app.URL, "/")
	begin := time.Now()
	status, body, err := d.base.page(ctx, "/_/")
	if err != nil {
		return err
	}
	d.receipt.Timings.FirstByte = seconds(time.Since(begin))
	d.receipt.HTTPStatus = status
	_, _ = fmt.Fprintf(d.Out, "GET %s/_/: %d, %d bytes\n", d.base.url, status, len(body))
	if status != http.StatusOK || !bytes.Contains(body, []byte("PocketBase")) {
		return fmt.Errorf("not PocketBase's page: %d\n%.300s", status, body)
	}
	return nil
}

func (d *demo) logs(ctx context.Context) error {
	var token string
	err := d.cli.follow(ctx, stepLimit, func(seen []byte) bool {
		var err error
		token, err = installToken(seen)
		return err == nil
	}, "logs", appName, "-f")
	if err != nil {
		return err
	}
	return d.base.own(ctx, token, "publisher@example.com", "correct-horse-battery")
}

func (d *demo) survive(ctx context.Context) error {
	if err := d.base.write(ctx, note); err != nil {
		return err
	}
	namespace := namespaced + d.app.App
	// What brought the volume its first content may be there still, until its time is written down.
	pods, err := d.cluster.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: ofService})
	if err != nil {
		return err
	}
	if len(pods.Items) != 1 {
		return fmt.Errorf("%d pods, want 1", len(pods.Items))
	}
	old := pods.Items[0]
	if err := d.cluster.CoreV1().Pods(namespace).Delete(ctx, old.Name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(d.Out, "deleted pod %s\n", old.Name)
	err = retry(ctx, func() error {
		pods, err := d.cluster.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, p := range pods.Items {
			if p.UID == old.UID {
				return errors.New("the old pod is still there")
			}
		}
		got, err := d.base.read(ctx)
		if err == nil && !slices.Equal(got, []string{note}) {
			err = fmt.Errorf("read %q, want %q", got, note)
		}
		return err
	})
	if err == nil {
		_, _ = fmt.Fprintf(d.Out, "another pod answers: %q\n", note)
	}
	return err
}

// watchBill shows the bill until it grew twice and a claim is on chain.
func (d *demo) watchBill(ctx context.Context) error {
	grew, last := 0, big.NewInt(-1)
	err := retry(ctx, func() error {
		var b bill
		quiet := *d.cli
		quiet.out = io.Discard
		if err := quiet.result(ctx, &b, "bill", appName); err != nil {
			return err
		}
		_, claimed, _, err := d.Chain.Channel(ctx, d.app.Channel)
		if err != nil {
			return err
		}
		owed, err := number(b.Owed)
		if err != nil {
			return err
		}
		if owed.Cmp(last) > 0 {
			grew, last = grew+1, owed
			_, _ = fmt.Fprintf(d.Out, "owed %6s  claimed on chain %6s   cpu %s m·s, memory %s B·s, volumes %s B·s, egress %s B\n",
				owed, claimed, b.Usage.CPU, b.Usage.Memory, b.Usage.Storage, b.Usage.Egress)
		}
		if grew < 3 || claimed.Sign() == 0 {
			return fmt.Errorf("the bill grew %d times, %s is claimed", grew, claimed)
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = d.cli.show(ctx, "bill", appName)
	return err
}

func (d *demo) settle(ctx context.Context) error {
	if _, err := d.cli.show(ctx, "stop", appName, "--yes"); err != nil {
		return err
	}
	if err := d.cli.result(ctx, &d.bill, "bill", appName); err != nil {
		return err
	}
	b, err := d.readBooks(ctx)
	if err != nil {
		return err
	}
	d.receipt.take(b)
	if !d.bill.Final {
		return errors.New("the last bill is not final")
	}
	return b.check()
}

// retry asks again until ask has no error or time is up, and returns the last error.
func retry(ctx context.Context, ask func() error) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }
