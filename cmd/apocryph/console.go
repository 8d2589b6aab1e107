// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/publisher"
)

// OutputFlags say how results are written.
type OutputFlags struct {
	JSON bool `name:"json" help:"Write JSON: a line for each step, and one for the result. Amounts are decimal strings in base units."`

	std stdio
}

// AfterApply binds the *Console.
func (f *OutputFlags) AfterApply(k *kong.Context, std stdio) error {
	f.std = std
	return k.BindSingletonProvider(f.console)
}

func (f *OutputFlags) console() (*Console, error) {
	c := &Console{std: f.std, json: f.JSON}
	if file, ok := f.std.err.(*os.File); ok {
		c.terminal = term.IsTerminal(int(file.Fd()))
	}
	return c, nil
}

// Console writes results to standard output, and what happens meanwhile to standard error; with --json, both to standard output.
type Console struct {
	std      stdio
	json     bool
	terminal bool
	// bar says that the cursor is on a progress line.
	bar  bool
	last time.Time
}

// barEvery is how often a progress line is drawn again.
const barEvery = 100 * time.Millisecond

// Result writes a command's result: v as one line of JSON, or what text writes.
func (c *Console) Result(v any, text func(io.Writer) error) error {
	c.endBar()
	if !c.json {
		return text(c.std.out)
	}
	return c.line(v)
}

// Step writes an event of longer work.
func (c *Console) Step(e publisher.Event) {
	switch {
	case e.Total > 0 && e.Done < e.Total && time.Since(c.last) < barEvery:
		return
	case c.json:
		_ = c.line(stepView{"progress", e.Step, e.Message, e.Done, e.Total, e.Warning})
	case e.Warning:
		c.endBar()
		_, _ = fmt.Fprintf(c.std.err, "apocryph: warning: %s\n", e.Message)
	case e.Total > 0 && c.terminal:
		_, _ = fmt.Fprintf(c.std.err, "\r\x1b[K%-9s %s  %d of %d MiB", e.Step, e.Message, e.Done>>20, e.Total>>20)
		c.bar = true
	case e.Total > 0: // the step's own line says when it is done
	default:
		c.endBar()
		_, _ = fmt.Fprintf(c.std.err, "%-9s %s\n", e.Step, e.Message)
	}
	c.last = time.Now()
}

type stepView struct {
	Event   string `json:"event"`
	Step    string `json:"step"`
	Message string `json:"message"`
	Done    int64  `json:"done,omitempty"`
	Total   int64  `json:"total,omitempty"`
	Warning bool   `json:"warning,omitempty"`
}

// Note writes something that people should know and programs need not.
func (c *Console) Note(format string, args ...any) {
	if !c.json {
		c.endBar()
		_, _ = fmt.Fprintf(c.std.err, format+"\n", args...)
	}
}

// Confirm asks a question that must be answered with y; yes answers it already.
func (c *Console) Confirm(ctx context.Context, question string, yes bool) error {
	if yes {
		return nil
	}
	if !term.IsTerminal(int(c.std.in.Fd())) {
		return fault.Hint(publisher.ErrDeclined, "there is no terminal to ask on: add --yes")
	}
	c.endBar()
	_, _ = fmt.Fprintf(c.std.err, "%s [y/N] ", question)
	answers := make(chan string, 1)
	// Reading a terminal can't be interrupted: the goroutine ends with the program, right after an interrupt.
	go func() {
		line, _ := bufio.NewReader(c.std.in).ReadString('\n')
		answers <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case a := <-answers:
		if a == "y" || a == "yes" {
			return nil
		}
	}
	return fault.Hint(publisher.ErrDeclined, "nothing was done")
}

func (c *Console) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	_, err = fmt.Fprintf(c.std.out, "%s\n", b)
	return err
}

func (c *Console) endBar() {
	if c.bar {
		_, _ = fmt.Fprint(c.std.err, "\r\x1b[K")
		c.bar = false
	}
}

// readPassphrase asks for a passphrase without echo; twice for a new one.
func readPassphrase(std stdio, what string, twice bool) (string, error) {
	fd := int(std.in.Fd())
	if !term.IsTerminal(fd) {
		return "", fault.Hint(errors.New("there is no terminal to ask for the passphrase on"), "use --passphrase-file FILE or APOCRYPH_PASSPHRASE")
	}
	ask := func(prompt string) (string, error) {
		_, _ = fmt.Fprint(std.err, prompt)
		b, err := term.ReadPassword(fd)
		_, _ = fmt.Fprintln(std.err)
		if err != nil {
			return "", fmt.Errorf("reading the passphrase: %w", err)
		}
		return string(b), nil
	}
	first, err := ask("passphrase of " + what + ": ")
	if err != nil || !twice {
		return first, err
	}
	again, err := ask("the same again: ")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", fault.Hint(errors.New("the two passphrases differ"), "run the command again")
	}
	return first, nil
}
