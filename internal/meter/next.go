// SPDX-License-Identifier: Apache-2.0

// Package meter writes down what apps use, exactly once, from Kubernetes' own records.
//
// It guards the account from which publishers are charged. Pods and claims of tenants are born with a finalizer that only the meter
// takes off, and only after their interval is closed in Usage.status: so nothing vanishes unwritten, however long the meter is away. An
// interval is closed, added to the totals and remembered by its UID in one write with optimistic concurrency; a crash between that and
// the finalizer repeats the latter only. Times come from the kubelet's records and the machines' heartbeats, not from this process's
// presence; what they don't prove is free. Nothing ever goes down or back: not totals, not accruedTo.
package meter

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/metered"
	"github.com/apocryph/apocryph/internal/usage"
)

const (
	// settling is how much younger than now a second must not be to be billed: a kubelet needs a moment to report that a container ended.
	settling = 5 * time.Second
	// maxSilence is how long a machine may be silent before the time since is unproven, unless a container ran through it. A kubelet
	// renews its Lease every 10 s and is declared dead after 40.
	maxSilence = 2 * time.Minute

	kindPod    = "Pod"
	kindVolume = "Volume"
)

// Observed is what there is of one app at one moment, read after its Usage was.
type Observed struct {
	Pods   []corev1.Pod
	Claims []corev1.PersistentVolumeClaim
	// Machines has the last heartbeat of each.
	Machines map[string]time.Time
	// Stopped says that the app is ending and no pod will be made any more.
	Stopped bool
}

// Next returns the account after an observation, and the UIDs of those pods and claims whose finalizer may go once that account is
// stored. It is pure. The keeper's fields are kept as they are; a final account never changes.
func Next(s v1alpha1.UsageStatus, o Observed, now time.Time) (v1alpha1.UsageStatus, []types.UID, error) {
	s = *s.DeepCopy()
	if s.Final {
		return s, nil, nil
	}
	totals, err := metered.Closed(s.Totals)
	if err != nil {
		return s, nil, err
	}
	a := &account{status: s, totals: totals, now: now}
	for i := range o.Pods {
		if guarded(&o.Pods[i]) {
			a.pod(&o.Pods[i], o.Machines)
		}
	}
	for i := range o.Claims {
		if guarded(&o.Claims[i]) {
			a.claim(&o.Claims[i], o.Machines)
		}
	}
	a.forgetGone()
	a.status.Totals = WriteTotals(a.totals)
	a.status.Final = o.Stopped && len(a.status.Open) == 0 && len(a.status.ClosedUIDs) == 0 && len(a.seen) == 0
	return a.status, a.release, nil
}

func guarded(obj metav1.Object) bool {
	return slices.Contains(obj.GetFinalizers(), v1alpha1.FinalizerMeter)
}

// account is one call of Next.
type account struct {
	status  v1alpha1.UsageStatus
	totals  usage.Totals
	now     time.Time
	seen    []string
	release []types.UID
}

func (a *account) pod(p *corev1.Pod, machines map[string]time.Time) {
	uid := string(p.UID)
	a.seen = append(a.seen, uid)
	if slices.Contains(a.status.ClosedUIDs, uid) {
		a.release = append(a.release, p.UID)
		return
	}
	t := times(p)
	i := a.find(uid)
	if i < 0 && !t.start.IsZero() {
		rate := Requests(&p.Spec)
		i = a.open(v1alpha1.Interval{
			UID: uid, Kind: kindPod, Name: p.Labels[v1alpha1.LabelService], Machine: p.Spec.NodeName,
			MilliCPU: rate.MilliCPU, MemoryBytes: rate.MemoryBytes, EphemeralBytes: rate.EphemeralBytes, Start: ceil(t.start),
		})
	}
	switch {
	case t.over && i < 0: // never started, so there is nothing to write down
		a.release = append(a.release, p.UID)
	case t.over:
		a.close(i, t.end)
		a.release = append(a.release, p.UID)
	case i >= 0:
		a.accruePod(i, t, machines)
	}
}

