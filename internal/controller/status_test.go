// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

func web() *manifestv1.Manifest {
	return &manifestv1.Manifest{
		Services: []*manifestv1.Service{{Name: "web"}},
		Http:     &manifestv1.Http{Service: "web", Port: 80},
	}
}

func deployment(wanted, updated, ready, all int32) appsv1.Deployment {
	return appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       appsv1.DeploymentSpec{Replicas: &wanted},
		Status:     appsv1.DeploymentStatus{UpdatedReplicas: updated, ReadyReplicas: ready, AvailableReplicas: ready, Replicas: all},
	}
}

// unproven is a Deployment whose pod is ready, and may be about to crash.
func unproven() appsv1.Deployment {
	d := deployment(1, 1, 1, 1)
	d.Status.AvailableReplicas = 0
	return d
}

// without is a Deployment that can't make a pod.
func without(why string) appsv1.Deployment {
	d := deployment(1, 0, 0, 0)
	d.Status.Conditions = []appsv1.DeploymentCondition{
		{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue},
		{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: why},
	}
	return d
}

func podWith(c corev1.ContainerStatus) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{v1alpha1.LabelService: "web"}},
		Status:     corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{c}},
	}
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func evicted(finalizers ...string) corev1.Pod {
	return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Finalizers: finalizers}, Status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}}
}

