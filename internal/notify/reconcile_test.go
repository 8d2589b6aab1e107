// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/kube/kubetest"
	"github.com/apocryph/apocryph/internal/manifest"
)

const hook = "https://hooks.example.com/" + secret

// hooks is a webhook without a network: it writes down what it is told, and answers as it is told to.
type hooks struct {
	calls  []string
	ids    []string
	urls   []string
	answer answer
}

func (h *hooks) call(_ context.Context, url string, m message) answer {
	h.calls = append(h.calls, strings.TrimSpace(m.Type+" "+m.Data.Service))
	h.ids, h.urls = append(h.ids, m.id), append(h.urls, url)
	return h.answer
}

// take returns what was told since it was last asked.
func (h *hooks) take() []string {
	told := h.calls
	h.calls = nil
	return told
}

// world is an app, its webhook and the notifier.
type world struct {
	t      *testing.T
	now    time.Time
	client client.Client
	// down has writes fail.
	down bool
	hook *hooks
	r    *reconciler
	key  client.ObjectKey
	log  bytes.Buffer
}

func taken() answer  { return answer{taken: true, words: "answered 200", result: "taken"} }
func failed() answer { return answer{words: "answered 500", result: "failed"} }

func encoded(t *testing.T, url string) []byte {
	t.Helper()
	m := &manifestv1.Manifest{Name: "shop", Services: []*manifestv1.Service{{
		Name: "web", Image: "web", Digest: "sha256:" + strings.Repeat("0", 64),
		Resources: &manifestv1.Resources{MilliCpu: 1, MemoryBytes: manifest.MinMemoryBytes, EphemeralBytes: manifest.MinEphemeralBytes},
	}}}
	if url != "" {
		m.Notify = &manifestv1.Notify{Webhook: url, Salt: make([]byte, 16)}
	}
	b, err := manifest.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// newWorld has an app that was told already where its webhook is.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := bareWorld(t)
	w.look()
	if diff := cmp.Diff([]string{typeWebhookSet}, w.hook.take()); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	w.pass(time.Hour)
	return w
}

func bareWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Unix(1_700_000_000, 0), hook: &hooks{answer: taken()}, key: client.ObjectKey{Namespace: "sys", Name: "app"}}
	app := &v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sys", Name: "app", UID: "uid", Generation: 1},
		Spec:       v1alpha1.AppSpec{Name: "shop", Manifest: encoded(t, hook)},
	}
	w.client = fake.NewClientBuilder().WithScheme(kube.Scheme()).WithObjects(app).WithStatusSubresource(app).
		WithTypeConverters(kubetest.Converters(t, "App", "apocryph.network_apps.yaml")...).
		WithInterceptorFuncs(interceptor.Funcs{SubResourceApply: func(ctx context.Context, c client.Client, sub string, obj runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
			if w.down {
				return errors.New("the API server is away")
			}
			return c.SubResource(sub).Apply(ctx, obj, opts...)
		}}).Build()
	w.restart()
	w.condition(v1alpha1.ConditionVerified, metav1.ConditionTrue, "Verified", "")
	w.funds(v1alpha1.ReasonFunded)
	return w
}

// restart forgets what was only in memory.
func (w *world) restart() {
	w.t.Helper()
	n, err := New(Config{Namespace: "sys", Ports: []uint16{443}}, slog.New(slog.NewTextHandler(&w.log, nil)))
	if err != nil {
		w.t.Fatal(err)
	}
	n.now, n.jitter, n.caller = func() time.Time { return w.now }, func() float64 { return 1 }, w.hook
	w.r = &reconciler{Notifier: n, client: w.client}
}

func (w *world) app() *v1alpha1.App {
	w.t.Helper()
	var app v1alpha1.App
	if err := w.client.Get(w.t.Context(), w.key, &app); err != nil {
		w.t.Fatal(err)
	}
	return &app
}

// say changes the app's status as the other services would.
func (w *world) say(change func(*v1alpha1.AppStatus)) {
	w.t.Helper()
	app := w.app()
	change(&app.Status)
	if err := w.client.Status().Update(w.t.Context(), app); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) condition(kind string, status metav1.ConditionStatus, reason, message string) {
	w.t.Helper()
	generation := w.app().Generation
	w.say(func(s *v1alpha1.AppStatus) {
		meta.SetStatusCondition(&s.Conditions, metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: generation})
	})
}

func (w *world) funds(reason string) {
	w.t.Helper()
	status := metav1.ConditionTrue
	if reason == v1alpha1.ReasonExhausted || reason == v1alpha1.ReasonCapExceeded {
		status = metav1.ConditionFalse
	}
	w.condition(v1alpha1.ConditionFunded, status, reason, "5 of 100 are left")
}

