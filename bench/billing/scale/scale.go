// SPDX-License-Identifier: Apache-2.0

// Package scale measures what it takes to meter many pods: the provider's own meter, as a process with its service's own account and rights,
// against a real API server whose machines and pods kwok plays. Nothing in the meter knows that it is measured: its times and memory are
// the operating system's, its requests those of the API server's record, and the bills of one app in ten are worked out again from the
// driver's record of starts and ends.
//
// All of it shares one computer, so the rate is what that comes to, with the meter off beside it. The pods that end meanwhile are held by
// the finalizers that the meter takes off: how long it takes to catch up with them is another row. The last part has few apps whose pods live
// shortly, so that each is billed for hundreds of intervals: what one costs must not grow with them.
package scale

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Config says how much there is.
type Config struct {
	// Pods live at any time, evenly over Apps.
	Pods, Apps int
	// Rate is how many pods are started and how many ended each second, for Period.
	Rate   int
	Period time.Duration
	// Tick is the meter's.
	Tick time.Duration
}

// fewApps is how many apps the last part has, and fewPods how many pods live in it.
const (
	fewApps = 10
	fewPods = 500
)

// parts are those of the rig whose time is shown besides the meter's and the driver's.
func parts() []string { return []string{"kube-apiserver", "etcd", "kwok"} }

// row is what one stretch of the run came to.
type row struct {
	name    string
	took    time.Duration
	turned  int
	cpu     map[string]time.Duration
	peak    int64
	asked   requests
	apps    int
	delays  []time.Duration
	drained time.Duration
	tenths  []sample
}

// sample is how far things were at one moment.
type sample struct {
	at   time.Time
	cpu  map[string]time.Duration
	pods int64
}

// bench is a run.
type bench struct {
	Config
	out   io.Writer
	dir   string
	plane *plane
	meter *meter
	load  *load
}

// Run runs everything and prints its tables. Logs and state go to a folder that is removed if all is well.
func Run(ctx context.Context, out io.Writer, c Config) (err error) {
	dir, err := os.MkdirTemp("", "bench-scale")
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = os.RemoveAll(dir)
		} else {
			err = fmt.Errorf("%w (logs are in %s)", err, dir)
		}
	}()
	b := &bench{Config: c, out: out, dir: dir}
	defer func() {
		if b.plane != nil {
			err = errors.Join(err, b.plane.stop())
		}
	}()
	return b.run(ctx)
}

func (b *bench) run(ctx context.Context) (err error) {
	program := filepath.Join(b.dir, "apocryphd")
	if err := build(ctx, ".", "./cmd/apocryphd", program); err != nil {
		return err
	}
	if b.plane, err = newPlane(ctx, b.dir, os.Stderr); err != nil {
		return err
	}
	w, err := newWorld(ctx, b.plane, 0, b.Apps)
	if err != nil {
		return err
	}
	seen, stopWatch, err := follow(ctx, w)
	if err != nil {
		return err
	}
	b.load = &load{world: w}
	if err := b.load.fill(ctx, b.Pods); err != nil {
		return err
	}
	say("%d pods of %d apps run on %d machines", b.Pods, b.Apps, machines)
	rows := make([]row, 0, 4)
	off, err := b.stretch(ctx, "meter off", min(b.Period, time.Minute), nil)
	if err != nil {
		return err
	}
	if b.meter, err = startMeter(ctx, program, b.plane.Account, b.Tick); err != nil {
		return err
	}
	caught, err := b.catchUp(ctx)
	if err != nil {
		return err
	}
	on, err := b.stretch(ctx, "meter on", b.Period, seen)
	if err != nil {
		return err
	}
	lives, bills, wrong, err := seen.compare(ctx, w)
	for settled := time.Now().Add(b.Tick); err == nil && len(wrong) > 0 && time.Now().Before(settled); { // what started last is written down in a moment
		time.Sleep(time.Second)
		lives, bills, wrong, err = seen.compare(ctx, w)
	}
	if err != nil {
		return err
	}
	few, err := b.few(ctx, seen)
	if err != nil {
		return err
	}
	said, err := b.meter.stop()
	if err != nil {
		return fmt.Errorf("the meter: %w\n%s", err, said)
	}
	if err := stopWatch(); err != nil {
		return err
	}
	say("the meter said %d lines", strings.Count(said, "\n"))
	if err := os.WriteFile(filepath.Join(b.dir, "meter.log"), []byte(said), 0o600); err != nil {
		return err
	}
	notes := append([]string{fmt.Sprintf("bills of %d apps worked out again from %d lives: %d differ", bills, lives, len(wrong))}, wrong...)
	return b.table(append(rows, off, caught, on, few), notes, len(wrong))
}