// accruePod moves an open interval on to the machine's heartbeat. After a long silence only a container that ran through it proves the
// time between; otherwise the interval goes on with what runs now.
func (a *account) accruePod(i int, t podTimes, machines map[string]time.Time) {
	in := &a.status.Open[i]
	beat, ok := machines[in.Machine]
	if !ok {
		return
	}
	upTo := accrued(in)
	if beat.Sub(upTo) > maxSilence && (t.running.IsZero() || t.running.After(upTo)) {
		a.bank(i)
		in.Start, in.AccruedTo = ceil(t.running), nil
		if t.running.IsZero() {
			in.Start = ceil(beat)
		}
	}
	a.accrue(i, beat)
}

func (a *account) claim(c *corev1.PersistentVolumeClaim, machines map[string]time.Time) {
	uid := string(c.UID)
	a.seen = append(a.seen, uid)
	if slices.Contains(a.status.ClosedUIDs, uid) {
		a.release = append(a.release, c.UID)
		return
	}
	size := c.Spec.Resources.Requests.Storage().Value()
	i := a.find(uid)
	if i < 0 && c.Status.Phase == corev1.ClaimBound && c.DeletionTimestamp.IsZero() {
		// Nobody records when a claim was bound: what passed before it was first seen is free.
		i = a.open(v1alpha1.Interval{
			UID: uid, Kind: kindVolume, Name: c.Labels[v1alpha1.LabelVolume], StorageBytes: size, Start: ceil(a.now),
		})
	}
	switch {
	case !c.DeletionTimestamp.IsZero():
		if i >= 0 {
			a.close(i, c.DeletionTimestamp.Time)
		}
		a.release = append(a.release, c.UID)
	case i >= 0:
		a.accrue(i, newest(machines))
		if in := &a.status.Open[i]; in.StorageBytes != size {
			a.bank(i)
			in.StorageBytes, in.Start, in.AccruedTo = size, metav1.NewTime(accrued(in)), nil
		}
	}
}

func (a *account) find(uid string) int {
	return slices.IndexFunc(a.status.Open, func(in v1alpha1.Interval) bool { return in.UID == uid })
}

func (a *account) open(in v1alpha1.Interval) int {
	a.status.Open = append(a.status.Open, in)
	return len(a.status.Open) - 1
}

// accrue lets an interval be billed up to a heartbeat, but not the last moments.
func (a *account) accrue(i int, beat time.Time) {
	in := &a.status.Open[i]
	upTo := a.now.Add(-settling)
	if beat.Before(upTo) {
		upTo = beat
	}
	upTo = upTo.Truncate(time.Second)
	if !upTo.After(accrued(in)) {
		return
	}
	in.AccruedTo = &metav1.Time{Time: upTo}
	if a.status.AccruedTo == nil || a.status.AccruedTo.Time.Before(upTo) {
		a.status.AccruedTo = &metav1.Time{Time: upTo}
	}
}

// close ends an interval, but never before what was billed already, and adds it to the totals.
func (a *account) close(i int, end time.Time) {
	in := &a.status.Open[i]
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
		if !slices.Contains(a.seen, a.status.Open[i].UID) {
			a.bank(i)
			a.status.Open = slices.Delete(a.status.Open, i, i+1)
		}
	}
	a.status.ClosedUIDs = slices.DeleteFunc(a.status.ClosedUIDs, func(uid string) bool { return !slices.Contains(a.seen, uid) })
}

func accrued(in *v1alpha1.Interval) time.Time {
	if in.AccruedTo == nil || in.AccruedTo.Before(&in.Start) {
		return in.Start.Time
	}
	return in.AccruedTo.Time
}

func newest(machines map[string]time.Time) time.Time {
	var t time.Time
	for _, beat := range machines {
		if beat.After(t) {
			t = beat
		}
	}
	return t
}

// ceil rounds up to the whole seconds that the API keeps.
func ceil(t time.Time) metav1.Time {
	whole := t.Truncate(time.Second)
	if whole.Before(t) {
		whole = whole.Add(time.Second)
	}
	return metav1.NewTime(whole)
}
