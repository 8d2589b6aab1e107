// SPDX-License-Identifier: Apache-2.0

// Command billing measures bills: how far those are off that Prometheus would write, beside the meter's (prometheus), and how many pods one
// meter can bill and what that takes (scale). -part runs one part alone.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/apocryph/apocryph/bench/billing/scale"
	"github.com/apocryph/apocryph/bench/billing/versus"
)

// part is one comparison, which prints a table.
type part struct {
	name string
	run  func(ctx context.Context, out io.Writer) error
}

func main() {
	only := flag.String("part", "", "run one part alone: prometheus or scale")
	v := versus.Config{}
	flag.DurationVar(&v.Least, "crowd-for", 4*time.Minute, "prometheus: for how long pods come and go, at least")
	c := scale.Config{}
	flag.IntVar(&c.Pods, "pods", 10_000, "scale: pods that live at any time")
	flag.IntVar(&c.Apps, "apps", 1000, "scale: apps that have them")
	flag.IntVar(&c.Rate, "rate", 50, "scale: pods that start, and pods that end, each second")
	flag.DurationVar(&c.Period, "for", 5*time.Minute, "scale: for how long")
	flag.DurationVar(&c.Tick, "tick", 30*time.Second, "scale: the meter's tick")
	flag.Parse()
	parts := []part{
		{"prometheus", func(ctx context.Context, out io.Writer) error { return versus.Run(ctx, out, v) }},
		{"scale", func(ctx context.Context, out io.Writer) error { return scale.Run(ctx, out, c) }},
	}
	os.Exit(run(parts, *only))
}

// run measures the parts of a name, or all, and returns the exit code.
func run(parts []part, only string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ran := false
	for _, p := range parts {
		if only != "" && only != p.name {
			continue
		}
		ran = true
		if err := p.run(ctx, os.Stdout); err != nil {
			fmt.Fprintf(os.Stderr, "bench/billing: %s: %v\n", p.name, err)
			return 1
		}
	}
	if !ran {
		fmt.Fprintf(os.Stderr, "bench/billing: no part %q\n", only)
		return 2
	}
	return 0
}
