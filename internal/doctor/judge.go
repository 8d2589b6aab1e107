// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/doctor/probe"
	"github.com/apocryph/apocryph/internal/evidence"
)

// networkFacts are how a machine's dialer reached the listener of its own machine, and that of another if there is one.
type networkFacts struct {
	near probe.NetworkReport
	// peer is the other machine, empty if there was none. What kept its listener from being tried is its own business, and said there.
	peer string
	far  *probe.NetworkReport

	// began and seen are the doctor's readings around the near dialer, ended the machine's.
	began, seen, ended time.Time
}

// judgeNetwork: pods of one machine first, as a bridge may let them past the policies that hold between machines.
func judgeNetwork(f networkFacts) Verdict {
	v := judgeReport(f.near, "")
	if v.Result == OK && f.far != nil {
		v = judgeReport(*f.far, " from here to "+f.peer)
	}
	return v
}

// judgeReport: the allowed path is the control. Without it the closed ones prove nothing, and apps would be cut off besides.
func judgeReport(r probe.NetworkReport, between string) Verdict {
	var open []string
	if r.EgressDenied == probe.OK {
		open = append(open, "out of the sender")
	}
	if r.IngressDenied == probe.OK {
		open = append(open, "into the receiver")
	}
	switch {
	case len(open) > 0:
		return verdict(Fail, "a connection%s that a policy forbids came through: %s", between, strings.Join(open, " and "))
	case r.Allowed != probe.OK:
		return verdict(Fail, "a connection%s that the policies allow did not come through: %s", between, r.Allowed)
	}
	return verdict(OK, "the allowed path%s is open, both forbidden ones are closed", between)
}

type nameFacts struct {
	report probe.NetworkReport
	want   string
}

func judgeNames(f nameFacts) Verdict {
	switch {
	case f.report.NameError != "":
		return verdict(Fail, "looking up a Service: %s", f.report.NameError)
	case !slices.Contains(f.report.Addresses, f.want):
		return verdict(Fail, "a Service at %s was found at %s", f.want, strings.Join(f.report.Addresses, ", "))
	}
	return verdict(OK, "a Service was found at %s", f.want)
}

type userFacts struct {
	// refused is why the pod could not be made on a machine that took it.
	refused string
	report  probe.SelfReport
}

func judgeUsers(f userFacts) Verdict {
	fields := strings.Fields(f.report.UIDMap)
	switch {
	case f.refused != "":
		return verdict(Fail, "a pod with a user namespace does not start: %s", f.refused)
	case len(fields) < 3 || f.report.Error != "":
		return verdict(Unseen, "the pod's uid_map is %q %s", f.report.UIDMap, f.report.Error)
	case fields[0] == fields[1]:
		return verdict(Fail, "the pod's user ids are the machine's own (uid_map %q)", f.report.UIDMap)
	}
	return verdict(OK, "user id %s in the pod is %s on the machine", fields[0], fields[1])
}

// maxSilence is how long a machine's counter may not have looked.
const maxSilence = 2 * time.Minute

type counterFacts struct {
	priced bool
	// machines are those that take apps, looked when their counters last did.
	machines []string
	looked   map[string]time.Time
	now      time.Time
}

func judgeCounters(f counterFacts) Verdict {
	var missing, silent []string
	for _, m := range f.machines {
		if at, ok := f.looked[m]; !ok {
			missing = append(missing, m)
		} else if f.now.Sub(at) > maxSilence {
			silent = append(silent, m)
		}
	}
	// Where nothing is charged nobody has to count, but a counter that is there and stands still is worth a word.
	switch {
	case len(silent) > 0:
		return verdict(Fail, "the egress counter of %s has not looked for more than %s", strings.Join(silent, ", "), maxSilence)
	case f.priced && len(missing) > 0:
		return verdict(Fail, "what apps on %s send outside of the cluster has a price and no counter", strings.Join(missing, ", "))
	case len(missing) > 0:
		return verdict(OK, "what apps send outside of the cluster has no price, and is not counted on %s", strings.Join(missing, ", "))
	}
	return verdict(OK, "it is counted on %d machines", len(f.machines))
}

