// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// commandLine runs the publisher's client as a person would: the binary, its flags, and the environment that `devnet up` wrote.
type commandLine struct {
	bin string
	env []string
	// out shows people what is run and what it says.
	out io.Writer
}

// readEnv reads the lines NAME=value of a file made to be sourced.
func readEnv(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	env := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if ok && !strings.HasPrefix(name, "#") {
			env[name] = strings.Trim(value, `'"`)
		}
	}
	return env, nil
}

// writeEnv makes a file to source, so that a person can go on as this publisher.
func writeEnv(path string, env map[string]string) error {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if name != "PATH" {
			fmt.Fprintf(&b, "export %s='%s'\n", name, strings.ReplaceAll(env[name], "'", `'\''`))
		}
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}

// run shows the command and returns what it wrote to standard output. What it wrote to standard error is shown, and part of the error.
func (c *commandLine) run(ctx context.Context, args ...string) ([]byte, error) {
	_, _ = fmt.Fprintf(c.out, "\n$ apocryph %s\n", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, c.bin, args...)
	cmd.Env = c.env
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout = &stdout
	cmd.Stderr = io.MultiWriter(&stderr, c.out)
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("apocryph %s: %w\n%s", args[0], err, stderr.Bytes())
	}
	return stdout.Bytes(), nil
}

// show is run for output that people read.
func (c *commandLine) show(ctx context.Context, args ...string) ([]byte, error) {
	out, err := c.run(ctx, args...)
	_, _ = c.out.Write(out)
	return out, err
}

// result runs a command with --json and decodes its last line, which is its result; the lines before are progress.
func (c *commandLine) result(ctx context.Context, into any, args ...string) error {
	out, err := c.run(ctx, append(args, "--json")...)
	if err != nil {
		return err
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], into); err != nil {
		return fmt.Errorf("apocryph %s --json wrote %q: %w", args[0], lines[len(lines)-1], err)
	}
	return nil
}

// follow runs a command until what it wrote satisfies enough, then ends it.
func (c *commandLine) follow(ctx context.Context, limit time.Duration, enough func([]byte) bool, args ...string) error {
	_, _ = fmt.Fprintf(c.out, "\n$ apocryph %s\n", strings.Join(args, " "))
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.bin, args...)
	cmd.Env = c.env
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	var seen []byte
	buf := make([]byte, 4096)
	found := false
	for !found {
		n, err := out.Read(buf)
		seen = append(seen, buf[:n]...)
		_, _ = c.out.Write(buf[:n])
		found = enough(seen)
		if err != nil {
			break
		}
	}
	cancel()
	_ = cmd.Wait() // it was interrupted: how it ended says nothing
	if !found {
		return errors.New("apocryph " + strings.Join(args, " ") + " did not show what was awaited: " + string(seen) + stderr.String())
	}
	return nil
}
