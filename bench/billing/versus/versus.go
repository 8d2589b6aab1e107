// SPDX-License-Identifier: Apache-2.0

// Package versus bills the same pods by this project's meter and as is usual with Prometheus, beside an oracle that knows from the container
// runtime when they ran.
//
// The pods are those of the end-to-end test of a crowd: some two hundred of four apps, which are deployed, updated, deleted in every way, crash,
// complete and are evicted, while the meter, the API server, the kubelet and the container runtime end and come back. All the while
// kube-state-metrics tells of them, and Prometheus asks it every 15 and every 60 seconds. Half way both are killed and started again, as
// the meter is.
//
// The usual query sums the samples of what pods request and multiplies by the time between two. There are two of it. One takes all samples, as
// the first version of this project did (comrade-coop/apocryph, pkg/prometheus: sum_over_time(kube_pod_container_resource_requests[…]) × 60). The
// other leaves out pods that do not run, as the National Research Platform's accounting does (sum_over_time((kube_pod_container_resource_requests
// * on(namespace, pod) group_left() max by(namespace, pod) (kube_pod_status_phase{phase="Running"} == 1))[1d:5m])).
//
// Measured with 248 pods on two processors with nothing beside it, over six minutes (half of the pods lived for less than 32 s): the meter was off by
// 0; all samples by +41 % every 15 s and every 60 s (they count what has ended and is not deleted yet); those of running pods by +33 % and
// +46 % (a sample stands for 15 or 60 seconds, of which a short life has few), the worst app's bill by +74 % and +77 %, and 27 and 135 pods were
// never seen.
//
// It needs Linux, root, apt (Prometheus is Debian's, downloaded below build/, not installed) and the devnet of this checkout: make devnet. What it
// starts listens on loopback and ends with it.
package versus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"
)

// pods are how many there are to be at least.
const pods = 200

// Config is how long it takes.
type Config struct {
	// Least is for how long pods come and go, at least.
	Least time.Duration
}

// bill is what the test of the crowd wrote of one app.
type bill struct {
	Namespace      string
	Billed, Prices map[string]*big.Int
	Claimed        string
	Verdict        struct {
		Used  map[string]*big.Int
		Owed  string
		Void  []string
		Lives []life
	}
}

// life is a pod or volume as the oracle has it.
type life struct {
	UID, Name, Kind string
	Seconds         int64
	From, To        time.Time
}

// resources in the order of the formula.
func resources() []string { return []string{"cpu", "memory", "ephemeral", "storage"} }

// row is one way to bill.
type row struct {
	name string
	// money of each app, in base units.
	money []float64
	// missed are the pods that ran and are not on the bill.
	missed int
}

// Run brings up the collectors, lets the crowd come and go, and prints the table.
func Run(ctx context.Context, out io.Writer, c Config) error {
	if _, err := os.Stat("build/devnet/env"); err != nil {
		return fmt.Errorf("it needs a devnet: run make devnet: %w", err)
	}
	dir, err := os.MkdirTemp("", "bench-billing")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := start(ctx, dir)
	if err != nil {
		return err
	}
	defer s.stop()
	begin := time.Now()
	bills, failed := crowd(ctx, s, dir, c.Least)
	if len(bills) == 0 {
		return failed
	}
	// What Prometheus has last, it has been told by then.
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(intervals()[1]):
	}
	rows := []row{ours(bills)}
	for _, every := range intervals() {
		for _, q := range queries() {
			r, err := s.bill(ctx, bills, q, every, begin)
			if err != nil {
				return fmt.Errorf("%s every %s: %w", q.name, every, err)
			}
			rows = append(rows, r)
		}
	}
	if err := table(out, bills, rows, time.Since(begin)-intervals()[1]); err != nil {
		return err
	}
	for i, b := range bills {
		if len(b.Verdict.Void) == 0 && (b.Claimed != b.Verdict.Owed || rows[0].money[i] != due(b.Verdict.Used, b.Prices)) {
			failed = errors.Join(failed, fmt.Errorf("%s: %s is claimed, by the runtime's records it is %s", b.Namespace, b.Claimed, b.Verdict.Owed))
		}
	}
	return failed
}

