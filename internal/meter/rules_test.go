// SPDX-License-Identifier: Apache-2.0

package meter_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// The tests here are the rows of docs/protocol/metering.md. A start at second 10 counts from second 11.

func waiting(reason string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{
			{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}},
		}
	}
}

func TestAPodThatNeverStartedIsFree(t *testing.T) {
	s := begin(t)
	s.is(pod("a", unscheduled), pod("b", waiting("ContainerCreating")), pod("c", waiting("ImagePullBackOff")))
	s.lasts(1000)
	s.is(pod("a", unscheduled, deleted), pod("b", waiting("ContainerCreating"), failed, deleted), pod("c", waiting("ImagePullBackOff"), failed))
	s.lasts(5)
	s.billed(0)
	s.written()
}

func TestInitContainersAloneCount(t *testing.T) {
	s := begin(t)
	s.is(pod("a", waiting("PodInitializing"), initRan(10, 20)))
	s.lasts(60)
	s.is(pod("a", waiting("PodInitializing"), initRan(10, 50), failed, deleted))
	s.lasts(5)
	s.billed(50 - 11)
	s.written()
}

// The reservation stays between the attempts, so they are one interval, from the first start to the last end.
func TestACrashLoopIsOneInterval(t *testing.T) {
	s := begin(t)
	s.lasts(10)
	s.is(pod("a", running(10)))
	s.lasts(60)
	for start := int64(70); start < 310; start += 60 {
		s.is(pod("a", running(start), ranBefore(start-60, start-50)))
		s.lasts(10)
		s.is(pod("a", waiting("CrashLoopBackOff"), ranBefore(start, start+10)))
		s.lasts(50)
	}
	s.is(pod("a", waiting("CrashLoopBackOff"), ranBefore(250, 260), failed, deleted))
	s.lasts(5)
	s.billed(260 - 11)
	s.written()
}

// Of what can't be started the runtime records 1970 as its start: the attempts are a crash loop like any other.
func TestAPodThatCannotBeStartedCountsAsACrashLoop(t *testing.T) {
	never := -at(0).Unix()
	s := begin(t)
	s.is(pod("a", waiting("CrashLoopBackOff"), ranBefore(never, 10), made(5)))
	s.lasts(60)
	s.billed(0)
	for attempt := int64(60); attempt < 300; attempt += 60 {
		s.is(pod("a", waiting("CrashLoopBackOff"), ranBefore(never, attempt), made(5)))
		s.lasts(60)
	}
	s.billed(240 - 11)
	s.is(pod("a", waiting("CrashLoopBackOff"), ranBefore(never, 298), made(5), failed, deleted))
	s.lasts(5)
	s.billed(298 - 11)
	s.written()
}

func TestRestartsWhileTheMeterIsDown(t *testing.T) {
	t.Run("of what it knew", func(t *testing.T) {
		s := begin(t)
		s.is(pod("a", running(10)))
		s.lasts(100)
		s.away(900)
		s.is(pod("a", running(900), ranBefore(700, 890)))
		s.lasts(100)
		s.is(pod("a", ran(900, 1095), ranBefore(700, 890), failed))
		s.lasts(5)
		s.billed(1095 - 11)
		s.written()
	})
	t.Run("of what it never saw: the first starts are recorded no longer", func(t *testing.T) {
		s := begin(t)
		s.away(1000)
		s.is(pod("a", running(900), ranBefore(700, 890)))
		s.lasts(100)
		s.is(pod("a", ran(900, 1095), ranBefore(700, 890), failed))
		s.lasts(5)
		s.billed(1095 - 701)
		s.written()
	})
}

// A kubelet that evicts makes the phase terminal and deletes nothing.
func TestAnEvictedPodIsClosedThoughNobodyDeletesIt(t *testing.T) {
	s := begin(t)
	s.is(pod("a", running(10)))
	s.lasts(100)
	s.is(pod("a", ran(10, 98), failed, func(p *corev1.Pod) { p.Status.Reason = "Evicted" }))
	s.lasts(5)
	s.billed(98 - 11)
	s.written()
}