func say(format string, args ...any) {
	_, _ = fmt.Fprintf(os.Stderr, time.Now().Format(time.TimeOnly)+"  "+format+"\n", args...)
}

// sample reads how far everything is.
func (b *bench) sample() (sample, error) {
	s := sample{at: time.Now(), cpu: map[string]time.Duration{}, pods: b.load.made.Load()}
	pids := map[string]int{"driver": os.Getpid()}
	if b.meter != nil {
		pids["meter"] = b.meter.cmd.Process.Pid
	}
	for _, part := range parts() {
		pids[part] = b.plane.PIDs[part]
	}
	var err error
	for name, pid := range pids {
		if s.cpu[name], err = cpu(pid); err != nil {
			return s, err
		}
	}
	return s, nil
}

// stretch turns pods over for a while, and waits until nothing is left of those that ended.
func (b *bench) stretch(ctx context.Context, name string, period time.Duration, seen *record) (row, error) {
	r := row{name: name, apps: len(b.load.tenants)}
	before, err := audited(b.plane.Audit)
	if err != nil {
		return r, err
	}
	first, err := b.sample()
	if err != nil {
		return r, err
	}
	r.tenths = append(r.tenths, first)
	r.turned, err = b.load.turn(ctx, b.Rate, period, func() error {
		s, err := b.sample()
		r.tenths = append(r.tenths, s)
		return err
	})
	if err != nil {
		return r, err
	}
	last := r.tenths[len(r.tenths)-1]
	r.took, r.cpu = last.at.Sub(first.at), spent(first, last)
	say("%s: %d pods ended and started in %s", name, r.turned, r.took.Round(time.Millisecond))
	if b.meter == nil {
		return r, nil
	}
	begin := time.Now()
	if err := b.load.until(ctx, "pods that ended are gone", func() (bool, error) { return b.load.gone(ctx) }); err != nil {
		return r, err
	}
	r.drained = time.Since(begin)
	after, err := audited(b.plane.Audit)
	if err != nil {
		return r, err
	}
	r.asked = after.less(before)
	if r.peak, err = peak(b.meter.cmd.Process.Pid); err != nil {
		return r, err
	}
	if seen != nil {
		r.delays = seen.delays(first.at, last.at)
	}
	return r, nil
}

// spent is what was computed between two samples.
func spent(from, to sample) map[string]time.Duration {
	out := map[string]time.Duration{}
	for name, d := range to.cpu {
		out[name] = d - from.cpu[name]
	}
	return out
}

// catchUp is what a meter does that comes to a cluster where pods ended while there was none: it ends when they are gone, and every app has had a
// round.
func (b *bench) catchUp(ctx context.Context) (row, error) {
	r := row{name: "catching up", apps: len(b.load.tenants)}
	first, err := b.sample()
	if err != nil {
		return r, err
	}
	if err := b.load.until(ctx, "the meter has caught up", func() (bool, error) { return b.load.gone(ctx) }); err != nil {
		return r, err
	}
	last, err := b.sample()
	if err != nil {
		return r, err
	}
	r.took, r.drained, r.cpu = last.at.Sub(first.at), last.at.Sub(first.at), spent(first, last)
	if r.asked, err = audited(b.plane.Audit); err != nil {
		return r, err
	}
	r.peak, err = peak(b.meter.cmd.Process.Pid)
	say("the meter caught up after %s", r.took.Round(time.Millisecond))
	return r, err
}

// few is the part with few apps. The others go on beside it, unchanged.
func (b *bench) few(ctx context.Context, seen *record) (row, error) {
	w, err := newWorld(ctx, b.plane, b.Apps, fewApps)
	if err != nil {
		return row{}, err
	}
	b.load = &load{world: w, beside: len(b.load.queue)}
	if err := b.load.fill(ctx, fewPods); err != nil {
		return row{}, err
	}
	select {
	case <-ctx.Done():
		return row{}, ctx.Err()
	case <-time.After(b.Tick + 5*time.Second): // by when the meter has heard of them
	}
	return b.stretch(ctx, fmt.Sprintf("%d apps", fewApps), b.Period/2, seen)
}

