// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/big"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// at is a time in the test's minute.
func at(seconds float64) time.Time {
	return time.Unix(1_700_000_000, 0).Add(time.Duration(seconds * float64(time.Second)))
}

func TestWholeSecondsBetweenFirstStartAndLastEndCount(t *testing.T) {
	for name, c := range map[string]struct {
		made     float64
		attempts []attempt
		want     int64
	}{
		"nothing was tried": {0, nil, 0},
		"the second of the start and that of the end do not": {0, []attempt{{at(0.1), at(3.9)}}, 2},
		"a start on the second does not make it count":       {0, []attempt{{at(1), at(4)}}, 2},
		"within one second":                                    {0, []attempt{{at(1.1), at(1.9)}}, 0},
		"over one boundary":                                    {0, []attempt{{at(1.9), at(2.1)}}, 0},
		"restarts and the waits between them":                  {0, []attempt{{at(9.5), at(12)}, {at(1), at(2)}, {at(5), at(6)}}, 10},
		"one that could not be started counts from when tried": {0, []attempt{{ended: at(2.5)}, {ended: at(8.5)}}, 5},
		"what still runs counts to the last end":               {0, []attempt{{at(1), at(5)}, {started: at(6)}}, 3},
		"no start is before the pod was made":                  {4, []attempt{{at(1), at(9)}}, 4},
	} {
		if got := podSeconds(at(c.made), c.attempts); got != c.want {
			t.Errorf("%s: %d seconds, want %d", name, got, c.want)
		}
	}
}