// A kubelet that kills sooner than it reports sends the phase that a pod will have with containers that run, and their ends with the next status.
func TestAnEvictedPodWhoseEndIsYetToComeIsNotClosed(t *testing.T) {
	early := []func(*corev1.Pod){running(10), failed, changed(98)}
	t.Run("it comes", func(t *testing.T) {
		s := begin(t)
		s.is(pod("a", running(10)))
		s.lasts(100)
		s.is(pod("a", early...))
		s.lasts(60)
		s.billed(100 - 20 - 11)
		s.is(pod("a", ran(10, 98), failed, changed(98)))
		s.lasts(5)
		s.billed(98 - 11)
		s.written()
	})
	t.Run("of one that was not seen before", func(t *testing.T) {
		s := begin(t)
		s.lasts(100)
		s.is(pod("a", early...))
		s.lasts(5)
		s.is(pod("a", ran(10, 98), failed, changed(98)))
		s.lasts(5)
		s.billed(98 - 11)
		s.written()
	})
	t.Run("it does not come", func(t *testing.T) {
		s := begin(t)
		s.is(pod("a", running(10)))
		s.lasts(100)
		s.is(pod("a", early...))
		s.lasts(98 + 120 + 10 - 100 + 5)
		s.billed(100 - 20 - 11)
		s.written()
	})
	t.Run("the machine is not heard yet", func(t *testing.T) {
		s := begin(t)
		s.mute = true
		s.lasts(100)
		s.is(pod("a", early...))
		s.lasts(30)
		if len(s.pods) == 0 {
			t.Error("it was let go though its end may come")
		}
		s.is(pod("a", ran(10, 98), failed, changed(98)))
		s.lasts(5)
		s.billed(98 - 11)
		s.written()
	})
	t.Run("the machine is lost before it comes", func(t *testing.T) {
		s := begin(t)
		s.is(pod("a", running(10)))
		s.lasts(100)
		s.is(pod("a", early...))
		s.mute = true
		s.lasts(100)
		if len(s.pods) == 0 {
			t.Error("it was let go while the machine may still say how it ended")
		}
		s.lasts(30)
		s.billed(100 - 20 - 11)
		s.written()
	})
}

func changed(at int64) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, LastTransitionTime: stamp(at)}}
	}
}

// When all that a pod had is taken down its end is reported, which may be long after it. Until then only what was before the order is certain.
func TestADeletedPodIsNotBilledBeyondTheOrderBeforeItsEndIsTold(t *testing.T) {
	s := begin(t)
	s.is(pod("a", running(10)))
	s.lasts(100)
	s.is(pod("a", running(10), deletedAt(99, 30)))
	s.lasts(200) // it ends at 101, and its network is not taken down before 300
	s.billed(99 - 11)
	s.is(pod("a", ran(10, 101), failed, deletedAt(99, 30)))
	s.lasts(5)
	s.billed(101 - 11)
	s.written()
}

// A pod that gives way to another is deleted by the scheduler, and counts until its last container has ended.
func TestAPreemptedPodCountsToItsEnd(t *testing.T) {
	s := begin(t)
	s.is(pod("a", running(10)))
	s.lasts(100)
	s.is(pod("a", running(10), deleted))
	s.lasts(30)
	s.is(pod("a", ran(10, 128), failed, deleted))
	s.lasts(5)
	s.billed(128 - 11)
	s.written()
}

func TestForceDeletion(t *testing.T) {
	t.Run("the finalizer holds the pod until its end is recorded", func(t *testing.T) {
		s := begin(t)
		s.is(pod("a", running(10)))
		s.lasts(100)
		s.is(pod("a", running(10), deleted, func(p *corev1.Pod) { p.DeletionGracePeriodSeconds = new(int64(0)) }))
		s.lasts(10)
		s.is(pod("a", ran(10, 108), failed, deleted, func(p *corev1.Pod) { p.DeletionGracePeriodSeconds = new(int64(0)) }))
		s.lasts(5)
		s.billed(108 - 11)
		s.written()
	})
	t.Run("without the finalizer it counts as far as it is written down", func(t *testing.T) {
		s := begin(t)
		s.is(pod("a", running(10)))
		s.lasts(100)
		s.is(pod("a", running(10), unguarded))
		s.lasts(50)
		s.billed(100 - 20 - 11)
	})
}

