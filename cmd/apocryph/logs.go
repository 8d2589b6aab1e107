// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
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

	Service string `arg:"" optional:"" help:"Only this service." placeholder:"SERVICE"`
	Follow  bool   `short:"f" help:"Go on as lines are written."`
	Since   string `help:"Leave out older lines: a duration, as in 10m, or a time, as in 2026-01-31T12:00:00Z." placeholder:"WHEN"`
}

type lineView struct {
	Service string    `json:"service"`
	Time    time.Time `json:"time"`
	Line    string    `json:"line"`
}

// Run writes log lines.
func (c *logsCmd) Run(ctx context.Context, a *publisher.App, p *publisher.Publisher, std stdio, con *Console) error {
	since, err := sinceOf(c.Since, time.Now())
	if err != nil {
		return err
	}
	q := publisher.LogQuery{Service: c.Service, Follow: c.Follow, Since: since}
	return p.Logs(ctx, a, q, func(l publisher.LogLine) error {
		if c.JSON {
			return con.line(lineView{l.Service, l.Time.UTC(), string(l.Line)})
		}
		prefix := ""
		if c.Service == "" {
			prefix = publisher.Clean(l.Service) + " | "
		}
		_, err := fmt.Fprintf(std.out, "%s%s\n", prefix, bytes.TrimRight(l.Line, "\r\n"))
		return err
	})
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
