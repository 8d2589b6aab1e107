// SPDX-License-Identifier: Apache-2.0

// Package progress tells people what long work does, and at the end how long each part of it took.
package progress

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// Entry is how long one part of the work took.
type Entry struct {
	Group string        `json:"group"`
	Name  string        `json:"name"`
	Took  time.Duration `json:"took"`
}

// Progress writes a line when a part of the work begins or ends. It can be used by many goroutines at once.
type Progress struct {
	out io.Writer

	mu      sync.Mutex
	begin   time.Time
	entries []Entry
}

// reminder is how often a part that takes long is mentioned again.
const reminder = 20 * time.Second

// New returns a Progress that writes to out.
func New(out io.Writer) *Progress { return &Progress{out: out, begin: time.Now()} }

// Do runs one part of the work.
func (p *Progress) Do(group, name string, work func() error) error {
	begin := time.Now()
	finished := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Go(func() {
		tick := time.NewTicker(reminder)
		defer tick.Stop()
		for {
			select {
			case <-finished:
				return
			case <-tick.C:
				p.Say("%-8s %s … %s", group, name, time.Since(begin).Round(time.Second))
			}
		}
	})
	err := work()
	close(finished)
	waiting.Wait()
	if err != nil {
		return fmt.Errorf("%s %s: %w", group, name, err)
	}
	p.Done(group, name, time.Since(begin))
	return nil
}

// Done records a part of the work that ended.
func (p *Progress) Done(group, name string, took time.Duration) {
	p.mu.Lock()
	p.entries = append(p.entries, Entry{group, name, took})
	p.mu.Unlock()
	p.Say("%-8s %s %s", group, name, seconds(took))
}

// Spent is the sum of what the parts of a group took; side by side they may have taken less.
func (p *Progress) Spent(group string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	var sum time.Duration
	for _, e := range p.entries {
		if e.Group == group {
			sum += e.Took
		}
	}
	return sum
}

// Say writes a line, with the time since the beginning.
func (p *Progress) Say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintf(p.out, "%7s  %s\n", seconds(time.Since(p.begin)), fmt.Sprintf(format, args...))
}

// Table writes how long each part took, in the order in which they ended, and the whole.
func (p *Progress) Table(out io.Writer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	const line = "%-9s %-26s %9s\n"
	_, _ = fmt.Fprintf(out, "\n"+line+"%s\n", "", "part", "took", strings.Repeat("-", 46))
	group := ""
	for _, e := range p.entries {
		shown := e.Group
		if shown == group {
			shown = ""
		}
		group = e.Group
		_, _ = fmt.Fprintf(out, line, shown, e.Name, seconds(e.Took))
	}
	_, _ = fmt.Fprintf(out, "%s\n"+line, strings.Repeat("-", 46), "", "all, side by side", seconds(time.Since(p.begin)))
}

// Write stores the entries as JSON, for programs that report them.
func (p *Progress) Write(path string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	data, err := json.MarshalIndent(p.entries, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

// Read adds the entries that another program stored by Write.
func (p *Progress) Read(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var entries []Entry
	if err := json.Unmarshal(data, &entries); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entries = append(p.entries, entries...)
	return nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }

// Together runs functions side by side and returns their errors.
func Together(work ...func() error) error {
	errs := make([]error, len(work))
	var all sync.WaitGroup
	for n, w := range work {
		all.Go(func() { errs[n] = w() })
	}
	all.Wait()
	return errors.Join(errs...)
}
