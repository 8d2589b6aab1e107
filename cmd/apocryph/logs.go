// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/publisher"
)

type logsCmd struct {
	StateFlags
	WalletFlags
	TrustFlags
	OutputFlags
	AppArg

	Service    string `arg:"" optional:"" help:"Only this service; also one that is stopped, or no longer in the app file." placeholder:"SERVICE"`
	Follow     bool   `short:"f" help:"Go on as lines are written."`
	Tail       string `short:"n" help:"Of the lines that are there, only the last ones of each service: a number, or all." default:"all" placeholder:"N"`
	Since      string `help:"Leave out older lines: a duration, as in 10m, or a time, as in 2026-01-31T12:00:00Z." placeholder:"WHEN"`
	Previous   bool   `short:"p" help:"Only runs that have ended: before the last restart, of pods that are gone."`
	Timestamps bool   `short:"t" help:"Write when each line was written, too."`
}

type lineView struct {
	Service string    `json:"service"`
	Time    time.Time `json:"time"`
	Line    string    `json:"line"`
	// Stream is stderr, or left out.
	Stream string `json:"stream,omitempty"`
	// Notice, instead of a line, is what the provider says about lines that are missing.
	Notice string `json:"notice,omitempty"`
}

// Run writes log lines.
func (c *logsCmd) Run(ctx context.Context, a *publisher.App, p *publisher.Publisher, std stdio, con *Console) error {
	since, err := sinceOf(c.Since, time.Now())
	if err != nil {
		return err
	}
	if c.Previous && c.Follow {
		return usageError{errors.New("--previous and --follow exclude each other: runs that have ended write no more")}
	}
	tail, err := tailOf(c.Tail)
	if err != nil {
		return err
	}
	q := publisher.LogQuery{Service: c.Service, Follow: c.Follow, Since: since, Tail: tail, Previous: c.Previous}
	return p.Logs(ctx, a, q, func(l publisher.LogLine) error {
		if c.JSON {
			return con.line(viewOf(l))
		}
		return c.write(std, l)
	})
}

func viewOf(l publisher.LogLine) lineView {
	v := lineView{Service: l.Service, Time: l.Time.UTC(), Line: string(l.Line), Notice: l.Notice}
	if l.Stderr {
		v.Stream = "stderr"
	}
	return v
}

// write writes a line as its service wrote it. What the provider says goes to standard error, so that a log stays a log.
func (c *logsCmd) write(std stdio, l publisher.LogLine) error {
	if l.Notice != "" {
		about := ""
		if l.Service != "" {
			about = publisher.Clean(l.Service) + ": "
		}
		_, err := fmt.Fprintf(std.err, "apocryph: note: %s%s\n", about, l.Notice)
		return err
	}
	prefix := ""
	if c.Service == "" {
		prefix = publisher.Clean(l.Service) + " | "
	}
	if c.Timestamps {
		prefix += l.Time.UTC().Format("2006-01-02T15:04:05.000000000Z") + " "
	}
	_, err := fmt.Fprintf(std.out, "%s%s\n", prefix, bytes.TrimRight(l.Line, "\r\n"))
	return err
}

func tailOf(text string) (*uint32, error) {
	if text == "all" {
		return nil, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return nil, fault.Hint(usageError{fmt.Errorf("--tail: %.40q is neither a number nor all", text)}, "write 100, or leave it out")
	}
	return new(uint32(n)), nil
}

func sinceOf(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.Time{}, fault.Hint(usageError{fmt.Errorf("--since: %.40q is neither a duration nor a time", text)}, "write 10m, 2h, or 2026-01-31T12:00:00Z")
}
