// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/apocryph/apocryph/internal/daemon"
	"github.com/apocryph/apocryph/internal/doctor"
	"github.com/apocryph/apocryph/internal/reference"
)

//go:generate go test -run Guide$ -update .

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

// TestDoctorGuide keeps docs/guide/doctor.md equal to the doctor's list of checks.
func TestDoctorGuide(t *testing.T) {
	if err := reference.Settle("../../docs/guide/doctor.md", reference.Header+doctorGuide+doctor.Guide(), *update); err != nil {
		t.Error(err)
	}
}

const doctorGuide = `# The doctor

` + "`apocryphd doctor`" + ` looks whether a provider's cluster, chain and enclave are what everything else takes them for. It runs all the time in a
Deployment of the chart, once with ` + "`helm test`" + `, and whenever it is asked to:

` + "```sh" + `
kubectl -n apocryph-system exec deploy/doctor -- apocryphd doctor          # a table; --json for programs
kubectl -n apocryph-system exec deploy/doctor -- apocryphd doctor --only=Gas,Endpoints
kubectl -n apocryph-system get provider provider -o yaml                   # what it last said, a condition for each check
` + "```" + `

It exits with 0 when every required check passes, with 1 when one fails, and with 2 when none is known to fail but one could not be made, or the
doctor could not run at all. A warning passes. What to do follows the table below; the next look tells whether it helped, so run it once more by hand
rather than wait.

**While a required check fails, no quotes are given for new apps** (the doctor that runs all the time looks three times, 15 s apart, before
it says so: what is just being replaced is no fault): publishers are refused with ` + "`PROVIDER_UNFIT`" + ` and the check's name. Nothing else
changes. Apps that run go on, are updated and stopped as ever, and an order on a quote that was given before is taken as long as that quote
counts: its channel is open and paid. A check that can't be made (no machine takes the probe, the chain is away) leaves its condition as it was, and a
doctor that has said nothing for an hour is not heard any more.

What it makes lies in the namespace ` + "`apocryph-system-doctor`" + ` with the label ` + "`apocryph.network/probe`" + `, and is removed at the end of each look,
or at the beginning of the next one if the doctor died. List a check in ` + "`doctor.advisory`" + ` of the chart's values to have it warn only; the
thresholds are values there too.

## Machines

Policies, user namespaces, the way to the image store, process limits, DNS and clocks are looked at on every machine that an app's pod may be put on:
not on those that are cordoned, not ready, or tainted, since apps tolerate no taint. One look takes ` + "`doctor.atOnce`" + ` machines, and those that were not
looked at for longest first; where there are more, looks follow each other the faster. What each machine last said, and when, is in the Provider's
` + "`status.machines`" + `, and counts until it is looked at again, is taken out, or leaves the cluster.

**One machine that fails a required check withdraws quotes**, because the scheduler may put the next app there
([why](../adr/one-machine-that-fails.md)). The condition names it. Repair it, or take it out and new apps are taken again with the next look:

` + "```sh" + `
kubectl cordon m2                                                                                      # apps that run there go on
kubectl -n apocryph-system exec deploy/doctor -- apocryphd doctor                                      # m2 is not counted any more
kubectl -n apocryph-system exec deploy/doctor -- apocryphd doctor --machine=m2 --quiet                 # repaired? looked at, though cordoned
kubectl uncordon m2
` + "```" + `

A cluster in which some machines are for other work needs nothing but the taint that keeps apps off them.

## Checks

`

const guideStart = `# The provider's services

Each service is a sub-command of ` + "`apocryphd`" + `, run by the chart as a process of its own with its own service account. Flags also come from the
environment; the flag wins. Endpoints are host:port, prices are in base units of the token.

`

const guideMetrics = `## Metrics

On each service's --metrics endpoint, at ` + "`/metrics`" + `, beside those of the libraries. Nothing reads them for money.

`
