// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/kube"
)

// owner is the field owner of the doctor's part of the Provider.
const owner = "doctor"

// Reasons of conditions.
const (
	reasonPassed  = "Passed"
	reasonWarning = "Warning"
	reasonFailed  = "Failed"
	reasonUnseen  = "Unseen"

	reasonFit   = "NoRequiredCheckFails"
	reasonUnfit = "RequiredCheckFails"
)

// maxMessage bounds what a condition quotes.
const maxMessage = 1024

// Tell writes findings into the Provider. Checks that are not among them stay as they were.
func (d *Doctor) Tell(ctx context.Context, found []Finding) error {
	d.count.show(found)
	p, err := d.provider(ctx)
	if err == nil {
		p.Status = d.state(p.Status, found)
		d.count.fit.Set(truth(!apimeta.IsStatusConditionFalse(p.Status.Conditions, v1alpha1.ConditionFit)))
		said := &v1alpha1.Provider{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name}, Status: p.Status}
		said.Status.GasAccount = "" // the invoicer's to say
		err = kube.ApplyStatus(ctx, d.parts.Cluster, said, owner)
	}
	if err != nil {
		d.count.runs.WithLabelValues("untold").Inc()
		return err
	}
	d.count.runs.WithLabelValues("said").Inc()
	return nil
}

// state is what the Provider says after findings. It is pure.
func (d *Doctor) state(old v1alpha1.ProviderStatus, found []Finding) v1alpha1.ProviderStatus {
	now := metav1.NewTime(d.parts.Now().Truncate(time.Second))
	s := v1alpha1.ProviderStatus{GasAccount: old.GasAccount, SeenAt: &now, Machines: remember(old.Machines, found, now)}
	// What is no check any more is forgotten.
	for _, k := range Checks() {
		if c := apimeta.FindStatusCondition(old.Conditions, k.Name); c != nil {
			s.Conditions = append(s.Conditions, *c)
		}
	}
	if fit := apimeta.FindStatusCondition(old.Conditions, v1alpha1.ConditionFit); fit != nil {
		s.Conditions = append(s.Conditions, *fit) // for the time of its last change
	}
	for _, f := range found {
		f = f.concluded(s.Machines) // who told meanwhile counts too
		c := condition(f, apimeta.FindStatusCondition(s.Conditions, f.Name))
		c.LastTransitionTime = now
		apimeta.SetStatusCondition(&s.Conditions, c)
	}
	fit := d.fit(&s)
	fit.LastTransitionTime = now
	apimeta.SetStatusCondition(&s.Conditions, fit)
	return s
}

// condition is a finding as a condition. An unseen one keeps the status that it had; where machines have verdicts, none of them fails, or the
// finding would be that.
func condition(f Finding, old *metav1.Condition) metav1.Condition {
	c := metav1.Condition{Type: f.Name, Status: metav1.ConditionTrue, Reason: reasonPassed, Message: f.Saw}
	switch f.Result {
	case OK:
	case Warn:
		c.Reason, c.Message = reasonWarning, f.Saw+"; to do: "+f.Do
	case Fail:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, reasonFailed, f.Saw+"; to do: "+f.Do
	case Unseen:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, reasonUnseen, f.Saw
		if old != nil && old.Status != metav1.ConditionUnknown {
			c.Status = old.Status
			c.Message = "unseen now (" + f.Saw + ")" + lastSeen + cutLast(old.Message)
		}
		if f.known {
			c.Status, c.Message = metav1.ConditionTrue, "unseen now ("+f.Saw+"); nothing else that was seen fails"
		}
	}
	if len(c.Message) > maxMessage {
		c.Message = strings.ToValidUTF8(c.Message[:maxMessage], "")
	}
	return c
}

const lastSeen = "; last seen: "

// cutLast is what was last seen, however often it was unseen since.
func cutLast(message string) string {
	if _, last, ok := strings.Cut(message, lastSeen); ok {
		return last
	}
	return message
}

