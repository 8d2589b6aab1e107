// SPDX-License-Identifier: Apache-2.0

package meter_test

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/meter"
	"github.com/apocryph/apocryph/internal/metered"
)

// story is some time in the life of an app on machine m, as Kubernetes records it and as the meter looks at it: every five seconds, while it is
// not away. What the meter releases is gone at the next look.
type story struct {
	t     *testing.T
	state v1alpha1.UsageStatus

	pods   []corev1.Pod
	claims []corev1.PersistentVolumeClaim
	// ready is since when Kubernetes calls machine m so; 0 means not at all.
	ready int64
	// mute machines renew no heartbeat; lost ones have neither heartbeat nor Node.
	mute, lost bool

	real  int64 // seconds since the story began
	clock int64 // how far the clocks are ahead of that
	slept int64 // how long the meter's own machine was suspended
	beat  int64 // the last heartbeat, by the machine's clock
	every int64 // how often it is renewed
	ahead int64 // the heartbeat of another machine; 0 if there is none
	pulse *meter.Pulse
}

func begin(t *testing.T) *story {
	return &story{t: t, ready: -1000, every: 10, pulse: &meter.Pulse{}}
}

// now is what the clocks show.
func (s *story) now() int64 { return s.real + s.clock }

// lasts lets seconds go by while the meter looks.
func (s *story) lasts(seconds int64) {
	for range seconds {
		s.pass()
		if s.real%5 == 0 {
			s.look()
		}
	}
}

// away lets seconds go by while no meter runs. The next one has heard nothing.
func (s *story) away(seconds int64) {
	for range seconds {
		s.pass()
	}
	s.pulse = &meter.Pulse{}
}

// suspended lets seconds go by during which nothing runs, the meter included.
func (s *story) suspended(seconds int64) {
	s.real += seconds
	s.slept += seconds
}

func (s *story) pass() {
	s.real++
	if s.real%s.every == 0 && !s.mute {
		s.beat = s.now()
	}
}

// is says what there is from now on.
func (s *story) is(pods ...corev1.Pod) { s.pods = pods }

func (s *story) look() {
	s.t.Helper()
	beats, ready := map[string]time.Time{}, map[string]time.Time{}
	if !s.lost && s.beat != 0 {
		beats["m"] = at(s.beat)
		if s.ready != 0 {
			ready["m"] = at(s.ready)
		}
	}
	if s.ahead != 0 {
		beats["n"] = at(s.ahead)
	}
	awake := at(s.real - s.slept)
	s.pulse.Hear(beats, ready, awake, at(s.now()))
	heard, _ := s.pulse.Latest(awake)
	before := s.state
	next, release, err := meter.Next(s.state, meter.Observed{Pods: s.pods, Claims: s.claims, Heard: heard}, at(s.now()))
	if err != nil {
		s.t.Fatal(err)
	}
	if before.AccruedTo != nil && next.AccruedTo.Time.Before(before.AccruedTo.Time) {
		s.t.Fatalf("at %d accruedTo went back from %s to %s", s.real, before.AccruedTo, next.AccruedTo)
	}
	s.state = next
	s.pods = slices.DeleteFunc(slices.Clone(s.pods), func(p corev1.Pod) bool { return slices.Contains(release, p.UID) })
	s.claims = slices.DeleteFunc(slices.Clone(s.claims), func(c corev1.PersistentVolumeClaim) bool { return slices.Contains(release, c.UID) })
}

// billed fails unless this is what may be billed now, in seconds of one pod.
func (s *story) billed(want int64) {
	s.t.Helper()
	got, err := metered.Accrued(s.state)
	if err != nil {
		s.t.Fatal(err)
	}
	if n := got.CPU.Big().Int64(); n != want*500 {
		s.t.Errorf("at %d billed for %d.%03d s, want %d", s.real, n/500, n%500*2, want)
	}
}

// written fails unless nothing is open and all finalizers are gone.
func (s *story) written() {
	s.t.Helper()
	if len(s.state.Open) > 0 || len(s.pods) > 0 || len(s.claims) > 0 {
		s.t.Errorf("at %d there are %d intervals, %d pods, %d claims left", s.real, len(s.state.Open), len(s.pods), len(s.claims))
	}
}