type volumeFacts struct {
	class string
	// size is what the claim got, at least what it asked for.
	size int64
	// refused is why no volume was made; empty if one was.
	refused string
	report  probe.VolumeReport
}

func judgeVolume(f volumeFacts) Verdict {
	switch {
	case f.refused != "" && f.class == "":
		return verdict(Fail, "no volume is given: %s", f.refused)
	case f.refused != "":
		return verdict(Fail, "storage class %q gives no volume: %s", f.class, f.refused)
	case f.report.Error != "":
		return verdict(Unseen, "filling a volume of class %q: %s", f.class, f.report.Error)
	case f.report.Taken > f.size:
		return verdict(Fail, "a volume of class %q of %s took %s", f.class, bytesOf(f.size), bytesOf(f.report.Taken))
	case !f.report.Refused:
		return verdict(Unseen, "class %q made a volume of %s, more than the probe fills: set doctor.volumeBytes to that", f.class, bytesOf(f.size))
	}
	return verdict(OK, "a volume of class %q of %s took %s and no more", f.class, bytesOf(f.size), bytesOf(f.report.Taken))
}

func bytesOf(n int64) string {
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB"
}

// imageFacts are what kubelet said of pulling an image that the store lacks, and one whose name the store refuses.
type imageFacts struct {
	prefix          string
	absent, refused string
}

// judgeImage: the first answer shows that kubelet reached something that speaks the registry's protocol on the machine's loopback and
// that lacks a random image, as any registry would. The second tells which: the image store alone takes nothing but app ids for the first
// part of a name and answers 400 to all else, where any other registry takes the name for good and answers 404 or asks for a login.
func judgeImage(f imageFacts) Verdict {
	absent, refused := strings.ToLower(f.absent), strings.ToLower(f.refused)
	is := func(s string, any ...string) bool {
		return slices.ContainsFunc(any, func(part string) bool { return strings.Contains(s, part) })
	}
	switch {
	case is(absent, "connection refused", "no route to host", "i/o timeout", "connection reset"):
		return verdict(Fail, "nothing answers at %s on the machine: %s", f.prefix, f.absent)
	case is(absent, "http response to https client"):
		return verdict(Fail, "the runtime speaks TLS to %s: %s", f.prefix, f.absent)
	case !is(absent, "not found", "manifest unknown"):
		return verdict(Fail, "what answers at %s is not the image store: %s", f.prefix, f.absent)
	case !is(refused, "400 bad request", "name invalid", "name_invalid"):
		return verdict(Fail, "another registry answers at %s: %s", f.prefix, f.refused)
	}
	return verdict(OK, "the image store answers at %s", f.prefix)
}

type taskFacts struct {
	most   int
	report probe.TasksReport
}

func judgeTasks(f taskFacts) Verdict {
	r := f.report
	if n, err := strconv.Atoi(r.Max); err == nil && n <= f.most {
		return verdict(OK, "pids.max is %d", n)
	}
	switch {
	case r.Error != "":
		return verdict(Unseen, "starting processes: %s", r.Error)
	case r.Limited && r.UserLimit > 0 && r.UserLimit <= uint64(r.Bound):
		return verdict(Unseen, "the user's own limit of %d processes hides the pod's", r.UserLimit)
	case !r.Limited && r.Started < f.most:
		return verdict(Unseen, "only %d processes were tried", r.Started)
	case !r.Limited:
		return verdict(Fail, "%d processes were started and none was refused (pids.max %q)", r.Started, r.Max)
	}
	return verdict(OK, "refused after %d processes", r.Started)
}