func (w *world) service(name, crashing string, ready int32) {
	w.t.Helper()
	w.say(func(s *v1alpha1.AppStatus) {
		s.Services = []v1alpha1.ServiceStatus{{Name: name, Wanted: 1, Ready: ready, Restarts: 4, Crashing: crashing, Blocked: "it last said: " + secret}}
	})
}

// order has the app name another webhook.
func (w *world) order(url string) {
	w.t.Helper()
	app := w.app()
	app.Spec.Manifest, app.Generation = encoded(w.t, url), app.Generation+1
	if err := w.client.Update(w.t.Context(), app); err != nil {
		w.t.Fatal(err)
	}
	w.condition(v1alpha1.ConditionVerified, metav1.ConditionTrue, "Verified", "")
}

// look looks until nothing is due, and returns when something will be.
func (w *world) look() time.Duration {
	w.t.Helper()
	for range 200 {
		r, err := w.r.Reconcile(w.t.Context(), reconcile.Request{NamespacedName: w.key})
		if err != nil && !w.down {
			w.t.Fatal(err)
		}
		if r.RequeueAfter != time.Millisecond {
			return r.RequeueAfter
		}
	}
	w.t.Fatal("it looks without end")
	return 0
}

// pass lets time go by, with a look whenever one is due.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	for end := w.now.Add(d); ; {
		next := w.look()
		if next == 0 || w.now.Add(next).After(end) {
			w.now = end
			w.look()
			return
		}
		w.now = w.now.Add(next)
	}
}

func (w *world) told(want ...string) {
	w.t.Helper()
	w.look()
	if diff := cmp.Diff(want, w.hook.take()); diff != "" {
		w.t.Errorf("told (-want +got):\n%s", diff)
	}
}

func (w *world) notified() string {
	w.t.Helper()
	c := meta.FindStatusCondition(w.app().Status.Conditions, v1alpha1.ConditionNotified)
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
}

func (w *world) says(want string) {
	w.t.Helper()
	if got := w.notified(); !strings.HasPrefix(got, want) {
		w.t.Errorf("it says %q, want %q", got, want)
	}
}

func TestFundsAreTold(t *testing.T) {
	w := newWorld(t)
	w.told()
	w.funds(v1alpha1.ReasonLow)
	w.told(typeFundsLow)
	w.says("True Delivered: the webhook at hooks.example.com took app.funds.low at 2023-11-14T23:13:20Z")
	w.funds(v1alpha1.ReasonExhausted)
	w.told(typeFundsExhausted)
	w.funds(v1alpha1.ReasonChainUnseen)
	w.told()
	w.funds(v1alpha1.ReasonExhausted)
	w.told()
	w.funds(v1alpha1.ReasonFunded)
	w.told(typeFundsFunded)
	w.funds(v1alpha1.ReasonCapExceeded)
	w.told(typeFundsCapped)
	w.say(func(s *v1alpha1.AppStatus) { s.EndReason, s.Phase = v1alpha1.EndFundsExhausted, v1alpha1.PhaseEnding })
	w.told(typeEnded)
	w.funds(v1alpha1.ReasonClosed)
	w.pass(48 * time.Hour)
	w.told()
	if got := w.hook.urls[0]; got != hook {
		t.Errorf("called %s", got)
	}
}

func TestCrashesAreTold(t *testing.T) {
	w := newWorld(t)
	w.service("web", "", 1)
	w.told()
	w.service("web", "it exited with code 1", 0)
	w.told(typeCrashing + " web")
	text := w.app().Status.Notify.Messages
	if got := text[len(text)-1].Text; got != "service web crashes again and again: it exited with code 1, restarted 4 times; see apocryph logs" {
		t.Errorf("it says %q", got)
	}
	// It flaps: in each minute it runs for a while.
	for range 60 {
		w.service("web", "", 1)
		w.pass(30 * time.Second)
		w.service("web", "it exited with code 1", 0)
		w.pass(30 * time.Second)
	}
	w.told()
	w.service("web", "", 1)
	w.pass(settling - time.Second)
	w.told()
	w.pass(time.Second)
	w.told(typeRecovered + " web")
	w.service("web", "it was ended for using more memory than it ordered", 0)
	w.told(typeCrashing + " web")
}