// crowd runs the test, restarts the collectors half way, and reads what it wrote.
func crowd(ctx context.Context, s *stand, dir string, least time.Duration) ([]bill, error) {
	records := filepath.Join(dir, "records.json")
	cmd := exec.CommandContext(ctx, "go", "test", "-trimpath", "-vet=off", "-count=1", "-timeout=40m",
		"-run=^TestEveryPodOfACrowdIsBilledAsItRan$", "./e2e/faults")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "APOCRYPH_E2E=1", "APOCRYPH_CROWD_RECORDS="+records,
		fmt.Sprintf("APOCRYPH_CROWD_SECONDS=%d", int(least.Seconds())), fmt.Sprintf("APOCRYPH_CROWD_PODS=%d", pods))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	var said []byte
	ended := make(chan error, 1)
	go func() {
		var err error
		said, err = cmd.CombinedOutput()
		ended <- err
	}()
	var err error
	select {
	case err = <-ended:
		err = errors.Join(err, errors.New("the crowd was gone before half its time"))
	case <-time.After(least / 2):
		restarted := s.restart(ctx)
		err = errors.Join(<-ended, restarted)
	}
	if err != nil {
		err = fmt.Errorf("the crowd: %w\n%s", err, said)
	}
	content, missing := os.ReadFile(records)
	if missing != nil {
		return nil, errors.Join(err, missing)
	}
	var bills []bill
	return bills, errors.Join(err, json.Unmarshal(content, &bills))
}

// ours is what the meter says.
func ours(bills []bill) row {
	r := row{name: "meter"}
	for _, b := range bills {
		r.money = append(r.money, due(b.Billed, b.Prices))
	}
	return r
}

// due is what quantities cost, before rounding: in thousandths of a vCPU × seconds, and bytes × seconds.
func due(used, prices map[string]*big.Int) float64 {
	sum := new(big.Rat)
	for _, r := range resources() {
		unit := int64(1 << 30)
		if r == "cpu" {
			unit = 1000
		}
		term := new(big.Rat).SetFrac(new(big.Int).Mul(used[r], prices[r]), new(big.Int).Mul(big.NewInt(unit), big.NewInt(3600)))
		sum.Add(sum, term)
	}
	f, _ := sum.Float64()
	return f
}

// table prints how far each is from the oracle.
func table(out io.Writer, bills []bill, rows []row, took time.Duration) error {
	var lives []time.Duration
	var truth float64
	var each []float64
	for _, b := range bills {
		for _, l := range b.Verdict.Lives {
			if l.Kind == "Pod" && l.Seconds > 0 {
				lives = append(lives, l.To.Sub(l.From).Round(time.Second))
			}
		}
		each = append(each, due(b.Verdict.Used, b.Prices))
		truth += each[len(each)-1]
	}
	slices.Sort(lives)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) } // Flush tells of errors
	say("%d pods of %d apps in %s\tall apps\tworst app\tpods missed\t\n", len(lives), len(bills), took.Round(time.Second))
	for _, r := range rows {
		var sum, worst float64
		for i, m := range r.money {
			sum += m
			if off := percent(m, each[i]); off*off > worst*worst {
				worst = off
			}
		}
		say("%s\t%s\t%s\t%d\t\n", r.name, percentage(percent(sum, truth)), percentage(worst), r.missed)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(lives) > 0 {
		_, err := fmt.Fprintf(out, "error of the bill against the container runtime's records; half of the pods lived for less than %s, the longest for %s\n",
			lives[len(lives)/2], lives[len(lives)-1])
		return err
	}
	return nil
}

func percent(is, should float64) float64 { return (is - should) / should * 100 }

func percentage(p float64) string {
	if p == 0 {
		return "0"
	}
	return fmt.Sprintf("%+.2f %%", p)
}