type gasFacts struct {
	account                 common.Address
	balance, fee            *big.Int
	claimGas, least, enough uint64
}

func judgeGas(f gasFacts) Verdict {
	claim := new(big.Int).Mul(f.fee, new(big.Int).SetUint64(f.claimGas))
	if claim.Sign() == 0 {
		claim.SetInt64(1) // a chain without fees takes any number
	}
	claims := new(big.Int).Div(f.balance, claim)
	saw := fmt.Sprintf("%s has %s wei: %s claims at %s wei per gas", f.account, f.balance, claims, f.fee)
	switch {
	case claims.Cmp(new(big.Int).SetUint64(f.least)) < 0:
		return verdict(Fail, "%s, the least is %d", saw, f.least)
	case claims.Cmp(new(big.Int).SetUint64(f.enough)) < 0:
		return verdict(Warn, "%s, enough would be %d", saw, f.enough)
	}
	return Verdict{OK, saw}
}

// The clock's tolerances: what is signed here is good for minutes, and another clock's readings come in whole seconds.
const (
	clockWarn = 5 * time.Second
	clockFail = time.Minute
	chainWarn = 5 * time.Minute
)

type clockFacts struct {
	// server is how far the API server's clock is ahead of ours, chain how far the newest block is; chain is nil if no endpoint answered.
	server time.Duration
	chain  *time.Duration
	// maxDrift is how far the chain may be off; 0 only warns.
	maxDrift time.Duration
}

func judgeClock(f clockFacts) Verdict {
	saw := "the API server's clock is " + offset(f.server)
	worst := OK
	switch {
	case f.server.Abs() > clockFail:
		worst = Fail
	case f.server.Abs() > clockWarn:
		worst = Warn
	}
	if f.chain == nil {
		return verdict(worst, "%s, the chain is unseen", saw)
	}
	saw += ", the chain's newest block " + offset(*f.chain)
	switch {
	case f.maxDrift > 0 && f.chain.Abs() > f.maxDrift:
		worst = Fail
	case f.chain.Abs() > chainWarn && worst == OK:
		worst = Warn
	}
	return Verdict{worst, saw}
}

type endFacts struct{ began, seen, ended time.Time }

// judgeEnd: how far a machine's clock is off at the least, since the probe ended somewhere between the two readings. Kubelet cuts its time to
// whole seconds.
func judgeEnd(f endFacts) Verdict {
	var off time.Duration
	switch {
	case f.ended.IsZero():
		return verdict(Unseen, "kubelet does not say when the probe ended")
	case f.ended.After(f.seen):
		off = f.ended.Sub(f.seen)
	case f.ended.Add(time.Second).Before(f.began):
		off = f.ended.Add(time.Second).Sub(f.began)
	}
	worst := OK
	switch {
	case off.Abs() > clockFail:
		worst = Fail
	case off.Abs() > clockWarn:
		worst = Warn
	}
	return verdict(worst, "the machine's clock is %s", offset(off))
}

func offset(d time.Duration) string {
	if d.Abs() < time.Second {
		return "even"
	}
	if d < 0 {
		return d.Abs().Round(time.Second).String() + " behind"
	}
	return d.Round(time.Second).String() + " ahead"
}

type teeFacts struct {
	// refused is why the keeper has no evidence; invalid why what it answered does not verify.
	refused  string
	invalid  error
	verified evidence.Verified
}

func judgeTEE(f teeFacts) Verdict {
	switch {
	case f.refused != "":
		return verdict(Fail, "the keeper has no evidence: %s", f.refused)
	case f.invalid != nil:
		return verdict(Fail, "the keeper's evidence does not verify: %s", f.invalid)
	case f.verified.Class == evidence.ClassNone:
		return verdict(Warn, "%s evidence verifies, and protects nothing", f.verified.Kind)
	}
	return verdict(OK, "%s evidence verifies, measurement %x", f.verified.Kind, f.verified.Measurement)
}