// What flaps is told once in a while, as it stands then.
func TestFlappingDoesNotFlood(t *testing.T) {
	w := newWorld(t)
	began := w.now
	for w.now.Sub(began) < 2*time.Hour {
		w.funds(v1alpha1.ReasonExhausted)
		w.pass(30 * time.Second)
		w.funds(v1alpha1.ReasonFunded)
		w.pass(30 * time.Second)
	}
	told := w.hook.take()
	count := map[string]int{}
	for _, m := range told {
		count[m]++
	}
	if count[typeFundsExhausted] > 12 || count[typeFundsFunded] > 12 || len(told) < 8 {
		t.Errorf("%v in two hours", count)
	}
	w.pass(spacing)
	if told = append(told, w.hook.take()...); told[len(told)-1] != typeFundsFunded {
		t.Errorf("the last word is %s", told[len(told)-1])
	}
}

func TestWhatFailsIsToldAgain(t *testing.T) {
	w := newWorld(t)
	w.hook.answer, w.hook.ids = failed(), nil
	w.funds(v1alpha1.ReasonLow)
	began := w.now
	w.look()
	w.says("False Retrying: the webhook at hooks.example.com answered 500; app.funds.low was tried 1 times, last at ")
	var waits []time.Duration
	for range 12 {
		next := w.look()
		waits = append(waits, next)
		w.now = w.now.Add(next)
	}
	want := []time.Duration{10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600}
	for i := range want {
		want[i] *= time.Second
	}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	w.pass(keepTrying - w.now.Sub(began))
	w.says("False GivenUp: the webhook at hooks.example.com took nothing for a day; app.funds.low was tried ")
	w.hook.take()
	w.pass(48 * time.Hour)
	w.told()
	for _, id := range w.hook.ids {
		if id != w.hook.ids[0] || id == "" {
			t.Fatalf("ids %q differ", w.hook.ids)
		}
	}
	// The next that becomes of it is told again.
	w.hook.answer = taken()
	w.funds(v1alpha1.ReasonExhausted)
	w.told(typeFundsExhausted)
	w.says("True Delivered")
}

func TestSoonerWithLuck(t *testing.T) {
	for _, c := range []struct {
		chance     float64
		retryAfter time.Duration
		want       time.Duration
	}{
		{0, 0, 5 * time.Second}, {1, 0, 10 * time.Second}, {1, 5 * time.Minute, 5 * time.Minute}, {1, 100 * time.Hour, lastRetry},
	} {
		w := newWorld(t)
		w.r.jitter = func() float64 { return c.chance }
		w.hook.answer = answer{words: "answered 503", result: "failed", retryAfter: c.retryAfter}
		w.funds(v1alpha1.ReasonLow)
		if got := w.look(); got != c.want {
			t.Errorf("%+v: it waits %s", c, got)
		}
	}
}

func TestARefusalEndsIt(t *testing.T) {
	w := newWorld(t)
	w.hook.answer = answer{final: true, words: "answered 404", result: "refused"}
	w.funds(v1alpha1.ReasonLow)
	w.told(typeFundsLow)
	w.says("False GivenUp: the webhook at hooks.example.com answered 404; app.funds.low was tried 1 times, last at 2023-11-14T23:13:20Z, and is not tried again")
	w.pass(48 * time.Hour)
	w.told()

	t.Log("a webhook that is put right is told what the one before refused")
	w.hook.answer = taken()
	w.order(hook + "/right")
	w.told(typeFundsLow, typeWebhookSet)
	w.says("True Delivered")
}

func TestWhatIsOvertakenIsNotTold(t *testing.T) {
	w := newWorld(t)
	w.hook.answer = failed()
	w.service("web", "it exited with code 1", 0)
	w.told(typeCrashing + " web")
	t.Log("while the webhook is away, funds run down and come back: nobody need know")
	w.funds(v1alpha1.ReasonLow)
	w.look()
	w.funds(v1alpha1.ReasonExhausted)
	w.look()
	w.funds(v1alpha1.ReasonFunded)
	w.look()
	w.hook.answer = taken()
	w.pass(time.Minute)
	w.told(typeCrashing + " web")

	t.Log("what it may have heard is put right")
	w.hook.answer = failed()
	w.funds(v1alpha1.ReasonLow)
	w.told(typeFundsLow)
	w.funds(v1alpha1.ReasonFunded)
	w.hook.answer = taken()
	w.pass(time.Minute)
	w.told(typeFundsFunded)

	t.Log("what is true again before that is told on")
	w.pass(time.Hour)
	w.hook.answer = failed()
	w.funds(v1alpha1.ReasonLow)
	w.told(typeFundsLow)
	w.r.jitter = func() float64 { return 0 }
	w.funds(v1alpha1.ReasonFunded)
	w.look()
	w.funds(v1alpha1.ReasonLow)
	w.hook.answer = taken()
	w.pass(time.Minute)
	w.told(typeFundsLow)
}

