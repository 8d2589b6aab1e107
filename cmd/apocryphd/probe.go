// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/apocryph/apocryph/internal/doctor/probe"
	"github.com/apocryph/apocryph/internal/span"
)

// probeCmd is what the doctor's pods run. It configures nothing: the doctor says everything on its command line.
type probeCmd struct {
	Listen  listenProbe  `cmd:"" help:"Accept connections until told to stop."`
	Network networkProbe `cmd:"" help:"Dial the listener and look up a name."`
	Self    selfProbe    `cmd:"" help:"Look at the own user namespace."`
	Tasks   tasksProbe   `cmd:"" help:"Start processes until refused."`
	Volume  volumeProbe  `cmd:"" help:"Fill a directory until refused."`
}

// ReportFlags say where a report goes.
type ReportFlags struct {
	Report string `help:"File for the report." default:"/dev/termination-log"`
}

type listenProbe struct{}

func (*listenProbe) Run(ctx context.Context) error {
	return probe.Listen(ctx, "", probe.PortAllowed, probe.PortEgressDenied, probe.PortIngressDenied)
}

type networkProbe struct {
	ReportFlags

	Allowed       string        `help:"Endpoint that the policies allow." required:""`
	EgressDenied  string        `help:"Endpoint that the sender's policy forbids." required:""`
	IngressDenied string        `help:"Endpoint that the receiver's policy forbids." required:""`
	Name          string        `help:"Name to look up." required:""`
	Patience      time.Duration `help:"How long to wait until rules are in force." default:"30s"`
	Timeout       time.Duration `help:"How long an attempt may take." default:"1s"`
}

func (c *networkProbe) Run(ctx context.Context) error {
	n := probe.Network{
		Allowed: c.Allowed, EgressDenied: c.EgressDenied, IngressDenied: c.IngressDenied, Name: c.Name,
		Patience: c.Patience, Timeout: c.Timeout,
	}
	return probe.Write(c.Report, n.Try(ctx, span.Wait))
}

type selfProbe struct{ ReportFlags }

func (c *selfProbe) Run() error { return probe.Write(c.Report, probe.Self("/proc")) }

type tasksProbe struct {
	ReportFlags

	Bound int `help:"Most processes to start." required:""`
}

func (c *tasksProbe) Run() error { return probe.Write(c.Report, probe.Tasks(c.Bound)) }

type volumeProbe struct {
	ReportFlags

	Most int64  `help:"Most bytes to store." required:""`
	Dir  string `arg:"" help:"Where."`
}

func (c *volumeProbe) Run() error { return probe.Write(c.Report, probe.Volume(c.Dir, c.Most)) }