func TestWhatIsReservedIsWhatTheSchedulerReserves(t *testing.T) {
	needs := func(cpu string) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}
	}
	once := func(cpu string) corev1.Container { return corev1.Container{Resources: needs(cpu)} }
	beside := func(cpu string) corev1.Container {
		return corev1.Container{Resources: needs(cpu), RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}
	}
	whole := needs("7")
	for name, c := range map[string]struct {
		spec corev1.PodSpec
		want int64
	}{
		"all containers":                       {corev1.PodSpec{Containers: []corev1.Container{once("1"), once("500m")}}, 1500},
		"an init container that needs more":    {corev1.PodSpec{Containers: []corev1.Container{once("1")}, InitContainers: []corev1.Container{once("2"), once("3")}}, 3000},
		"a sidecar":                            {corev1.PodSpec{Containers: []corev1.Container{once("1")}, InitContainers: []corev1.Container{beside("2")}}, 3000},
		"an init container after a sidecar":    {corev1.PodSpec{Containers: []corev1.Container{once("1")}, InitContainers: []corev1.Container{beside("2"), once("4")}}, 6000},
		"an init container before the sidecar": {corev1.PodSpec{Containers: []corev1.Container{once("1")}, InitContainers: []corev1.Container{once("4"), beside("2")}}, 4000},
		"the pod as a whole":                   {corev1.PodSpec{Containers: []corev1.Container{once("1")}, Resources: &whole}, 7000},
		"and what runs it": {corev1.PodSpec{Containers: []corev1.Container{once("1")},
			Overhead: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("250m")}}, 1250},
	} {
		if got := reservation(&c.spec).MilliCPU; got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestAFractionOfABaseUnitIsThePublishers(t *testing.T) {
	hour := quantities{big.NewInt(1000 * 3600), big.NewInt(3600 << 30), big.NewInt(3600 << 30), big.NewInt(3600 << 30)}
	prices := quantities{big.NewInt(1), big.NewInt(20), big.NewInt(300), big.NewInt(4000)}
	if got := hour.owed(prices); got.Cmp(big.NewInt(4321)) != 0 {
		t.Errorf("an hour of one unit of each costs %s, want 4321", got)
	}
	hour.CPU.Sub(hour.CPU, big.NewInt(1))
	if got := hour.owed(prices); got.Cmp(big.NewInt(4320)) != 0 {
		t.Errorf("a little less costs %s, want 4320", got)
	}
}

const (
	ns    = "app-a"
	made  = 10
	id    = "c1"
	podID = "p1"
)

func labels() map[string]string {
	return map[string]string{
		"io.kubernetes.pod.uid": podID, "io.kubernetes.pod.namespace": ns, "io.kubernetes.pod.name": "web", "io.kubernetes.container.name": "web",
	}
}

func web(r map[string]recorded) pod {
	return pod{UID: podID, Namespace: ns, Name: "web", Made: at(made), Rate: rate{MilliCPU: 10}, recorded: r}
}

// told is a book of one pod, whose only container ran from 11.5 to 15.5.
func told() *book {
	b := newBook("app-")
	b.listens(true, at(0))
	b.listens(false, at(0))
	b.ordered(web(nil))
	b.created(id, labels())
	b.event(id, false, at(11.4))
	b.record(id, labels(), at(11.5).UnixNano(), 0, false)
	return b
}

func ended(b *book) {
	b.event(id, true, at(15.5))
	b.record(id, labels(), at(11.5).UnixNano(), at(15.5).UnixNano(), true)
}

func TestWhatIsKnownIsBilled(t *testing.T) {
	b := told()
	ended(b)
	b.removed(id)
	b.ordered(web(map[string]recorded{id: {at(11).Unix(), at(15).Unix()}}))
	a := b.answer(question{Namespace: ns}, at(20))
	if len(a.Void)+len(a.Differs) > 0 || a.Used.CPU.Int64() != 30 || a.Lives[0].Seconds != 3 {
		t.Errorf("%+v", a)
	}
	if a.Drift.Recorded.N != 2 || a.Drift.Recorded.Least != -time.Second/2 || a.Drift.Start.Most != 100*time.Millisecond || a.Drift.Straddled != 0 {
		t.Errorf("drift %+v", a.Drift)
	}
}

// The exit event is where the runtime has its record of an end from: it will do when the record is gone.
func TestAnEndWhoseRecordIsGoneIsThatOfTheEvent(t *testing.T) {
	b := told()
	b.event(id, true, at(15.5))
	b.removed(id)
	b.ordered(web(map[string]recorded{id: {at(11).Unix(), at(15).Unix()}}))
	if a := b.answer(question{Namespace: ns}, at(20)); len(a.Void) > 0 || a.Lives[0].Seconds != 3 {
		t.Errorf("%+v", a)
	}
}

// A kubelet that removed a container before it looked never tells when that ended.
func TestAnEndThatKubernetesLostCountsAsFarAsItWasWrittenDown(t *testing.T) {
	b := told()
	ended(b)
	b.ordered(web(map[string]recorded{id: {Started: at(11).Unix()}}))
	if a := b.answer(question{Namespace: ns}, at(20)); len(a.Void)+len(a.Differs) > 0 || a.Lives[0].Seconds != 0 || a.Drift.Lost != 1 {
		t.Errorf("%+v", a)
	}
	b.written(podID, at(14))
	if a := b.answer(question{Namespace: ns}, at(20)); len(a.Void)+len(a.Differs) > 0 || a.Lives[0].Seconds != 2 {
		t.Errorf("%+v", a)
	}
	b.written(podID, at(16))
	if a := b.answer(question{Namespace: ns}, at(20)); len(a.Differs) != 1 {
		t.Errorf("%+v", a)
	}
}

func TestWhatWasMissedIsSaid(t *testing.T) {
	for want, miss := range map[string]func(*book){
		"the end of web in web was missed":                func(b *book) { b.removed(id) },
		"web in web still runs":                           func(*book) {},
		"the runtime changed its record of the start":     func(b *book) { ended(b); b.record(id, labels(), at(12.5).UnixNano(), 0, true) },
		"the reservation of web changed":                  func(b *book) { ended(b); b.ordered(pod{UID: podID, Namespace: ns, Name: "web", Made: at(made)}) },
		"a machine was silent":                            func(b *book) { ended(b); b.beat("m", at(0)); b.beat("m", at(121)) },
		"m is silent since":                               func(b *book) { ended(b); b.beat("m", at(-101)) },
		"Kubernetes never said what it reserves":          func(b *book) { ended(b); delete(b.pods, podID) },
		"web was made before anybody listened":            func(b *book) { ended(b); b.since = at(made + 1) },
		"that volume v was to be deleted was never heard": func(b *book) { ended(b); b.claimed(bound()); b.seen(ns, "v1", at(12)) },
		"it was bound at":                                 func(b *book) { ended(b); b.claimed(bound()); b.seen(ns, "v1", at(9)) },
		"when the meter first saw volume v is not known":  func(b *book) { ended(b); b.claimed(bound()) },
		"begins anew":                                     func(b *book) { ended(b); b.claimed(bound()); b.seen(ns, "v1", at(12)); b.seen(ns, "v1", at(13)) },
		"the runtime never said so": func(b *book) {
			ended(b)
			b.ordered(web(map[string]recorded{"other": {Started: 1}}))
		},
	} {
		b := told()
		miss(b)
		if got := strings.Join(b.answer(question{Namespace: ns}, at(20)).Void, "; "); !strings.Contains(got, want) {
			t.Errorf("want %q, it said %q", want, got)
		}
	}
}

func bound() volume {
	return volume{UID: "v1", Namespace: ns, Name: "v", Bytes: 64, Bound: at(10)}
}

func TestVolumesCountFromFirstSeenToTheirDeletion(t *testing.T) {
	b := told()
	ended(b)
	b.seen(ns, "v1", at(12))
	v := bound()
	b.claimed(v)
	v.Ordered = at(20)
	b.claimed(v)
	if a := b.answer(question{Namespace: ns}, at(25)); len(a.Void) > 0 || a.Used.Storage.Int64() != 64*8 {
		t.Errorf("%+v", a)
	}
}

func TestAnotherSecondThanTheRuntimesIsSaid(t *testing.T) {
	b := told()
	b.ordered(web(map[string]recorded{id: {Started: at(12).Unix()}}))
	if a := b.answer(question{Namespace: ns}, at(20)); len(a.Differs) != 1 || !strings.Contains(a.Differs[0], "the start of web in web") {
		t.Errorf("%q", a.Differs)
	}
}

func TestOthersAreNotTenants(t *testing.T) {
	b := told()
	b.record("c2", map[string]string{"io.kubernetes.pod.namespace": "kube-system"}, 1, 2, true)
	if b.knows("c2") || !b.knows(id) {
		t.Error("it takes in whose containers it should not, or not whose it should")
	}
}