// fit sums up. It is False only while something required is known to fail.
func (d *Doctor) fit(s *v1alpha1.ProviderStatus) metav1.Condition {
	s.Failing = nil
	var unknown []string
	for _, k := range Checks() {
		if !d.Required(k) {
			continue
		}
		switch c := apimeta.FindStatusCondition(s.Conditions, k.Name); {
		case c == nil || c.Status == metav1.ConditionUnknown:
			unknown = append(unknown, k.Name)
		case c.Status == metav1.ConditionFalse:
			s.Failing = append(s.Failing, k.Name)
		}
	}
	c := metav1.Condition{Type: v1alpha1.ConditionFit, Status: metav1.ConditionTrue, Reason: reasonFit}
	switch {
	case len(s.Failing) > 0:
		c.Status, c.Reason = metav1.ConditionFalse, reasonUnfit
		c.Message = fmt.Sprintf("no quotes are given for new apps: %s", strings.Join(s.Failing, ", "))
	case len(unknown) > 0:
		c.Status, c.Reason = metav1.ConditionUnknown, reasonUnseen
		c.Message = fmt.Sprintf("not seen so far: %s", strings.Join(unknown, ", "))
	}
	return c
}

// Rhythm is how often a doctor that runs all the time looks.
type Rhythm struct {
	// Every is for what only has to be asked, ProbeEvery for what takes pods, Retry for the latter while one of them is not well.
	Every, ProbeEvery, Retry time.Duration
}

// Run examines and tells until ctx ends. What goes wrong is logged and tried again: nothing depends on one run.
func (d *Doctor) Run(ctx context.Context, r Rhythm) error {
	var due time.Time // when probes are, at once at first
	for {
		names := namesOf(func(k Check) bool { return !k.Probes })
		if !d.parts.Now().Before(due) {
			names = nil
		}
		found, err := d.Examine(ctx, Look{Checks: names})
		if err == nil {
			found = d.confirmed(ctx, found)
			d.log(ctx, found)
			err = d.Tell(ctx, found)
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop
		}
		if err != nil {
			d.parts.Log.WarnContext(ctx, "the run came to nothing", "error", err)
		}
		if names == nil {
			due = d.parts.Now().Add(r.next(found))
		}
		if d.parts.Wait(ctx, r.Every) != nil {
			return nil //nolint:nilerr // told to stop
		}
	}
}

// What newly fails is looked at confirmations times more, confirmEvery, before it is told: a service that is being replaced, as in an upgrade
// or after a power cut, is no fault of the provider's, and would withdraw quotes until the next look.
const (
	confirmations = 2
	confirmEvery  = 15 * time.Second
)

// confirmed is found, with what failed and did not fail before looked at again as long as it fails.
func (d *Doctor) confirmed(ctx context.Context, found []Finding) []Finding {
	p, err := d.provider(ctx)
	if err != nil {
		return found // telling says what is wrong
	}
	for range confirmations {
		var look Look
		for _, f := range found {
			if f.Result != Fail || !f.Required || slices.Contains(p.Status.Failing, f.Name) {
				continue
			}
			look.Checks = append(look.Checks, f.Name)
			for _, s := range f.Sights {
				if !slices.Contains(look.Machines, s.Machine) {
					look.Machines = append(look.Machines, s.Machine)
				}
			}
		}
		if len(look.Checks) == 0 || d.parts.Wait(ctx, confirmEvery) != nil {
			return found
		}
		again, err := d.Examine(ctx, look)
		if err != nil {
			return found
		}
		for i, f := range found {
			if at := slices.IndexFunc(again, func(a Finding) bool { return a.Name == f.Name }); at >= 0 {
				found[i] = again[at]
			}
		}
	}
	return found
}

// next is when probes are due again. Where one look does not cover all machines, looks follow each other the faster, so that each machine has
// its turn as often as if it were the only one.
func (r Rhythm) next(found []Finding) time.Duration {
	turns := 1
	for _, f := range found {
		if f.Probes && (f.Result != OK || f.unvisited > 0) {
			return min(r.Retry, r.ProbeEvery)
		}
		if n := len(f.Sights); n > 0 {
			turns = max(turns, (len(f.fleet.open)+n-1)/n)
		}
	}
	if len(found) == 0 {
		return min(r.Retry, r.ProbeEvery)
	}
	return r.ProbeEvery / time.Duration(turns)
}

func namesOf(which func(Check) bool) []string {
	var names []string
	for _, k := range Checks() {
		if which(k) {
			names = append(names, k.Name)
		}
	}
	return names
}

func (d *Doctor) log(ctx context.Context, found []Finding) {
	for _, f := range found {
		switch f.Result {
		case Fail:
			d.parts.Log.ErrorContext(ctx, "check fails", "check", f.Name, "required", f.Required, "saw", f.Saw, "do", f.Do)
		case Unseen:
			d.parts.Log.WarnContext(ctx, "check unseen", "check", f.Name, "saw", f.Saw)
		case OK, Warn: // the condition and the metrics say so
		}
	}
}
