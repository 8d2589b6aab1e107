// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apocryph/apocryph/api/v1alpha1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

func TestWhatKubernetesSaysIsTold(t *testing.T) {
	for name, c := range map[string]struct{ kind, reason, message, want string }{
		"a pulled image, without its registry":        {"Pod", "Pulled", `Successfully pulled image "localhost:5100/x/web@sha256:00" in 1s`, "pulled: the image is on the machine"},
		"a start":                                     {"Pod", "Started", "Started container web", "started: started"},
		"an image that can't be pulled":               {"Pod", "Failed", `Failed to pull image "localhost:5100/x": dial tcp 127.0.0.1:5100: connect: refused`, "image! the image can't be pulled"},
		"an image that is tried again":                {"Pod", "BackOff", `Back-off pulling image "localhost:5100/x"`, "image! the image can't be pulled; it is tried again"},
		"a container that can't be started":           {"Pod", "Failed", "Error: failed to create containerd task: /var/lib/containerd", "failed! the container can't be started: see apocryph status"},
		"a crash loop":                                {"Pod", "BackOff", "Back-off restarting failed container web in pod web-1_app-x(uid)", "waiting! waits before it is started again, because it ended so often"},
		"a check of the publisher's":                  {"Pod", "Unhealthy", "Readiness probe failed: no such\ntable \x1b[2J", "unhealthy! its check does not pass: no such table \x1b[2J"},
		"a port":                                      {"Pod", "Unhealthy", "Startup probe failed: dial tcp 10.1.2.3:80: connect: connection refused", "unhealthy! its port does not accept connections"},
		"a check that the runtime could not run":      {"Pod", "Unhealthy", "Readiness probe errored: rpc error: code = NotFound desc = /run/containerd/x", "unhealthy! its check does not pass"},
		"a check that the runtime could not start":    {"Pod", "Unhealthy", "Readiness probe failed: OCI runtime exec failed: /usr/bin/runc", "unhealthy! its check does not pass"},
		"no room, without the machines":               {"Pod", "FailedScheduling", "0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory, node(s) secret-pool.", "capacity! no machine has room for it (cpu, memory)"},
		"no room where the volume is":                 {"Pod", "FailedScheduling", "0/3 nodes are available: 3 node(s) had volume node affinity conflict", "capacity! no machine has room for it where its volume is"},
		"the pod before it still there":               {"Pod", "FailedScheduling", "0/1 nodes are available: 1 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode.", "waiting: waits until the pod before it has let go of its volume"},
		"a pod that wrote too much":                   {"Pod", "Evicted", "Pod ephemeral local storage usage exceeds the total limit of containers 64Mi.", "evicted! wrote more than it ordered, and was ended; another pod takes its place"},
		"a machine that is full":                      {"Pod", "Evicted", "The node was low on resource: ephemeral-storage. Threshold 5Gi exceeded", "evicted! its machine ran out of room, and it was ended; another pod takes its place"},
		"a quota":                                     {"ReplicaSet", "FailedCreate", `pods "web-1" is forbidden: exceeded quota: app, requested: cpu=1`, "quota! waits for room within what the app ordered"},
		"a policy":                                    {"ReplicaSet", "FailedCreate", `pods "web-1" is forbidden: ValidatingAdmissionPolicy 'apocryph' denied`, "refused! a pod was refused: see apocryph status"},
		"work that is done":                           {"Job", "Completed", "Job completed", "completed: has done its work"},
		"work that has failed":                        {"Job", "BackoffLimitExceeded", "x", "failed! has failed as often as it may be tried"},
		"a volume that has grown":                     {"PersistentVolumeClaim", "FileSystemResizeSuccessful", "MountVolume.NodeExpandVolume succeeded for volume pvc-1 on node-7", "volume: the volume has grown"},
		"where it runs is not":                        {"Pod", "Scheduled", "Successfully assigned app-x/web-1 to node-7", ""},
		"what is not known is not":                    {"Pod", "SomethingNew", "on node-7", ""},
		"what is not known of another kind is not":    {"Node", "Started", "node-7", ""},
		"a volume that is not mounted, without paths": {"Pod", "FailedMount", "MountVolume.SetUp failed for /var/lib/kubelet", "volume! a volume or file can't be mounted yet; it is tried again"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := words(tell(c.kind, c.reason, c.message)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if got := tell("Pod", "Unhealthy", "Readiness probe failed: "+strings.Repeat("x", 10_000)).message; len(got) > 2*maxSaid {
		t.Errorf("%d bytes of a check's words are passed on", len(got))
	}
}

func words(s said) string {
	switch {
	case s.kind == "":
		return ""
	case s.warning:
		return s.kind + "! " + s.message
	}
	return s.kind + ": " + s.message
}

func TestWhatAnAppSaysIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		kind, reason, message string
		status                metav1.ConditionStatus
		want                  string
	}{
		"verified":        {v1alpha1.ConditionVerified, "Verified", "", metav1.ConditionTrue, "verified: the enclave has checked the order"},
		"refused":         {v1alpha1.ConditionVerified, "CapTooSmall", "the cap is too small", metav1.ConditionFalse, "refused! the enclave refuses the order: the cap is too small"},
		"not yet known":   {v1alpha1.ConditionVerified, "x", "", metav1.ConditionUnknown, ""},
		"low":             {v1alpha1.ConditionFunded, v1alpha1.ReasonLow, "x", metav1.ConditionTrue, "low! the funds run low: apocryph channel deposit"},
		"exhausted":       {v1alpha1.ConditionFunded, v1alpha1.ReasonExhausted, "", metav1.ConditionFalse, "exhausted! the funds are used up, and the app sleeps: apocryph channel deposit"},
		"resumed":         {v1alpha1.ConditionFunded, v1alpha1.ReasonFunded, "", metav1.ConditionTrue, "funded: the channel pays for what runs"},
		"what blocks it":  {v1alpha1.ConditionReady, "Blocked", "web: it exited", metav1.ConditionFalse, "unready: not every service is ready: web: it exited"},
		"settled":         {v1alpha1.ConditionSettled, "Settled", "", metav1.ConditionTrue, "settled: the final bill is on chain"},
		"a webhook":       {v1alpha1.ConditionNotified, v1alpha1.ReasonDelivered, "x", metav1.ConditionTrue, "webhook: the webhook takes what it is told"},
		"a dead webhook":  {v1alpha1.ConditionNotified, v1alpha1.ReasonRetrying, "the webhook at a.example answered 500", metav1.ConditionFalse, "webhook! the webhook does not take what it is told: the webhook at a.example answered 500"},
		"not yet stopped": {v1alpha1.ConditionStopped, "Running", "", metav1.ConditionFalse, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := words(tellCondition(metav1.Condition{Type: c.kind, Status: c.status, Reason: c.reason, Message: c.message})); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func (w *world) events(ctx context.Context, r *providerv1.EventsRequest, send func(*providerv1.EventsResponse) error) error {
	c := w.as(w.publisher).Value(callerKey{}).(*caller)
	return eventStream{stream{w.g, c, w.app(w.publisher), orderv1.Operation_OPERATION_READ}, r, send, map[string]uint32{}}.run(ctx)
}

// kubeEvent is one that Kubernetes recorded about an object of the app.
func (w *world) kubeEvent(name, kind, object, reason, message string, second int64) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: v1alpha1.Namespace(w.app(w.publisher).String()), Name: name, UID: types.UID(name)},
		InvolvedObject: corev1.ObjectReference{Kind: kind, Name: object}, Reason: reason, Message: message,
		LastTimestamp: metav1.Unix(second, 0), Count: 1,
	}
}

func TestTheTimeLine(t *testing.T) {
	w := newWorld(t)
	w.accept(nil)
	id := w.app(w.publisher)
	app := w.get(id)
	app.Status.Conditions = []metav1.Condition{
		{Type: v1alpha1.ConditionVerified, Status: metav1.ConditionTrue, Reason: "Verified", LastTransitionTime: metav1.Unix(10, 0)},
		{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Ready", LastTransitionTime: metav1.Unix(40, 0)},
	}
	if err := w.cluster.Status().Update(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	crashed := pod(w, "web-7d9f-abcde", "web", 1)
	crashed.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled", FinishedAt: metav1.Unix(30, 0)}
	w.create(crashed)
	w.create(w.kubeEvent("a", "Pod", "web-7d9f-abcde", "Started", "x", 20))
	w.create(w.kubeEvent("b", "Pod", "web-7d9f-abcde", "Scheduled", "to node-7", 15))
	w.create(w.kubeEvent("c", "Pod", "carrier-of-the-providers", "Started", "x", 21))
	w.create(w.kubeEvent("d", "PersistentVolumeClaim", "data", "ProvisioningSucceeded", "x", 12))
	for name, c := range map[string]struct {
		service string
		want    []string
	}{
		"of all": {"", []string{
			"10 app verified the enclave has checked the order", "12 app volume data: the volume is made", "20 web started started",
			"30 web crashed ended for using more memory than it ordered", "40 app ready every service is ready",
		}},
		"of a service": {"web", []string{"20 web started started", "30 web crashed ended for using more memory than it ordered"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			err := w.events(t.Context(), &providerv1.EventsRequest{Service: c.service}, func(r *providerv1.EventsResponse) error {
				if e := r.Event; e.Kind != "ordered" {
					who := e.Service
					if who == "" {
						who = "app"
					}
					got = append(got, fmt.Sprintf("%d %s %s %s", e.Time, who, e.Kind, e.Message))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Whoever follows is told each thing once, again when it has happened again, and at each heartbeat that the stream is there.
func TestEventsAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.clocked()
		w.accept(nil)
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		done := make(chan error, 1)
		go func() {
			done <- w.events(ctx, &providerv1.EventsRequest{Follow: true}, func(r *providerv1.EventsResponse) error {
				got = append(got, fmt.Sprintf("%s %d", r.GetEvent().GetKind(), r.GetEvent().GetCount()))
				return nil
			})
		}()
		e := w.kubeEvent("a", "Pod", "web-7d9f-abcde", "Started", "x", 20)
		for _, change := range []func(){
			func() {},
			func() { w.create(e) },
			func() { e.Count = 3; _ = w.cluster.Update(t.Context(), e) },
		} {
			change()
			time.Sleep(3 * time.Second) // the bubble's clock
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"ordered 1", "started 1", "started 3", " 0"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestOnlyTheNewestEventsAreTold(t *testing.T) {
	w := newWorld(t)
	w.accept(nil)
	for i := range maxEvents + 5 {
		w.create(w.kubeEvent(fmt.Sprintf("e%d", i), "Pod", "web-7d9f-abcde", "Started", "x", int64(i)))
	}
	var times []uint64
	err := w.events(t.Context(), &providerv1.EventsRequest{Service: "web"}, func(r *providerv1.EventsResponse) error {
		times = append(times, r.Event.Time)
		return nil
	})
	if err != nil || len(times) != maxEvents || times[len(times)-1] != maxEvents+4 {
		t.Errorf("%d events, %v", len(times), err)
	}
}