func TestARestartNeitherRepeatsNorLoses(t *testing.T) {
	w := newWorld(t)
	w.funds(v1alpha1.ReasonLow)
	w.told(typeFundsLow)
	w.restart()
	w.told()

	w.hook.answer = failed()
	w.funds(v1alpha1.ReasonExhausted)
	w.told(typeFundsExhausted)
	id := w.hook.ids[len(w.hook.ids)-1]
	w.restart()
	if next := w.look(); next != firstRetry {
		t.Errorf("after a restart it is tried again in %s", next)
	}
	w.told()
	w.hook.answer = taken()
	w.pass(firstRetry)
	w.told(typeFundsExhausted)
	if got := w.hook.ids[len(w.hook.ids)-1]; got != id {
		t.Errorf("its id was %s, is %s", id, got)
	}

	t.Log("what happened while it was away is told")
	w.funds(v1alpha1.ReasonFunded)
	w.restart()
	w.told(typeFundsFunded)
}

// Nothing is told that is not written down, and what was told is not told again because it could not be.
func TestTheAPIServerIsAway(t *testing.T) {
	w := newWorld(t)
	w.down = true
	w.funds(v1alpha1.ReasonLow)
	w.told()
	w.down = false
	w.told(typeFundsLow)

	w.pass(time.Hour)
	w.funds(v1alpha1.ReasonExhausted)
	calls := &downAfter{hooks: w.hook, w: w}
	w.r.caller = calls
	w.look()
	w.look()
	w.down = false
	w.told(typeFundsExhausted)
	w.restart()
	w.told()
}

// downAfter is a webhook after whose call the API server is away.
type downAfter struct {
	*hooks
	w *world
}

func (d *downAfter) call(ctx context.Context, url string, m message) answer {
	d.w.down = true
	return d.hooks.call(ctx, url, m)
}

