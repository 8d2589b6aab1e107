// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/apocryph/apocryph/e2e/bed"
)

const (
	// patience is for how long a publisher runs a command that fails again; commandLimit how long one may take. A provider whose doctor
	// saw a fault takes no new apps for up to two minutes after it.
	patience     = 4 * time.Minute
	commandLimit = 3 * time.Minute
	// stateBytes is the publisher's disk.
	stateBytes = 4 << 20
)

// publisher is a person with a wallet, whose records lie on a disk of their own.
type publisher struct {
	*bed.Person

	ground *ground
	log    func(string)
}

func newPublisher(t *testing.T, g *ground, person *bed.Person) *publisher {
	t.Helper()
	p := &publisher{Person: person, ground: g}
	state := filepath.Join(p.Home, "state")
	if err := os.MkdirAll(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", state, "tmpfs", 0, fmt.Sprintf("size=%d", stateBytes)); err != nil {
		t.Fatalf("a disk for the publisher: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(state, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	p.Shell = append(p.Shell, "APOCRYPH_RPC="+strings.Join(g.endpoints, ","))
	return p
}

// outcome is how a command ended.
type outcome struct {
	lines  []string // what it reported
	stderr string
	err    error
}

// client runs the client; after a number of lines it is killed, if kill is not 0. Extra environment wins.
func (p *publisher) client(ctx context.Context, kill int, extra []string, args ...string) outcome {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(p.Root, "build", "bin", "apocryph"), append(args, "--json")...)
	cmd.Env, cmd.Dir = append(append(os.Environ(), p.Shell...), extra...), p.Home
	out := &reported{kill: kill, stop: func() { _ = cmd.Process.Kill() }}
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &stderr
	err := cmd.Run()
	o := outcome{strings.Split(strings.TrimSpace(out.text.String()), "\n"), stderr.String(), err}
	verdict := "ok"
	if err != nil {
		verdict = err.Error() + ": " + strings.TrimSpace(o.stderr)
	}
	p.log(fmt.Sprintf("apocryph %s (%d lines): %s", strings.Join(args, " "), len(o.lines), verdict))
	return o
}

// reported is what a client wrote. It ends the client after some lines.
type reported struct {
	text bytes.Buffer
	kill int
	stop func()
}

// Write implements io.Writer.
func (r *reported) Write(b []byte) (int, error) {
	r.text.Write(b)
	if r.kill > 0 && bytes.Count(r.text.Bytes(), []byte("\n")) >= r.kill {
		r.stop()
	}
	return len(b), nil
}

// insist runs a command until it succeeds, as a person would who reads what it says. A failure that says nothing is a defect.
func (p *publisher) insist(ctx context.Context, args ...string) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for attempts := 1; ; attempts++ {
		last := p.client(context.WithoutCancel(ctx), 0, nil, args...)
		if last.err == nil {
			return last, nil
		}
		if err := clear(last); err != nil {
			return last, fmt.Errorf("apocryph %s: %w", strings.Join(args, " "), err)
		}
		pause(ctx, 2*time.Second)
		if ctx.Err() != nil {
			return last, fmt.Errorf("apocryph %s: no success in %d attempts, the last one: %w: %s", strings.Join(args, " "), attempts, last.err, last.stderr)
		}
	}
}

// errorLine is how the client says what is wrong.
var errorLine = regexp.MustCompile(`(?m)^apocryph: error: \S`)

// clear returns an error for a failure that a person could do nothing with.
func clear(o outcome) error {
	var exit *exec.ExitError
	switch {
	case !errors.As(o.err, &exit) || !exit.Exited():
		return fmt.Errorf("it did not end by itself: %w: %s", o.err, o.stderr)
	case !errorLine.MatchString(o.stderr):
		return fmt.Errorf("it failed and did not say why: %q", o.stderr)
	case strings.Contains(o.stderr, "panic") || strings.Contains(o.stderr, "goroutine "):
		return fmt.Errorf("it crashed: %s", o.stderr)
	}
	return nil
}

// act runs a command by habit, until it has succeeded.
func (p *publisher) act(ctx context.Context, h habit, args ...string) (outcome, error) {
	switch h.name {
	case impatient:
		for _, step := range h.steps {
			p.client(ctx, step, nil, args...)
		}
	case together:
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { p.client(ctx, 0, nil, args...) })
		}
		both.Wait()
	case cramped:
		free, err := fillUp(filepath.Join(p.Home, "state"))
		if err != nil {
			return outcome{}, err
		}
		o := p.client(ctx, 0, nil, args...)
		if err := free(); err != nil {
			return o, err
		}
		if o.err != nil {
			if err := clear(o); err != nil {
				return o, fmt.Errorf("on a full disk: %w", err)
			}
		}
	case twice:
		if o, err := p.insist(ctx, args...); err != nil {
			return o, err
		}
	}
	return p.insist(ctx, args...)
}

// copyOf makes a copy of the publisher's records, as a backup on another machine would be.
func (p *publisher) copyOf(name string) (string, error) {
	dir := filepath.Join(p.Home, name)
	return dir, os.CopyFS(dir, os.DirFS(filepath.Join(p.Home, "state")))
}

// result reads the last line of a command's report.
func (o outcome) result(into any) error {
	last := o.lines[len(o.lines)-1]
	if err := json.Unmarshal([]byte(last), into); err != nil {
		return fmt.Errorf("reading %q: %w", last, err)
	}
	return nil
}
