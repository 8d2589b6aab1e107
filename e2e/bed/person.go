// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/evm"
)

// Person is a publisher with a wallet, a home and a shell of their own.
type Person struct {
	*Devnet

	// Home is a folder; Shell its environment.
	Home  string
	Shell []string

	t      *testing.T
	images string
}

// NewPerson makes a publisher; with funds, the devnet's faucet fills their wallet. Images are found in the layouts, and the probe.
func (d *Devnet) NewPerson(t *testing.T, funded bool, layouts ...string) *Person {
	t.Helper()
	return d.person(t, funded, strings.Join(append(layouts, d.Env["APOCRYPH_IMAGES"], BuildProbe(t)), ","))
}

// Another makes another publisher, who has the same images.
func (p *Person) Another(t *testing.T, funded bool) *Person {
	t.Helper()
	return p.person(t, funded, p.images)
}

func (d *Devnet) person(t *testing.T, funded bool, images string) *Person {
	t.Helper()
	p := &Person{Devnet: d, t: t, Home: t.TempDir(), images: images}
	own := map[string]string{}
	for k, v := range d.Env {
		own[k] = v
	}
	own["HOME"] = p.Home
	own["APOCRYPH_WALLET"] = filepath.Join(p.Home, "wallet.json")
	own["APOCRYPH_PASSPHRASE"] = "correct horse"
	own["APOCRYPH_STATE"] = filepath.Join(p.Home, "state")
	own["APOCRYPH_IMAGES"] = images
	p.Shell = os.Environ()
	for k, v := range own {
		p.Shell = append(p.Shell, k+"="+v)
	}
	var wallet struct {
		Address string `json:"address"`
	}
	p.MustJSON(&wallet, "wallet", "new", "--light")
	if funded {
		d.faucet(t, wallet.Address)
	}
	return p
}

func (d *Devnet) faucet(t *testing.T, address string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(d.Root, "build", "bin", "devnet"), "faucet", address)
	cmd.Dir = d.Root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("faucet: %v\n%s", err, out)
	}
}

// Result is how a command ended.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Run runs the client as this person would.
func (p *Person) Run(args ...string) Result {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.t.Context()), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(p.Root, "build", "bin", "apocryph"), args...)
	cmd.Env, cmd.Dir = p.Shell, p.Home
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	p.t.Logf("apocryph %s (%v)\n%s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	return Result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// Must is Run for what has to work.
func (p *Person) Must(args ...string) string {
	p.t.Helper()
	r := p.Run(args...)
	if r.Code != 0 {
		p.t.Fatalf("apocryph %s: exit %d\n%s", strings.Join(args, " "), r.Code, r.Stderr)
	}
	return r.Stdout
}

// MustJSON is Must for a command with --json; its last line is the result.
func (p *Person) MustJSON(into any, args ...string) {
	p.t.Helper()
	lines := strings.Split(strings.TrimSpace(p.Must(append(args, "--json")...)), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), into); err != nil {
		p.t.Fatalf("apocryph %s --json wrote %q: %v", strings.Join(args, " "), lines[len(lines)-1], err)
	}
}

// Write puts a file into the person's home.
func (p *Person) Write(name, content string) string {
	p.t.Helper()
	path := filepath.Join(p.Home, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// Address is the wallet's.
func (p *Person) Address() common.Address {
	p.t.Helper()
	a, err := evm.KeystoreAddress(filepath.Join(p.Home, "wallet.json"))
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

// Deployed is the result of apocryph deploy --json.
type Deployed struct {
	App     string `json:"app"`
	Name    string `json:"name"`
	URL     string `json:"url"`
	Channel string `json:"channel"`
}

// Receipt is the result of apocryph stop --json.
type Receipt struct {
	Deposited string `json:"deposited"`
	Claimed   string `json:"claimed"`
	Refunded  string `json:"refunded"`
}

// Adds is nil if something was paid, and the rest came back to the unit.
func (r Receipt) Adds() error {
	var claimed, refunded, deposited int64
	if _, err := fmt.Sscan(r.Claimed+" "+r.Refunded+" "+r.Deposited, &claimed, &refunded, &deposited); err != nil {
		return fmt.Errorf("receipt %+v: %w", r, err)
	}
	if claimed <= 0 || claimed+refunded != deposited {
		return fmt.Errorf("deposited %d, claimed %d, refunded %d", deposited, claimed, refunded)
	}
	return nil
}