// Who collects orphans of a machine makes their phase terminal and deletes them, and leaves their containers running on paper.
func TestACollectedOrphanCountsToTheLastHeartbeat(t *testing.T) {
	s := begin(t)
	s.is(pod("a", running(10)))
	s.lasts(100)
	s.mute = true
	s.lasts(400)
	s.is(pod("a", running(10), failed, deleted))
	s.lasts(5)
	s.billed(100 - 20 - 11)
	s.written()
}

func TestAMachineThatIsLost(t *testing.T) {
	t.Run("what was written down stays", func(t *testing.T) {
		s := begin(t)
		s.is(pod("a", running(10)))
		s.lasts(100)
		s.lost, s.mute = true, true
		s.lasts(400)
		s.billed(100 - 20 - 11)
		s.is(pod("a", running(10), failed, deleted))
		s.lasts(5)
		s.billed(100 - 20 - 11)
		s.written()
	})
	t.Run("an end that it recorded counts", func(t *testing.T) {
		s := begin(t)
		s.is(pod("a", running(10)))
		s.lasts(100)
		s.is(pod("a", ran(10, 97), failed, deleted))
		s.lost, s.mute = true, true
		s.lasts(5)
		s.billed(97 - 11)
		s.written()
	})
	t.Run("what nobody saw run there is free", func(t *testing.T) {
		s := begin(t)
		s.away(100)
		s.lost, s.mute = true, true
		s.is(pod("a", running(10), failed, deleted))
		s.lasts(5)
		s.billed(0)
		s.written()
	})
}

func TestADrainWhileTheMeterIsDown(t *testing.T) {
	s := begin(t)
	s.is(pod("a", running(10)))
	s.lasts(100)
	s.is(pod("a", ran(10, 300), failed, deleted), pod("b", ran(20, 300), failed, deleted), pod("c", unscheduled, deleted))
	s.away(900)
	s.lasts(5)
	s.billed(300 - 11 + 300 - 21)
	s.written()
}

func TestASuspendedMachineIsFreeMeanwhile(t *testing.T) {
	t.Run("with the meter on it", func(t *testing.T) {
		s := begin(t)
		s.is(pod("a", running(10)))
		s.lasts(100)
		s.suspended(3600)
		s.lasts(100)
		s.is(pod("a", ran(10, 3799), failed))
		s.lasts(5)
		s.billed(100 - 20 - 11 + 3799 - 3710)
		s.written()
	})
	t.Run("while the meter runs elsewhere", func(t *testing.T) {
		s := begin(t)
		s.is(pod("a", running(10)))
		s.lasts(100)
		s.mute = true
		s.lasts(3600)
		s.mute = false
		s.lasts(100)
		s.is(pod("a", ran(10, 3799), failed))
		s.lasts(5)
		s.billed(100 - 20 - 11 + 3799 - 3710)
		s.written()
	})
	t.Run("while no meter runs, as far back as Kubernetes calls it ready", func(t *testing.T) {
		s := begin(t)
		s.is(pod("a", running(10)))
		s.lasts(100)
		s.ready = 3000
		s.away(3600)
		s.lasts(100)
		s.is(pod("a", ran(10, 3799), failed))
		s.lasts(5)
		s.billed(100 - 20 - 11 + 3799 - 3000)
		s.written()
	})
	t.Run("and ends its pods when it wakes", func(t *testing.T) {
		s := begin(t)
		s.is(pod("a", running(10)))
		s.lasts(100)
		s.suspended(3600)
		s.is(pod("a", ran(10, 3701), failed))
		s.look() // before its first heartbeat
		s.billed(100 - 20 - 11)
		s.written()
	})
	t.Run("for no longer than a kubelet may miss", func(t *testing.T) {
		s := begin(t)
		s.is(pod("a", running(10)))
		s.lasts(100)
		s.mute = true
		s.lasts(100)
		s.mute = false
		s.lasts(100)
		s.billed(300 - 20 - 11)
	})
}

