// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"time"
)

// Result is how a check ended.
type Result string

// The results. Unseen is no verdict: the check could not be made, and nothing follows from it.
const (
	OK     Result = "ok"
	Warn   Result = "warn"
	Fail   Result = "FAIL"
	Unseen Result = "unseen"
)

// Verdict is what a check says, with what it saw.
type Verdict struct {
	Result Result
	Saw    string
}

func verdict(r Result, format string, args ...any) Verdict {
	return Verdict{r, fmt.Sprintf(format, args...)}
}

// Finding is a check's verdict in one run.
type Finding struct {
	Check
	Verdict

	Required bool
	At       time.Time
	// Sights are what this run's machines said, if the check depends on the machine.
	Sights []Sight

	fleet *fleet
	// known says that some machine had a verdict, now or before; unvisited counts those that have not had their turn.
	known     bool
	unvisited int
}

// Check is one question about the provider.
type Check struct {
	// Name is also the type of its condition.
	Name string
	// Asks is the question, Do what to do when the answer is no.
	Asks string
	Do   string
	// Probes says that it makes pods, and so is asked less often.
	Probes bool

	// required is nil for what always is.
	required func(Config) bool
	// look is for the provider as a whole, at for each machine. Each check has one of them.
	look func(context.Context, *looker) Verdict
	at   func(context.Context, *site) Verdict
}

// Checks is the whole of the doctor's policy.
func Checks() []Check {
	return []Check{
		{
			Name: "NetworkPolicies", Probes: true,
			Asks: "Two pods of a machine, and pods of two machines, reach each other where the policies of their namespace allow it, and neither where the sender's nor where the receiver's forbid it.",
			Do: "install a network plugin that enforces NetworkPolicies in both directions; if yours does, see that the policies of the probes' namespace " +
				"are those of the chart (helm upgrade brings them back)",
			at: func(ctx context.Context, s *site) Verdict { return judged(s.network(ctx))(judgeNetwork) },
		},
		{
			Name: "UserNamespaces", Probes: true, required: func(c Config) bool { return c.UserNamespaces },
			Asks: "A pod with hostUsers: false runs, and its user ids are mapped to others on the machine. Advisory where apps.userNamespaces is false.",
			Do:   "run Linux 6.3 or later with containerd 2 or CRI-O on every machine, or set apps.userNamespaces to false and tell your publishers",
			at:   func(ctx context.Context, s *site) Verdict { return judged(s.users(ctx))(judgeUsers) },
		},
		{
			Name: "VolumeSizes", Probes: true,
			Asks: "A small volume of the apps' storage class is made, and does not take more than its size.",
			Do: "make a storage class that enforces sizes the default, or name one in apps.storageClass; if its least volume is larger than the probe's, " +
				"set doctor.volumeBytes",
			look: func(ctx context.Context, l *looker) Verdict {
				return judged(l.site("any", "").volume(ctx))(judgeVolume)
			},
		},
		{
			Name: "ImagePath", Probes: true,
			Asks: "Kubelet asks the image store on the machine's own loopback: an image that the store lacks, and a name that only this store refuses, fail with its answers.",
			Do: "see that the imagestore pod runs on the machine, that the network plugin knows hostPort (else set imagestore.hostNetwork), that nothing else " +
				"listens on the port of apps.imagePrefix, and that the runtime has no mirror for localhost",
			at: func(ctx context.Context, s *site) Verdict { return judged(s.image(ctx))(judgeImage) },
		},
		{
			Name: "PIDLimits", Probes: true,
			Asks: "A pod can't have more processes than doctor.maxPids: it is let start as many, and the kernel refuses.",
			Do:   "set podPidsLimit in the kubelet's configuration of every machine, to at most doctor.maxPids, and restart kubelet",
			at:   func(ctx context.Context, s *site) Verdict { return judged(s.tasks(ctx))(judgeTasks) },
		},
		{
			Name: "DNS", Probes: true,
			Asks: "A pod under the policies that apps have looks up a Service of its namespace and gets its address.",
			Do: "see that cluster DNS runs in kube-system with the label k8s-app=kube-dns and listens on port 53 or 5353: the policies of apps let " +
				"nothing else through",
			at: func(ctx context.Context, s *site) Verdict { return judged(s.names(ctx))(judgeNames) },
		},
		{
			Name: "MachineClocks", Probes: true,
			Asks: "The time at which kubelet says that a probe ended lies between the doctor's readings before and after it. Bills are made of such times.",
			Do:   "run a time service (chrony, systemd-timesyncd) on the machine; if all machines but one differ, on that one, where the doctor runs",
			at:   func(ctx context.Context, s *site) Verdict { return judged(s.end(ctx))(judgeEnd) },
		},
		{
			Name: "EgressCounters", required: func(c Config) bool { return c.EgressPriced },
			Asks: "Each machine that takes apps has an egress counter that looked within two minutes. Advisory where prices.egressGib is 0.",
			Do: "set egress.enabled, see that the egress pod runs on the machine and what it logs, or set prices.egressGib to 0: what nobody counts is " +
				"given away",
			look: func(ctx context.Context, l *looker) Verdict { return judged(l.counters(ctx))(judgeCounters) },
		},
		{
			Name: "Gas",
			Asks: "The account that pays for claims can pay for doctor.gas.leastClaims at the present fee; below doctor.gas.enoughClaims it warns.",
			Do:   "send coins of the chain to the gas account: what is not claimed is not earned, and apps go on running meanwhile",
			look: func(ctx context.Context, l *looker) Verdict { return judged(l.gas(ctx))(judgeGas) },
		},
		{
			Name: "Endpoints",
			Asks: "The chain's endpoints are of the configured chain, have the contract, agree on a block that they share, and none lags behind. One alone is a warning.",
			Do:   "give at least two endpoints of different operators in chain.rpc, and take out the one that differs",
			look: func(ctx context.Context, l *looker) Verdict { return judged(l.endpoints(ctx))(judgeEndpoints) },
		},
		{
			Name: "Clock",
			Asks: "The clock of the doctor's machine agrees with the API server's, and with the chain's newest block as far as doctor.maxDrift asks for it.",
			Do:   "run a time service (chrony, systemd-timesyncd) on every machine; a chain that stands still shows here too",
			look: func(ctx context.Context, l *looker) Verdict { return judged(l.clock(ctx))(judgeClock) },
		},
		{
			Name: "TEE",
			Asks: "The keeper answers a nonce with evidence that verifies, for this provider, chain and contract. A simulator's is a warning.",
			Do: "a simulator wants nothing but publishers who accept it; else read the keeper's log: its TEE device gives no report, or the keeper was " +
				"given another provider, chain or contract than the doctor",
			look: func(ctx context.Context, l *looker) Verdict { return judged(l.tee(ctx))(judgeTEE) },
		},
	}
}

// judged keeps gathering and judging apart: facts that could not be gathered are unseen, whatever the judge would say.
func judged[F any](facts F, err error) func(judge func(F) Verdict) Verdict {
	return func(judge func(F) Verdict) Verdict {
		if err != nil {
			return Verdict{Unseen, err.Error()}
		}
		return judge(facts)
	}
}