func TestOnlyVerifiedOrdersNameAWebhook(t *testing.T) {
	w := newWorld(t)
	app := w.app()
	app.Spec.Manifest, app.Generation = encoded(t, "https://evil.example.com/"), app.Generation+1
	if err := w.client.Update(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	w.funds(v1alpha1.ReasonLow)
	w.told()
	w.condition(v1alpha1.ConditionVerified, metav1.ConditionFalse, "Refused", "")
	w.told()
}

func TestAWebhookThatLeavesTheOrder(t *testing.T) {
	w := newWorld(t)
	w.order("")
	w.funds(v1alpha1.ReasonLow)
	w.told()
	w.says("Unknown NoWebhook: ")
	if w.app().Status.Notify != nil {
		t.Error("what it was told is still there")
	}
	w.order(hook)
	w.told(typeWebhookSet, typeFundsLow)
}

func TestAnAppWithoutAWebhook(t *testing.T) {
	w := bareWorld(t)
	w.order("")
	w.funds(v1alpha1.ReasonLow)
	w.told()
	w.says("")
	if w.notified() != "" {
		t.Error("it has a condition")
	}
}

func TestServicesThatLeaveAreForgotten(t *testing.T) {
	w := newWorld(t)
	w.service("web", "it exited with code 1", 0)
	w.told(typeCrashing + " web")
	w.service("other", "", 1)
	w.told()
	for _, m := range w.app().Status.Notify.Messages {
		if m.Service == "web" {
			t.Errorf("%+v is still there", m)
		}
	}
}

// Whatever happens, the URL is nowhere but in the order.
func TestTheURLIsKept(t *testing.T) {
	w := newWorld(t)
	w.service("web", "it exited with code 1", 0)
	for _, a := range []answer{failed(), {final: true, words: "answered 404", result: "refused"}, taken()} {
		w.hook.answer = a
		w.funds(v1alpha1.ReasonLow)
		w.pass(time.Hour)
		w.funds(v1alpha1.ReasonExhausted)
		w.pass(time.Hour)
	}
	app := w.app()
	app.Spec.Manifest, app.Status.Services = nil, nil
	text := fmt.Sprintf("%+v %+v %s", app.Status, app.Status.Notify, w.log.String())
	if strings.Contains(text, secret) {
		t.Errorf("it is in\n%s", text)
	}
	if !strings.Contains(w.log.String(), "host=hooks.example.com") {
		t.Errorf("the log:\n%s", w.log.String())
	}
}

func TestAppsThatGoAreForgotten(t *testing.T) {
	w := newWorld(t)
	if err := w.client.Delete(t.Context(), w.app()); err != nil {
		t.Fatal(err)
	}
	w.look()
	if len(w.r.kept) != 0 {
		t.Errorf("%d apps are remembered", len(w.r.kept))
	}
}

func FuzzWebhookOf(f *testing.F) {
	b, err := proto.Marshal(&manifestv1.Manifest{Name: "shop", Notify: &manifestv1.Notify{Webhook: hook, Salt: make([]byte, 16)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		app := &v1alpha1.App{Spec: v1alpha1.AppSpec{Manifest: b}}
		meta.SetStatusCondition(&app.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionVerified, Status: metav1.ConditionTrue})
		w, known, err := webhookOf(app)
		if w != nil && (!known || err != nil || !strings.HasPrefix(strings.ToLower(w.url), "https://")) {
			t.Errorf("%+v %t %v", w, known, err)
		}
	})
}

// A webhook that does not answer keeps its own app waiting, and no other.
func TestASlowWebhookHoldsUpNobodyElse(t *testing.T) {
	w := newWorld(t)
	other := w.app()
	other.ObjectMeta = metav1.ObjectMeta{Namespace: "sys", Name: "other", UID: "other", Generation: 1}
	status := other.Status
	if err := w.client.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	other.Status = v1alpha1.AppStatus{Conditions: status.Conditions}
	if err := w.client.Status().Update(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	slow := &slowHooks{arrived: make(chan struct{}), release: make(chan struct{})}
	w.r.caller = slow
	w.funds(v1alpha1.ReasonLow)
	done := make(chan error)
	go func() {
		_, err := w.r.Reconcile(t.Context(), reconcile.Request{NamespacedName: w.key})
		done <- err
	}()
	<-slow.arrived
	if _, err := w.r.Reconcile(t.Context(), reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "sys", Name: "other"}}); err != nil {
		t.Fatal(err)
	}
	if n := slow.answered.Load(); n != 1 {
		t.Errorf("%d were told while one rests", n)
	}
	close(slow.release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// slowHooks rest when they are told of funds, and take everything else.
type slowHooks struct {
	arrived, release chan struct{}
	answered         atomic.Int32
}

func (s *slowHooks) call(_ context.Context, _ string, m message) answer {
	if m.Type == typeFundsLow {
		close(s.arrived)
		<-s.release
	}
	s.answered.Add(1)
	return taken()
}

func TestWordsAreBounded(t *testing.T) {
	app := &v1alpha1.App{}
	meta.SetStatusCondition(&app.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionFunded, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonExhausted, Message: strings.Repeat("long\n", 1000),
	})
	app.Status.Services = []v1alpha1.ServiceStatus{{Name: "web", Crashing: strings.Repeat("é\x00", 1000)}}
	for _, n := range newsOf(app) {
		if len(n.text) > maxText+len("…") || strings.Contains(n.text, "\n") {
			t.Errorf("%d bytes: %q", len(n.text), n.text)
		}
	}
}

// The whole way, with a webhook that is down at first and one that is not public.
func TestOverARealConnection(t *testing.T) {
	var up atomic.Bool
	var got []string
	r := newReceiver(t, func(rw http.ResponseWriter, req *http.Request) {
		if !up.Load() {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, _ := io.ReadAll(req.Body)
		got = append(got, req.Header.Get("Webhook-Id")+" "+string(body))
	})
	w := newWorld(t)
	w.r.caller = r.courier
	w.order(r.hook())
	w.look()
	w.says("False Retrying: the webhook at 127.0.0.1 answered 503; app.webhook.set was tried 1 times, last at ")
	up.Store(true)
	w.pass(time.Minute)
	w.says("True Delivered: the webhook at 127.0.0.1 took app.webhook.set at ")
	w.service("web", "it exited with code 1", 0)
	w.look()
	messages := w.app().Status.Notify.Messages
	want := messages[len(messages)-1].ID + ` {"type":"app.service.crashing","timestamp":"2023-11-14T23:14:20Z","data":{"app":"app","name":"shop","service":"web",` +
		`"reason":"Crashing","message":"service web crashes again and again: it exited with code 1, restarted 4 times; see apocryph logs"}}`
	if len(got) != 2 || got[1] != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}

	w.r.caller = newCourier(Config{Ports: r.guard.ports, Roots: r.roots})
	w.funds(v1alpha1.ReasonLow)
	w.look()
	w.says("False GivenUp: the webhook at 127.0.0.1 is not called: its address is not public, or its port is not one that the provider calls; app.funds.low was tried 1 times, ")
	if len(got) != 2 {
		t.Errorf("it was called: %s", got[2])
	}
}