// table prints everything.
func (b *bench) table(rows []row, notes []string, wrong int) error {
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(w, "%d pods, %d apps, tick %s, %d CPUs\t", b.Pods, b.Apps, b.Tick, runtime.NumCPU())
	for _, r := range rows {
		_, _ = fmt.Fprintf(w, "%s\t", r.name)
	}
	line := func(name string, value func(r row) string) {
		_, _ = fmt.Fprintf(w, "\n%s\t", name)
		for _, r := range rows {
			_, _ = fmt.Fprintf(w, "%s\t", value(r))
		}
	}
	line("seconds", func(r row) string { return fmt.Sprintf("%.1f", r.took.Seconds()) })
	line("starts and ends, each per second", func(r row) string {
		if r.turned == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f", float64(r.turned)/r.took.Seconds())
	})
	for _, part := range slices.Concat([]string{"meter"}, parts(), []string{"driver"}) {
		line("CPU of "+part+", % of a core", func(r row) string {
			if _, ok := r.cpu[part]; !ok {
				return "-"
			}
			return fmt.Sprintf("%.1f", 100*r.cpu[part].Seconds()/r.took.Seconds())
		})
	}
	metered := func(value func(r row) string) func(r row) string {
		return func(r row) string {
			if r.asked == nil {
				return "-"
			}
			return value(r)
		}
	}
	line("meter's peak of memory, MiB", metered(func(r row) string { return fmt.Sprintf("%.0f", float64(r.peak)/(1<<20)) }))
	line("meter's writes", metered(func(r row) string { return fmt.Sprint(r.asked.writes()) }))
	line("allowed: 3 an interval, 1 an app and tick", metered(func(r row) string { return b.allowed(r) }))
	line("meter's reads", metered(func(r row) string {
		n := 0
		for _, count := range r.asked {
			n += count
		}
		return fmt.Sprint(n - r.asked.writes())
	}))
	line("held after its end, median, ms", func(r row) string { return r.quantile(0.5) })
	line("held after its end, 99 %, ms", func(r row) string { return r.quantile(0.99) })
	line("drained after, s", metered(func(r row) string { return fmt.Sprintf("%.1f", r.drained.Seconds()) }))
	_, _ = fmt.Fprintln(w)
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range rows {
		if r.asked != nil {
			_, _ = fmt.Fprintf(b.out, "%s: %s\n", r.name, r.asked)
		}
	}
	if err := b.tenths(rows[2:]); err != nil {
		return err
	}
	for _, n := range notes {
		_, _ = fmt.Fprintln(b.out, n)
	}
	if wrong > 0 {
		return errors.New("bills differ")
	}
	return nil
}

// allowed is how many writes a row may have come to, where it turned pods over.
func (b *bench) allowed(r row) string {
	if r.turned == 0 {
		return "-"
	}
	ticks := int(math.Ceil(r.took.Seconds() / b.Tick.Seconds()))
	return fmt.Sprint(3*r.turned + r.apps*ticks)
}

// quantile is how long so many of the pods were held at most.
func (r row) quantile(q float64) string {
	if len(r.delays) == 0 {
		return "-"
	}
	return fmt.Sprint(r.delays[int(q*float64(len(r.delays)-1))].Milliseconds())
}

// String lists what was asked for, in order.
func (r requests) String() string {
	var all []string
	for what, n := range r {
		all = append(all, fmt.Sprintf("%s %d", what, n))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// tenths prints what an interval cost the meter in each tenth of a row.
func (b *bench) tenths(rows []row) error {
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprint(w, "\nmeter's CPU, ms an interval, in each tenth\t")
	for n := range 10 {
		_, _ = fmt.Fprintf(w, "%d\t", n+1)
	}
	for _, r := range rows {
		_, _ = fmt.Fprintf(w, "\n%s (%d intervals an app)\t", r.name, r.turned/r.apps)
		for i := 1; i < len(r.tenths); i++ {
			from, to := r.tenths[i-1], r.tenths[i]
			_, _ = fmt.Fprintf(w, "%.2f\t", float64(spent(from, to)["meter"].Microseconds())/1000/float64(max(1, to.pods-from.pods)))
		}
	}
	_, _ = fmt.Fprintln(w)
	return w.Flush()
}
