// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/apocryph/apocryph/internal/publisher"
)

type eventsCmd struct {
	StateFlags
	WalletFlags
	TrustFlags
	OutputFlags
	AppArg

	Service string `arg:"" optional:"" help:"Only this service." placeholder:"SERVICE"`
	Follow  bool   `short:"f" help:"Go on as things happen."`
}

type eventView struct {
	Time    time.Time `json:"time"`
	Service string    `json:"service,omitempty"`
	Kind    string    `json:"kind"`
	Message string    `json:"message"`
	Count   uint32    `json:"count"`
	Warning bool      `json:"warning,omitempty"`
}

// Run writes the time line of an app.
func (c *eventsCmd) Run(ctx context.Context, a *publisher.App, p *publisher.Publisher, std stdio, con *Console) error {
	return p.Events(ctx, a, publisher.EventQuery{Service: c.Service, Follow: c.Follow}, func(h publisher.Happened) error {
		if c.JSON {
			return con.line(eventView{h.Time.UTC(), h.Service, h.Kind, h.Message, h.Count, h.Warning})
		}
		who, times := h.Service, ""
		if who == "" {
			who = "app"
		}
		if h.Count > 1 {
			times = fmt.Sprintf(" (%d times)", h.Count)
		}
		_, err := fmt.Fprintf(std.out, "%s  %-9s %-10s %s%s\n", h.Time.UTC().Format(time.RFC3339), who, h.Kind, h.Message, times)
		return err
	})
}
