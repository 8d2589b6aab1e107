// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// Oracle knows what apps cost by the container runtime's own records: e2e/oracle says how. It knows apps that were deployed after it was asked for.
type Oracle struct {
	mu      sync.Mutex // one question at a time
	ask     io.WriteCloser
	answers *json.Decoder
}

// Quantities are cpu in thousandths × seconds, the rest in bytes × seconds; or their prices per unit and hour.
type Quantities struct {
	CPU       *big.Int `json:"cpu"`
	Memory    *big.Int `json:"memory"`
	Ephemeral *big.Int `json:"ephemeral"`
	Storage   *big.Int `json:"storage"`
}

// Verdict is what an oracle says of an app.
type Verdict struct {
	Used Quantities `json:"used"`
	Owed string     `json:"owed"`
	// Lives are the pods and volumes that count.
	Lives []Life `json:"lives"`
	// Void is what it missed: then nothing is proven. Differs is where Kubernetes recorded another second than the runtime.
	Void    []string `json:"void"`
	Differs []string `json:"differs"`
	Drift   Drift    `json:"drift"`
}

// Life is a pod or a volume.
type Life struct {
	UID       string    `json:"uid"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Kind      string    `json:"kind"`
	Attempts  int       `json:"attempts"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Seconds   int64     `json:"seconds"`
	Rate      struct {
		MilliCPU  int64 `json:"milliCPU"`
		Memory    int64 `json:"memory"`
		Ephemeral int64 `json:"ephemeral"`
		Storage   int64 `json:"storage"`
	} `json:"rate"`
	// Recorded is what Kubernetes has of it: how many containers' starts and ends, and the first and the last of those.
	Recorded struct {
		Starts int       `json:"starts"`
		Ends   int       `json:"ends"`
		From   time.Time `json:"from"`
		To     time.Time `json:"to"`
	} `json:"recorded"`
}

// Drift is how far apart are those who tell the time.
type Drift struct {
	Start     Span          `json:"start"`
	End       Span          `json:"end"`
	Straddled int           `json:"straddled"`
	Recorded  Span          `json:"recorded"`
	Seen      Span          `json:"seen"`
	Pause     time.Duration `json:"pause"`
	Breaks    int           `json:"breaks"`
	Lost      int           `json:"lost"`
}

// Span is the least and the most of some differences of times.
type Span struct {
	N     int           `json:"n"`
	Least time.Duration `json:"least"`
	Most  time.Duration `json:"most"`
}

// String is a span in words.
func (s Span) String() string { return fmt.Sprintf("%s to %s (%d)", s.Least, s.Most, s.N) }

// String is a drift in words.
func (d Drift) String() string {
	return fmt.Sprintf("the runtime's records less its events: starts %s, ends %s, %d in another second; Kubernetes' records less the runtime's %s; "+
		"volumes were seen %s after they were bound; heartbeats at most %s apart; the runtime broke off %d times; of %d pods Kubernetes lost the first start or the last end",
		d.Start, d.End, d.Straddled, d.Recorded, d.Seen, d.Pause, d.Breaks, d.Lost)
}

// Consult starts an oracle, which listens until the test ends.
func (d *Devnet) Consult(t *testing.T) *Oracle {
	t.Helper()
	program := filepath.Join(t.TempDir(), "oracle")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", program, ".")
	build.Env, build.Dir = append(os.Environ(), "CGO_ENABLED=0"), filepath.Join(checkout(t), "e2e", "oracle")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the oracle: %v\n%s", err, out)
	}
	socket, err := d.Inside("/run/containerd/containerd.sock")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, "--containerd="+socket, "--kubeconfig="+d.Env["KUBECONFIG"], "--prefix="+v1alpha1.Namespace(""))
	var said bytes.Buffer
	cmd.Stderr = &said
	o := &Oracle{}
	if o.ask, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o.answers = json.NewDecoder(answers)
	t.Cleanup(func() {
		summary, err := o.summary()
		if err := errors.Join(err, o.ask.Close(), cmd.Wait()); err != nil {
			t.Errorf("the oracle: %v", err)
		}
		summary = t.Name() + ": " + summary
		t.Logf("%s; what it noticed:\n%s", summary, said.String())
		if err := os.WriteFile(filepath.Join(d.Root, "build", "oracle-"+t.Name()+".txt"), []byte(summary+"\n"), 0o600); err != nil {
			t.Error(err)
		}
	})
	var listening struct{ Listening bool }
	if err := o.answers.Decode(&listening); err != nil || !listening.Listening {
		t.Fatalf("the oracle does not listen: %v: %s", err, said.String())
	}
	return o
}

// summary is what it saw in all, in words.
func (o *Oracle) summary() (string, error) {
	all, err := o.Verdict("", Quantities{})
	if err != nil {
		return "", err
	}
	pods, starts := all.Count()
	return fmt.Sprintf("%d pods with %d containers started; %s", pods, starts, all.Drift), nil
}

// Count is how many pods ran, and how many containers were started in them.
func (v Verdict) Count() (pods, starts int) {
	for _, l := range v.Lives {
		if l.Kind == "Pod" && l.Attempts > 0 {
			pods++
			starts += l.Attempts
		}
	}
	return pods, starts
}

// Verdict asks for the bill of an app at prices. Without an app it is of all, and the drift of all.
func (o *Oracle) Verdict(app string, prices Quantities) (Verdict, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	question := struct {
		Namespace string     `json:"namespace"`
		Prices    Quantities `json:"prices"`
	}{Prices: prices}
	if app != "" {
		question.Namespace = v1alpha1.Namespace(app)
	}
	var v Verdict
	if err := json.NewEncoder(o.ask).Encode(question); err != nil {
		return v, err
	}
	return v, o.answers.Decode(&v)
}
