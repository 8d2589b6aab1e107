// SPDX-License-Identifier: Apache-2.0

// Package meter writes down what apps use, exactly once, from Kubernetes' own records.
//
// It guards the account from which publishers are charged. Pods and claims of tenants are born with a finalizer that only the meter
// takes off, and only after their interval is closed in Usage.status: so nothing vanishes unwritten, however long the meter is away. An
// interval is closed, added to the totals and remembered by its UID in one write with optimistic concurrency; a crash between that and
// the finalizer repeats the latter only. Bytes come from reporters' cumulative counters, and how far each is in the totals is part of that same
// write. Times come from the kubelet's records and the machines' heartbeats, not from this process's
// presence; what they don't prove is free. Once per tick all there is of an app is listed; between, watches tell what begins and ends, which is
// believed if it is later than that list. Nothing ever goes down or back: not totals, not accruedTo. Which time counts, case by case, is
// in docs/protocol/metering.md.
package meter

import (
	"cmp"
	"iter"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/metered"
	"github.com/apocryph/apocryph/internal/usage"
)

const (
	kindPod    = "Pod"
	kindVolume = "Volume"
)

// Observed is what there is of one app at one moment, read after its Usage was; or what changed of that.
type Observed struct {
	Pods   []corev1.Pod
	Claims []corev1.PersistentVolumeClaim
	// Changes says that these are only what changed since all of it was listed, by watches, which may be late. Such news can begin an interval,
	// lower its rate and end it, but not prove that it goes on; and what is not among them is not gone.
	Changes bool
	// Gone are those that watches told to be gone.
	Gone []types.UID
	// Heard is what machines' heartbeats prove.
	Heard Heard
	// Reports are what was counted of the app's bytes to the outside.
	Reports Reports
	// Stopped says that the app is ending and no pod will be made any more.
	Stopped bool
}

func (o *Observed) empty() bool { return len(o.Pods)+len(o.Claims)+len(o.Gone) == 0 }

// objects are pods and claims, which may be changed.
func (o *Observed) objects() iter.Seq[client.Object] {
	return func(yield func(client.Object) bool) {
		for i := range o.Pods {
			if !yield(&o.Pods[i]) {
				return
			}
		}
		for i := range o.Claims {
			if !yield(&o.Claims[i]) {
				return
			}
		}
	}
}

// Next returns the account after an observation, and the UIDs of those pods and claims whose finalizer may go once that account is
// stored. It is pure. The keeper's fields are kept as they are; a final account never changes, but what came after it holds nobody up.
func Next(s v1alpha1.UsageStatus, o Observed, now time.Time) (v1alpha1.UsageStatus, []types.UID, error) {
	s = *s.DeepCopy()
	if s.Final {
		return s, leaving(o), nil
	}
	totals, err := metered.Closed(s.Totals)
	if err != nil {
		return s, nil, err
	}
	a := &account{status: s, totals: totals, heard: o.Heard, reports: o.Reports, now: now, changes: o.Changes, gone: o.Gone}
	for i := range o.Pods {
		if guarded(&o.Pods[i]) {
			a.pod(&o.Pods[i])
		}
	}
	a.count()
	for i := range o.Claims {
		if guarded(&o.Claims[i]) {
			a.claim(&o.Claims[i])
		}
	}
	a.forgetGone()
	a.status.Totals = WriteTotals(a.totals)
	a.status.Final = !o.Changes && o.Stopped && o.Reports.Whole && len(a.status.Open) == 0 && len(a.status.ClosedUIDs) == 0 && len(a.seen) == 0
	return a.status, a.release, nil
}

// leaving are the UIDs of what is being deleted and held by our finalizer.
func leaving(o Observed) []types.UID {
	var all []types.UID
	for obj := range o.objects() {
		if guarded(obj) && !obj.GetDeletionTimestamp().IsZero() {
			all = append(all, obj.GetUID())
		}
	}
	return all
}

// moved reports whether an account says something new other than how far open intervals have come and which UIDs need not be remembered any
// more: those two may wait for the next billing tick, the rest may not.
func moved(was, is v1alpha1.UsageStatus) bool {
	same := was.Final == is.Final && equality.Semantic.DeepEqual(reserved(was.Totals), reserved(is.Totals)) && slices.EqualFunc(was.Open, is.Open, func(a, b v1alpha1.Interval) bool {
		return a.UID == b.UID && a.Start.Equal(&b.Start)
	})
	return !same || slices.ContainsFunc(is.ClosedUIDs, func(uid string) bool { return !slices.Contains(was.ClosedUIDs, uid) }) || counted(was, is)
}

// reserved are totals without what no time is counted of.
func reserved(t v1alpha1.Totals) v1alpha1.Totals {
	t.EgressBytes = ""
	return t
}

