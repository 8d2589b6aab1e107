// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// Whatever keeps a service is named, with what its publisher can do about it. What the cluster refuses, a quota above all, and what holds a
// whole app, as funds do, is in TestReport.
func TestWhatBlocksAServiceHasARemedy(t *testing.T) {
	ended := func(code int32, reason, message string) corev1.ContainerStatus {
		return corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message}}}
	}
	running := corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	for name, c := range map[string]struct {
		status       corev1.ContainerStatus
		health       bool
		what, remedy string
	}{
		"an image that is not there":         {corev1.ContainerStatus{State: waiting("ErrImagePull", "not found")}, false, "the image can't be pulled: not found", remedyPull},
		"a pull that is tried again":         {corev1.ContainerStatus{State: waiting("ImagePullBackOff", "later")}, false, "the image can't be pulled: later", remedyPull},
		"a program that is not there":        {corev1.ContainerStatus{State: waiting("CreateContainerError", "no such file")}, false, "the container can't be started: CreateContainerError: no such file", remedyProgram},
		"a health check":                     {running, true, "it runs, but its health check does not pass", remedyHealth},
		"a port":                             {running, false, "it runs, but port 80 does not accept connections yet", remedyPort},
		"a crash, with its last lines":       {ended(2, "Error", "a\nb\n\nc\nd\n"), false, "it exited with code 2; it last said: b / c / d", remedyCrashed},
		"a crash without words":              {ended(2, "Error", " \n"), false, "it exited with code 2", remedyCrashed},
		"more memory than ordered":           {ended(137, "OOMKilled", ""), false, "it was ended for using more memory than it ordered", remedyMemory},
		"an end that should not have been":   {ended(0, "Completed", ""), false, "it exited with code 0", remedyEnded},
		"a health check of one that crashed": {corev1.ContainerStatus{State: running.State, LastTerminationState: ended(3, "Error", "x").State, RestartCount: 1}, true, "it exited with code 3, restarted 1 times; it last said: x", remedyCrashed},
	} {
		t.Run(name, func(t *testing.T) {
			p := podWith(c.status)
			svc := &manifestv1.Service{Name: "web"}
			if c.health {
				svc.Health = &manifestv1.Health{}
			}
			m := &manifestv1.Manifest{Http: &manifestv1.Http{Service: "web", Port: 80}}
			if got, want := podBlocked(&p, m, svc).String(), c.what+"; "+c.remedy; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	t.Run("whatever it says, the remedy is there", func(t *testing.T) {
		p := podWith(ended(1, "Error", strings.Repeat("x\n", 100)+strings.Repeat("y", 10_000)))
		if got := podBlocked(&p, nil, &manifestv1.Service{Name: "web"}).String(); !strings.HasSuffix(got, remedyCrashed) || len(got) > maxBlocked+3 {
			t.Errorf("%d bytes: %q", len(got), got)
		}
	})
}

func TestACrashLoopIsTold(t *testing.T) {
	at := func(seconds int) metav1.Time { return metav1.NewTime(time.Unix(int64(seconds), 0)) }
	run := func(code int32, reason string, seconds int) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: "the password is x", StartedAt: at(0), FinishedAt: at(seconds)}}
	}
	back, running := waiting("CrashLoopBackOff", "back-off"), corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	for name, c := range map[string]struct {
		status corev1.ContainerStatus
		want   string
	}{
		"it has not started":                {corev1.ContainerStatus{}, ""},
		"its first end":                     {corev1.ContainerStatus{State: run(1, "Error", 5)}, ""},
		"its second end":                    {corev1.ContainerStatus{State: back, LastTerminationState: run(1, "Error", 5), RestartCount: 1}, ""},
		"its third end":                     {corev1.ContainerStatus{State: back, LastTerminationState: run(1, "Error", 5), RestartCount: 2}, "it exited with code 1"},
		"its third end, a moment ago":       {corev1.ContainerStatus{State: run(1, "Error", 5), LastTerminationState: run(9, "Error", 5), RestartCount: 2}, "it exited with code 1"},
		"it runs once more":                 {corev1.ContainerStatus{State: running, LastTerminationState: run(1, "Error", 5), RestartCount: 7}, ""},
		"it uses too much memory":           {corev1.ContainerStatus{State: back, LastTerminationState: run(137, "OOMKilled", 5), RestartCount: 7}, "it was ended for using more memory than it ordered"},
		"it can't be started":               {corev1.ContainerStatus{State: back, LastTerminationState: run(128, "StartError", 0), RestartCount: 7}, "it exited with code 128 (StartError)"},
		"what should go on ends with 0":     {corev1.ContainerStatus{State: back, LastTerminationState: run(0, "Completed", 5), RestartCount: 7}, "it exited with code 0"},
		"it crashes once in a while":        {corev1.ContainerStatus{State: back, LastTerminationState: run(1, "Error", 7200), RestartCount: 7}, ""},
		"another container of the same pod": {corev1.ContainerStatus{Name: "carrier", State: back, LastTerminationState: run(1, "Error", 5), RestartCount: 7}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if c.status.Name == "" {
				c.status.Name = "web"
			}
			p := podWith(c.status)
			if got := crashing(&p, "web"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