// While the API server is away, a kubelet can neither renew its heartbeat nor report an end. The heartbeat comes back first.
func TestAnEndThatIsReportedLateIsNotPassed(t *testing.T) {
	s := begin(t)
	s.is(pod("a", running(10)))
	s.lasts(100)
	s.mute = true
	s.lasts(55) // the container ends at 101
	s.mute = false
	s.lasts(14)
	s.billed(100 - 20 - 11)
	s.is(pod("a", ran(10, 101), failed))
	s.lasts(6)
	s.billed(101 - 11)
	s.written()
}

// A kubelet that has much to do is late with its heartbeats, for as long as its tenants like.
func TestABusyMachineIsBilledFurtherBehind(t *testing.T) {
	for every, behind := range map[int64]int64{13: 12 + 2*13 + 20, 25: 2*25 + 20, 60: 2*60 + 20} {
		s := begin(t)
		s.every = every
		s.is(pod("a", running(10)))
		s.lasts(3600)
		s.billed(3600 - behind - 11)
		s.every = 10
		s.lasts(30)
		s.billed(3630 - 20 - 11)
	}
	t.Run("and no second after an end that is reported after a pause", func(t *testing.T) {
		s := begin(t)
		s.every = 25
		s.is(pod("a", running(10)))
		s.lasts(200)
		s.mute = true
		s.lasts(50) // the container ends at 201
		s.mute = false
		s.lasts(54)
		s.billed(200 - 20 - 11)
		s.is(pod("a", ran(10, 201), failed))
		s.lasts(6)
		s.billed(201 - 11)
		s.written()
	})
}

// The clocks jump by an hour at 100 and are put right at 160. What they claimed is not billed, and what comes again is not billed again.
func TestClocksThatJump(t *testing.T) {
	const hour = 3600
	for name, c := range map[string]struct {
		by, end, want int64
	}{
		"not at all":                   {0, 200, 200 - 11},
		"ahead, and the pod ends soon": {hour, 200, 100 - 20 - 11 + 160 - 20 - 110},
		"ahead, and it runs on":        {hour, 2 * hour, 100 - 20 - 11 + hour - 110},
		"back, and the pod ends soon":  {-hour, 200, 200 - 11},
		"back, and it runs on":         {-hour, 2 * hour, 2*hour - 11},
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t)
			s.is(pod("a", running(10)))
			s.lasts(104)
			s.clock = c.by
			s.lasts(56)
			s.clock = 0
			s.lasts(c.end - s.real)
			s.is(pod("a", ran(10, c.end), failed))
			s.lasts(5)
			s.billed(c.want)
			s.written()
		})
	}
	t.Run("ahead, and the pod ends while they are", func(t *testing.T) {
		s := begin(t)
		s.is(pod("a", running(10)))
		s.lasts(104)
		s.clock = hour
		s.is(pod("a", ran(10, 105+hour), failed))
		s.lasts(1) // before the next heartbeat
		s.billed(100 - 20 - 11)
		s.written()
	})
	t.Run("ahead, and a pod starts while they are", func(t *testing.T) {
		s := begin(t)
		s.lasts(104)
		s.clock = hour
		s.is(pod("a", running(110+hour), made(106+hour)))
		s.lasts(56)
		s.clock = 0
		s.lasts(100)
		s.is(pod("a", ran(110+hour, 258), failed, made(106+hour)))
		s.lasts(5)
		s.billed(160 - 20 - 111)
		s.written()
	})
	t.Run("back, and a pod starts while they are", func(t *testing.T) {
		s := begin(t)
		s.lasts(104)
		s.clock = -hour
		s.is(pod("a", running(110-hour), made(106-hour)))
		s.lasts(56)
		s.clock = 0
		s.lasts(100)
		s.is(pod("a", ran(110-hour, 258), failed, made(106-hour)))
		s.lasts(5)
		s.billed(258 - 170)
		s.written()
	})
}