func guarded(obj metav1.Object) bool {
	return slices.Contains(obj.GetFinalizers(), v1alpha1.FinalizerMeter)
}

// account is one call of Next.
type account struct {
	status  v1alpha1.UsageStatus
	totals  usage.Totals
	heard   Heard
	reports Reports
	now     time.Time
	changes bool
	gone    []types.UID
	seen    []string
	release []types.UID
}

// there reports whether something is there, as far as is known: of what watches tell, it must be in the account.
func (a *account) there(uid string) bool {
	if a.changes {
		return !a.left(uid) && (a.find(uid) >= 0 || slices.Contains(a.status.ClosedUIDs, uid))
	}
	return slices.Contains(a.seen, uid)
}

// left reports whether something is gone.
func (a *account) left(uid string) bool {
	if a.changes {
		return slices.Contains(a.gone, types.UID(uid))
	}
	return !slices.Contains(a.seen, uid)
}

func (a *account) pod(p *corev1.Pod) {
	uid := string(p.UID)
	a.seen = append(a.seen, uid)
	m, rate := a.heard.Machines[p.Spec.NodeName], Requests(p)
	t := times(p, m.credible())
	if slices.Contains(a.status.ClosedUIDs, uid) {
		a.letGo(p, m, t.end)
		return
	}
	i := a.find(uid)
	if i < 0 && (t.running || !t.start.IsZero()) {
		start := metav1.NewTime(firstWhole(t.start))
		if t.start.IsZero() {
			start = ceil(a.now) // it runs, and that is all that is known
		}
		i = a.open(v1alpha1.Interval{
			UID: uid, Kind: kindPod, Name: cmp.Or(p.Labels[v1alpha1.LabelService], p.Labels[v1alpha1.LabelVolume]), Machine: p.Spec.NodeName, Start: start,
		}, rate)
	}
	switch {
	case t.untold(m, a.now):
	case t.over && i < 0: // never started, so there is nothing to write down
		a.release = append(a.release, p.UID)
	case t.over:
		a.skipSilence(i, m, t.end)
		a.close(i, rate, t.end)
		a.letGo(p, m, t.end)
	case i >= 0 && !a.changes:
		a.skipSilence(i, m, m.Beat)
		upTo := m.upTo()
		if !t.running && t.end.Before(upTo) {
			upTo = t.end // it may have been the last
		}
		if !t.ordered.IsZero() && t.ordered.Before(upTo) {
			upTo = t.ordered // its end is reported when all that it had is taken down, which may be long after it
		}
		a.accrue(i, rate, upTo)
	case i >= 0:
		a.lower(i, rate)
	}
}

// lower lets an interval go on at a lesser rate from what is written down.
func (a *account) lower(i int, rate usage.Rate) {
	a.turn(i, least(metered.RateOf(a.status.Open[i]), rate), accrued(&a.status.Open[i]))
}

// skipSilence leaves out of an interval, which is looked at until some time, what lies before the end of its machine's last long silence and is
// not written down yet. Nothing says when that silence began.
func (a *account) skipSilence(i int, m Machine, until time.Time) {
	in := &a.status.Open[i]
	proven := earlier(m.Since, until)
	if m.Since.IsZero() || proven.Sub(accrued(in)) <= maxSilence {
		return // never heard, or not long enough to hold a silence that matters
	}
	a.bank(i)
	in.Start, in.AccruedTo = ceil(proven), nil
}

func (a *account) claim(c *corev1.PersistentVolumeClaim) {
	uid := string(c.UID)
	a.seen = append(a.seen, uid)
	if slices.Contains(a.status.ClosedUIDs, uid) {
		a.release = append(a.release, c.UID)
		return
	}
	rate := usage.Rate{StorageBytes: sizeOf(c)}
	i := a.find(uid)
	if i < 0 && c.Status.Phase == corev1.ClaimBound && c.DeletionTimestamp.IsZero() {
		// Nobody records when a claim was bound: what passed before it was first seen is free.
		i = a.open(v1alpha1.Interval{UID: uid, Kind: kindVolume, Name: c.Labels[v1alpha1.LabelVolume], Start: ceil(a.now)}, rate)
	}
	switch {
	case !c.DeletionTimestamp.IsZero() && i < 0 && a.changes: // somebody else may have opened it since the account was read: that is for a list to tell
	case !c.DeletionTimestamp.IsZero():
		if i >= 0 {
			a.skipSilence(i, a.heard.Cluster, c.DeletionTimestamp.Time)
			a.close(i, rate, c.DeletionTimestamp.Time)
		}
		a.release = append(a.release, c.UID)
	case i >= 0 && !a.changes:
		a.skipSilence(i, a.heard.Cluster, a.heard.Cluster.Beat)
		a.accrue(i, rate, a.heard.Cluster.upTo())
	case i >= 0:
		a.lower(i, rate)
	}
}

