// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/apocryph/apocryph/internal/daemon"
	"github.com/apocryph/apocryph/internal/reference"
)

//go:generate go test -run ^TestGuide$ -update .

var update = flag.Bool("update", false, "write the generated files")

// TestGuide keeps docs/guide/provider.md equal to the services' command lines and metrics.
func TestGuide(t *testing.T) {
	parser, err := kong.New(&cli{}, kong.Name("apocryphd"), kong.DefaultEnvars(daemon.EnvPrefix))
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := reference.Metrics("../../internal", ".")
	if err != nil {
		t.Fatal(err)
	}
	page := reference.Header + guideStart + reference.Commands(parser.Model) + guideMetrics + metrics
	if err := reference.Settle("../../docs/guide/provider.md", page, *update); err != nil {
		t.Error(err)
	}
}

const guideStart = `# The provider's services

Each service is a sub-command of ` + "`apocryphd`" + `, run by the chart as a process of its own with its own service account. Flags also come from the
environment; the flag wins. Endpoints are host:port, prices are in base units of the token.

`

const guideMetrics = `## Metrics

On each service's --metrics endpoint, at ` + "`/metrics`" + `, beside those of the libraries. Nothing reads them for money.

`