// An update that starts the new before it ends the old has two pods for that time, and each of them counts.
func TestAnUpdateWithSurgeCountsBoth(t *testing.T) {
	s := begin(t)
	s.is(pod("a", running(10)))
	s.lasts(100)
	s.is(pod("a", running(10)), pod("b", running(98)))
	s.lasts(20)
	s.is(pod("a", ran(10, 119), failed, deleted), pod("b", running(98)))
	s.lasts(80)
	s.is(pod("b", ran(98, 199), failed, deleted))
	s.lasts(5)
	s.billed(119 - 11 + 199 - 99)
	s.written()
}

// Nobody records when a reservation changed: what is in doubt counts at the lesser rate, or not.
func TestAReservationThatChanges(t *testing.T) {
	s := begin(t)
	s.is(pod("a", running(10)))
	s.lasts(100)
	s.is(pod("a", running(10), asking("1", "1"))) // twice as much
	s.lasts(5)
	s.billed(100 - 20 - 11) // up to what was written down; from 105 on it counts twice
	s.lasts(95)
	s.is(pod("a", running(10), asking("500m", "1"))) // and back
	s.lasts(100)
	s.is(pod("a", ran(10, 299), failed))
	s.lasts(5)
	s.billed(80 - 11 + 2*(180-105) + 299 - 180)
	s.written()
}

// A volume counts from when it is first seen until it is deleted, whether or not anything runs, while some machine lives.
func TestVolumesCountAsleep(t *testing.T) {
	s := begin(t)
	v := claim("v", "500") // so that a second of it is told like a second of a pod's
	s.claims = append(s.claims, v)
	s.lasts(100)
	if n := len(s.state.Open); n != 1 {
		t.Fatalf("%d intervals", n)
	}
	s.away(1000)
	s.lasts(100)
	s.mute = true
	s.lasts(500)
	s.mute = false
	s.lasts(101)
	deleted := stamp(s.real - 1)
	s.claims[0].DeletionTimestamp = &deleted
	s.lasts(5)
	s.written()
	if got, want := s.state.Totals.StorageByteSeconds, resource.NewQuantity(500*(1200-20-5+1800-1710), resource.DecimalSI).AsDec().String(); got != want {
		t.Errorf("%s byte seconds, want %s", got, want)
	}
}

// What a volume is to have is not billed before it has that.
func TestAVolumeThatGrowsCountsAsItIs(t *testing.T) {
	s := begin(t)
	v := claim("v", "500")
	s.claims = append(s.claims, v)
	s.lasts(100)
	s.claims[0].Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("800")
	s.claims[0].Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("500")}
	s.lasts(100)
	if got := s.state.Open[0].StorageBytes; got != 500 {
		t.Errorf("it counts as %d bytes before it has grown", got)
	}
	s.claims[0].Status.Capacity[corev1.ResourceStorage] = resource.MustParse("800")
	s.lasts(100)
	if got := s.state.Open[0].StorageBytes; got != 800 {
		t.Errorf("it counts as %d bytes once it has grown", got)
	}
}

// A machine that joins with a clock an hour ahead, and is heard of no more, makes nobody's volume free.
func TestVolumesGoOnWhenOneClockIsAhead(t *testing.T) {
	s := begin(t)
	s.claims = append(s.claims, claim("v", "500"))
	s.lasts(100)
	s.ahead = s.real + 3600
	s.lasts(600)
	if got, want := s.state.Open[0].AccruedTo.Time, at(700-20); !got.Equal(want) {
		t.Errorf("accrued to %s, want %s", got, want)
	}
	deleted := stamp(s.real)
	s.claims[0].DeletionTimestamp = &deleted
	s.lasts(5)
	s.written()
	if got, want := s.state.Totals.StorageByteSeconds, resource.NewQuantity(500*(700-5), resource.DecimalSI).AsDec().String(); got != want {
		t.Errorf("%s byte seconds, want %s", got, want)
	}
}