func TestReport(t *testing.T) {
	runs := intent{build: true, replicas: 1}
	for name, c := range map[string]struct {
		in      intent
		o       observed
		app     *v1alpha1.App
		phase   v1alpha1.Phase
		ready   string // reason of Ready, with a + when it is true
		message string
		stopped bool
	}{
		"nothing is there yet": {
			in: runs, phase: v1alpha1.PhaseStarting, ready: ReasonStarting, message: "waiting for pods to be ready",
		},
		"it runs": {
			in: runs, o: observed{deployments: []appsv1.Deployment{deployment(1, 1, 1, 1)}}, phase: v1alpha1.PhaseReady, ready: "+" + ReasonReady,
		},
		"a pod that has only just started has yet to show that it goes on to run": {
			in: runs, o: observed{deployments: []appsv1.Deployment{unproven()}},
			phase: v1alpha1.PhaseReady, ready: ReasonStarting, message: "waiting for pods to be ready",
		},
		"during an update the old pod serves": {
			in: runs, o: observed{deployments: []appsv1.Deployment{deployment(1, 1, 1, 2)}},
			phase: v1alpha1.PhaseReady, ready: ReasonStarting, message: "waiting for pods to be ready",
		},
		"a refused update leaves the old pod and is no success": {
			in: intent{replicas: 1, reason: ReasonNotVerified, message: "forged"}, o: observed{deployments: []appsv1.Deployment{deployment(1, 1, 1, 1)}},
			phase: v1alpha1.PhaseReady, ready: ReasonNotVerified, message: "forged",
		},
		"the cluster refuses an object": {
			in: runs, o: observed{deployments: []appsv1.Deployment{deployment(1, 1, 1, 1)}, refused: map[string]string{"": "too big"}},
			phase: v1alpha1.PhaseReady, ready: ReasonRefused, message: "the cluster refuses it: too big; it is tried again, and if it stays so, ask the provider",
		},
		"the cluster refuses a service": {
			in: runs, o: observed{deployments: []appsv1.Deployment{deployment(1, 0, 0, 0)}, refused: map[string]string{"web": "no such thing"}},
			phase: v1alpha1.PhaseStarting, ready: ReasonRefused, message: "web: the cluster refuses it: no such thing; it is tried again, and if it stays so, ask the provider",
		},
		"a quota is against its pods": {
			in: runs, o: observed{deployments: []appsv1.Deployment{without("exceeded quota: app")}},
			phase: v1alpha1.PhaseStarting, ready: ReasonRefused,
			message: "web: no pod can be made: exceeded quota: app; it is tried again, and if it stays so, ask the provider",
		},
		"its pod was evicted": {
			in: runs, o: observed{deployments: []appsv1.Deployment{deployment(1, 1, 0, 1)}, pods: []corev1.Pod{{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{v1alpha1.LabelService: "web"}},
				Status:     corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "too much on its disk"},
			}}},
			phase: v1alpha1.PhaseStarting, ready: ReasonBlocked, message: "web: its pod was ended: Evicted: too much on its disk; " + remedyEvicted,
		},
		"the image is missing": {
			in: runs, o: observed{pods: []corev1.Pod{podWith(corev1.ContainerStatus{State: waiting("ErrImagePull", "not found")})}},
			phase: v1alpha1.PhaseStarting, ready: ReasonBlocked, message: "web: the image can't be pulled: not found; " + remedyPull,
		},
		"a crash loop says its last word": {
			in: runs, o: observed{pods: []corev1.Pod{podWith(corev1.ContainerStatus{
				State: waiting("CrashLoopBackOff", "back-off"), RestartCount: 3,
				LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
					ExitCode: 2, Reason: "Error", Message: "starting\npanic: no\x1b database\n",
				}},
			})}},
			phase: v1alpha1.PhaseStarting, ready: ReasonBlocked,
			message: "web: it exited with code 2, restarted 3 times; it last said: starting / panic: no  database; " + remedyCrashed,
		},
		"killed for its memory": {
			in: runs, o: observed{pods: []corev1.Pod{podWith(corev1.ContainerStatus{
				State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}},
			})}},
			phase: v1alpha1.PhaseStarting, ready: ReasonBlocked, message: "web: it was ended for using more memory than it ordered; give it more memory (mem_limit)",
		},
		"a port that nobody listens on": {
			in: runs, o: observed{pods: []corev1.Pod{podWith(corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}})}},
			phase: v1alpha1.PhaseStarting, ready: ReasonBlocked, message: "web: it runs, but port 80 does not accept connections yet; " + remedyPort,
		},
		"no room": {
			in: runs, o: observed{pods: []corev1.Pod{{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{v1alpha1.LabelService: "web"}},
				Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
					{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/1 nodes are available: 1 Insufficient cpu."},
				}},
			}}},
			phase: v1alpha1.PhaseStarting, ready: ReasonBlocked, message: "web: no machine has room: 0/1 nodes are available: 1 Insufficient cpu.; " + remedyRoom,
		},
		"unfunded": {
			in: intent{build: true, reason: ReasonUnfunded, message: "exhausted"}, o: observed{deployments: []appsv1.Deployment{deployment(0, 0, 0, 0)}},
			phase: v1alpha1.PhaseSuspended, ready: ReasonUnfunded, message: "exhausted",
		},
		"ending with a pod left": {
			in: intent{end: v1alpha1.EndStoppedByPublisher, reason: ReasonEnding, message: "x"}, o: observed{pods: []corev1.Pod{podWith(corev1.ContainerStatus{})}},
			phase: v1alpha1.PhaseEnding, ready: ReasonEnding, message: "x",
		},
		"ending with an evicted pod whose time is not written down": {
			in: intent{end: v1alpha1.EndStoppedByPublisher, reason: ReasonEnding, message: "x"}, o: observed{pods: []corev1.Pod{evicted(v1alpha1.FinalizerMeter)}},
			phase: v1alpha1.PhaseEnding, ready: ReasonEnding, message: "x",
		},
		"ending with an evicted pod that nobody needs": {
			in: intent{end: v1alpha1.EndStoppedByPublisher, reason: ReasonEnding, message: "x"}, o: observed{pods: []corev1.Pod{evicted()}},
			phase: v1alpha1.PhaseEnding, ready: ReasonEnding, message: "x", stopped: true,
		},
		"ending while a controller may still make a pod": {
			in:    intent{end: v1alpha1.EndStoppedByPublisher, reason: ReasonEnding, message: "x"},
			o:     observed{replicaSets: []appsv1.ReplicaSet{{ObjectMeta: metav1.ObjectMeta{Generation: 2}, Spec: appsv1.ReplicaSetSpec{Replicas: new(int32)}}}},
			phase: v1alpha1.PhaseEnding, ready: ReasonEnding, message: "x",
		},
		"stopped": {
			in: intent{end: v1alpha1.EndStoppedByPublisher, reason: ReasonEnding, message: "x"}, o: observed{deployments: []appsv1.Deployment{deployment(0, 0, 0, 0)}},
			phase: v1alpha1.PhaseEnding, ready: ReasonEnding, message: "x", stopped: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			app := verifiedApp(paid)
			app.Spec.Host = "shop.example.org"
			s := report(app, web(), c.in, &c.o, Config{PublicScheme: "http", PublicPort: 30080}, moment(1))
			if s.Phase != c.phase {
				t.Errorf("phase is %s, want %s", s.Phase, c.phase)
			}
			ready := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady)
			reason := ready.Reason
			if ready.Status == metav1.ConditionTrue {
				reason = "+" + reason
			}
			if diff := cmp.Diff([]string{c.ready, c.message}, []string{reason, ready.Message}); diff != "" {
				t.Errorf("Ready (-want +got):\n%s", diff)
			}
			if got := meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionStopped); got != c.stopped {
				t.Errorf("Stopped is %t, want %t", got, c.stopped)
			}
			if s.URL != "http://shop.example.org:30080" {
				t.Errorf("URL is %s", s.URL)
			}
		})
	}
}

func TestBlockedIsBounded(t *testing.T) {
	long := strings.Repeat("é", 1000)
	for name, o := range map[string]observed{
		"refused":  {refused: map[string]string{"web": long}},
		"no pod":   {deployments: []appsv1.Deployment{without(long)}},
		"no image": {pods: []corev1.Pod{podWith(corev1.ContainerStatus{State: waiting("ErrImagePull", long)})}},
	} {
		s := report(verifiedApp(paid), web(), intent{build: true, replicas: 1}, &o, Config{}, moment(1))
		if n := len(s.Services[0].Blocked); n < maxBlocked || n > maxBlocked+3 {
			t.Errorf("%s: %d bytes", name, n)
		}
	}
}

func TestConditionsKeepTheirTime(t *testing.T) {
	app := verifiedApp(condition(v1alpha1.ConditionReady, metav1.ConditionFalse, "Old", 1))
	got := conditions(app, moment(5), metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse},
		metav1.Condition{Type: v1alpha1.ConditionStopped, Status: metav1.ConditionTrue})
	if !got[0].LastTransitionTime.Time.Equal(moment(0)) || !got[1].LastTransitionTime.Time.Equal(moment(5)) {
		t.Errorf("times are %s and %s", got[0].LastTransitionTime, got[1].LastTransitionTime)
	}
}