// sizeOf is what a volume has of what was ordered: one that is to grow counts as it is until it has.
func sizeOf(c *corev1.PersistentVolumeClaim) int64 {
	ordered := c.Spec.Resources.Requests.Storage().Value()
	if has := c.Status.Capacity.Storage().Value(); has > 0 {
		return min(ordered, has)
	}
	return ordered
}

func (a *account) find(uid string) int {
	return slices.IndexFunc(a.status.Open, func(in v1alpha1.Interval) bool { return in.UID == uid })
}

func (a *account) open(in v1alpha1.Interval, rate usage.Rate) int {
	a.status.Open = append(a.status.Open, in)
	i := len(a.status.Open) - 1
	setRate(&a.status.Open[i], rate)
	return i
}

// accrue lets an interval be billed up to a time. Nobody records when a rate changed: one that fell counts from what is not written down yet, one
// that rose from now, and the time between is free.
func (a *account) accrue(i int, rate usage.Rate, upTo time.Time) {
	a.lower(i, rate)
	if a.now.Before(upTo) {
		upTo = a.now
	}
	a.reach(i, upTo)
	a.turn(i, rate, a.now)
}

// reach moves an interval on to a time, if that is later than what it has.
func (a *account) reach(i int, upTo time.Time) {
	in := &a.status.Open[i]
	upTo = upTo.Truncate(time.Second)
	if !upTo.After(accrued(in)) {
		return
	}
	in.AccruedTo = &metav1.Time{Time: upTo}
	if a.status.AccruedTo == nil || a.status.AccruedTo.Time.Before(upTo) {
		a.status.AccruedTo = &metav1.Time{Time: upTo}
	}
}

// turn lets an interval go on at another rate, from a time that is not before what is written down.
func (a *account) turn(i int, rate usage.Rate, from time.Time) {
	in := &a.status.Open[i]
	if metered.RateOf(*in).Equal(rate) {
		return
	}
	a.bank(i)
	in.Start, in.AccruedTo = ceil(later(from, accrued(in))), nil
	setRate(in, rate)
}

// close ends an interval, but never before what was billed already, and adds it to the totals.
func (a *account) close(i int, rate usage.Rate, end time.Time) {
	in := &a.status.Open[i]
	a.lower(i, rate)
	if end.After(accrued(in)) {
		in.AccruedTo = &metav1.Time{Time: end.Truncate(time.Second)}
	}
	a.bank(i)
	a.status.ClosedUIDs = append(a.status.ClosedUIDs, in.UID)
	a.status.Open = slices.Delete(a.status.Open, i, i+1)
}

// bank adds what an interval has accrued to the totals. The caller ends it or moves its start.
func (a *account) bank(i int) {
	in := a.status.Open[i]
	a.totals = a.totals.Add(metered.RateOf(in).For(usage.Seconds(in.Start.Time, accrued(&in))))
}

// forgetGone closes what vanished although its finalizer should have held it, at what was proven, and forgets the UIDs of those whose
// finalizer is gone: they can't come back, because UIDs are never used twice.
func (a *account) forgetGone() {
	for i := len(a.status.Open) - 1; i >= 0; i-- {
		if a.left(a.status.Open[i].UID) {
			a.bank(i)
			a.status.Open = slices.Delete(a.status.Open, i, i+1)
		}
	}
	a.status.ClosedUIDs = slices.DeleteFunc(a.status.ClosedUIDs, a.left)
}

func accrued(in *v1alpha1.Interval) time.Time {
	if in.AccruedTo == nil || in.AccruedTo.Before(&in.Start) {
		return in.Start.Time
	}
	return in.AccruedTo.Time
}

func setRate(in *v1alpha1.Interval, r usage.Rate) {
	in.MilliCPU, in.MemoryBytes, in.EphemeralBytes, in.StorageBytes, in.Extended = r.MilliCPU, r.MemoryBytes, r.EphemeralBytes, r.StorageBytes, r.Extended
}

// firstWhole is the first second that is whole after something was recorded to have started. Kubernetes keeps such times in whole seconds, rounded
// down: so that second began before the start did.
func firstWhole(recorded time.Time) time.Time { return recorded.Truncate(time.Second).Add(time.Second) }

// ceil rounds up to the whole seconds that the API keeps.
func ceil(t time.Time) metav1.Time {
	whole := t.Truncate(time.Second)
	if whole.Before(t) {
		whole = whole.Add(time.Second)
	}
	return metav1.NewTime(whole)
}
