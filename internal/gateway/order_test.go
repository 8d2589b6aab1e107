// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/fault"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

func TestApply(t *testing.T) {
	w := newWorld(t)
	app := w.accept(nil)
	r := w.order(nil)
	m, err := manifest.Encode(r.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	hash, _ := manifest.HashOf(r.Manifest)
	type essence struct{ Name, Publisher, Provider, Salt, Manifest, Hash, Channel, Host string }
	want := essence{
		"notes", strings.ToLower(w.publisher.address().Hex()), "0x0100000000000000000000000000000000000000", "0x07" + strings.Repeat("0", 62),
		string(m), hash.String(), app.Spec.Channel, "notes-" + app.Name[:10] + ".apps.localhost",
	}
	s := app.Spec
	got := essence{s.Name, s.Publisher, s.Provider, s.Salt, string(s.Manifest), s.ManifestHash, s.Channel, s.Host}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{v1alpha1.FinalizerChannel}, app.Finalizers); diff != "" {
		t.Errorf("what keeps it until it is settled (-want +got):\n%s", diff)
	}
	if app.Name != w.app(w.publisher).String() || app.Spec.Sequence != 1000 || app.Spec.Replicas != nil {
		t.Errorf("name %s, sequence %d, replicas %v", app.Name, app.Spec.Sequence, app.Spec.Replicas)
	}

	t.Run("the same order again changes nothing", func(t *testing.T) {
		again := w.order(nil)
		first := app.DeepCopy()
		first.Spec.Statement, _ = marshal(again.Statement)
		if err := w.cluster.Update(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		if _, err := (server{w.g}).Apply(w.as(w.publisher), again); err != nil {
			t.Error(err)
		}
		if now := w.get(w.app(w.publisher)); now.ResourceVersion != first.ResourceVersion {
			t.Error("it was written again")
		}
	})
	t.Run("an update keeps what others wrote and the host", func(t *testing.T) {
		scaled := w.get(w.app(w.publisher))
		three := int32(3)
		scaled.Spec.Replicas, scaled.Finalizers = &three, []string{v1alpha1.FinalizerApp}
		if err := w.cluster.Update(t.Context(), scaled); err != nil {
			t.Fatal(err)
		}
		// The channel is the first one's: its quote has expired by now, and names the first manifest.
		w.now = w.now.Add(30 * time.Minute)
		next := w.accept(func(d *draft) {
			d.sequence = 2000
			d.manifest.Services[0].Command = []string{"serve"}
			d.manifest.Name = "renamed"
			d.quote = func(q *orderv1.Quote) {
				q.ManifestHash = hash[:]
				q.ExpiresAt = uint64(w.now.Add(-20 * time.Minute).Unix())
			}
		})
		if *next.Spec.Replicas != 3 || len(next.Finalizers) != 1 || next.Spec.Host != app.Spec.Host || next.Spec.Sequence != 2000 {
			t.Errorf("got replicas %d, finalizers %v, host %s", *next.Spec.Replicas, next.Finalizers, next.Spec.Host)
		}
	})
}

func TestAnOrderMayComeSomeTimeAfterItsQuoteEnded(t *testing.T) {
	w := newWorld(t)
	w.accept(func(d *draft) {
		d.quote = func(q *orderv1.Quote) { q.ExpiresAt = uint64(w.now.Add(-time.Hour + time.Second).Unix()) }
	})
}

func TestApplyRefuses(t *testing.T) {
	for what, c := range map[string]struct {
		edit   func(*world, *draft)
		reason providerv1.Reason
		code   connect.Code
	}{
		"a statement without the operation delegated": {
			func(_ *world, d *draft) {
				d.grant = func(g *delegation.Delegation) { g.Operations = []orderv1.Operation{orderv1.Operation_OPERATION_READ} }
			}, providerv1.Reason_REASON_OPERATION_NOT_DELEGATED, connect.CodePermissionDenied,
		},
		"a statement for another provider": {
			func(_ *world, d *draft) {
				d.grant = func(g *delegation.Delegation) { g.Provider.Address[0]++ }
			}, providerv1.Reason_REASON_DELEGATION_FOREIGN, connect.CodePermissionDenied,
		},
		"a statement under a delegation for another app": {
			func(_ *world, d *draft) {
				d.grant = func(g *delegation.Delegation) { g.AllApps, g.Apps = false, []delegation.AppID{{1}} }
			}, providerv1.Reason_REASON_DELEGATION_FOREIGN, connect.CodePermissionDenied,
		},
		"another publisher's statement": {
			func(w *world, d *draft) { d.by = w.stranger },
			providerv1.Reason_REASON_DELEGATION_FOREIGN, connect.CodePermissionDenied,
		},
		"a statement signed after its delegation ended": {
			func(w *world, d *draft) {
				d.statement = func(s *delegation.Statement) { s.IssuedAt = w.now.Add(2 * time.Hour) }
			}, providerv1.Reason_REASON_DELEGATION_EXPIRED, connect.CodeUnauthenticated,
		},
		"a statement about another app": {
			func(_ *world, d *draft) {
				d.statement = func(s *delegation.Statement) { s.App[0]++ }
			}, providerv1.Reason_REASON_APP_FOREIGN, connect.CodePermissionDenied,
		},
		"a stop sent as an order": {
			func(_ *world, d *draft) {
				d.statement = func(s *delegation.Statement) { s.Action = orderv1.Action_ACTION_STOP }
			}, providerv1.Reason_REASON_STATEMENT_INVALID, connect.CodeInvalidArgument,
		},
		"another manifest than the one ordered": {
			func(_ *world, d *draft) {
				d.statement = func(s *delegation.Statement) { s.ManifestHash[0]++ }
			}, providerv1.Reason_REASON_STATEMENT_INVALID, connect.CodeInvalidArgument,
		},
		"a manifest that is not canonical": {
			func(_ *world, d *draft) { d.manifest.Services[0].Digest = "latest" },
			providerv1.Reason_REASON_MANIFEST_INVALID, connect.CodeInvalidArgument,
		},
		"a manifest that is too large": {
			func(_ *world, d *draft) { d.manifest.Services[0].Image = strings.Repeat("x", manifest.MaxSize) },
			providerv1.Reason_REASON_MANIFEST_TOO_LARGE, connect.CodeInvalidArgument,
		},
		"a host of two labels": {
			func(_ *world, d *draft) { d.manifest.Http.Host = "a.b" },
			providerv1.Reason_REASON_HOST_INVALID, connect.CodeInvalidArgument,
		},
		"a host that looks like another in Unicode": {
			func(_ *world, d *draft) { d.manifest.Http.Host = "xn--80ak6aa92e" },
			providerv1.Reason_REASON_HOST_INVALID, connect.CodeInvalidArgument,
		},
		"a reserved host": {
			func(_ *world, d *draft) { d.manifest.Http.Host = "console" },
			providerv1.Reason_REASON_HOST_TAKEN, connect.CodeAlreadyExists,
		},
		"a service that fits on no machine": {
			func(_ *world, d *draft) { d.manifest.Services[0].Resources.MilliCpu = 2001 },
			providerv1.Reason_REASON_RESOURCES_IMPOSSIBLE, connect.CodeFailedPrecondition,
		},
		"more than one app may have": {
			func(w *world, d *draft) {
				w.g.cfg.PerApp = usage.Rate{StorageBytes: 2 << 30}
				d.manifest.Volumes[0].SizeBytes = 3 << 30
			}, providerv1.Reason_REASON_RESOURCES_IMPOSSIBLE, connect.CodeFailedPrecondition,
		},
		"a resource that the channel's tariff has no price for": {
			func(w *world, d *draft) {
				w.machineHas("nvidia.com/gpu", "1")
				d.manifest.Services[0].Resources.Extended = []*manifestv1.Units{{Resource: "nvidia.com/gpu", Count: 1}}
			}, providerv1.Reason_REASON_RESOURCES_IMPOSSIBLE, connect.CodeFailedPrecondition,
		},
		"a resource that no machine has": {
			func(w *world, d *draft) {
				w.sells("nvidia.com/gpu")
				d.manifest.Services[0].Resources.Extended = []*manifestv1.Units{{Resource: "nvidia.com/gpu", Count: 1}}
			}, providerv1.Reason_REASON_RESOURCES_IMPOSSIBLE, connect.CodeFailedPrecondition,
		},
		"a quote signed by somebody else": {
			func(w *world, d *draft) { d.quoteKey = newWallet(w.t) },
			providerv1.Reason_REASON_QUOTE_INVALID, connect.CodeInvalidArgument,
		},
		"a quote for another chain": {
			func(_ *world, d *draft) { d.quote = func(q *orderv1.Quote) { q.ChainId++ } },
			providerv1.Reason_REASON_QUOTE_INVALID, connect.CodeInvalidArgument,
		},
		"a quote of another provider": {
			func(_ *world, d *draft) { d.quote = func(q *orderv1.Quote) { q.Provider[0]++ } },
			providerv1.Reason_REASON_QUOTE_INVALID, connect.CodeInvalidArgument,
		},
		"a first order on an expired quote": {
			func(w *world, d *draft) {
				d.quote = func(q *orderv1.Quote) { q.ExpiresAt = uint64(w.now.Add(-time.Hour).Unix()) }
			},
			providerv1.Reason_REASON_QUOTE_EXPIRED, connect.CodeFailedPrecondition,
		},
		"a channel of another publisher": {
			func(w *world, d *draft) {
				d.terms = func(p *orderv1.Terms) { p.Publisher = w.stranger.address().Bytes() }
			}, providerv1.Reason_REASON_CHANNEL_FOREIGN, connect.CodePermissionDenied,
		},
		"a channel of another app": {
			func(_ *world, d *draft) { d.terms = func(p *orderv1.Terms) { p.App[0]++ } },
			providerv1.Reason_REASON_CHANNEL_FOREIGN, connect.CodePermissionDenied,
		},
		"terms that pay somebody else": {
			func(_ *world, d *draft) { d.terms = func(p *orderv1.Terms) { p.Payout[0]++ } },
			providerv1.Reason_REASON_CHANNEL_TERMS, connect.CodeInvalidArgument,
		},
		"terms with another voucher signer": {
			func(_ *world, d *draft) { d.terms = func(p *orderv1.Terms) { p.Signer[0]++ } },
			providerv1.Reason_REASON_CHANNEL_TERMS, connect.CodeInvalidArgument,
		},
		"terms with a smaller cap than quoted": {
			func(_ *world, d *draft) { d.terms = func(p *orderv1.Terms) { p.Cap = []byte{1} } },
			providerv1.Reason_REASON_CHANNEL_TERMS, connect.CodeInvalidArgument,
		},
		"terms of another quote": {
			func(_ *world, d *draft) { d.terms = func(p *orderv1.Terms) { p.Quote[0]++ } },
			providerv1.Reason_REASON_CHANNEL_TERMS, connect.CodeInvalidArgument,
		},
		"a statement that names another channel": {
			func(_ *world, d *draft) {
				d.statement = func(s *delegation.Statement) { s.Channel[0]++ }
			}, providerv1.Reason_REASON_CHANNEL_TERMS, connect.CodeInvalidArgument,
		},
		"a manifest that outgrows the cap": {
			func(_ *world, d *draft) { d.quote = func(q *orderv1.Quote) { q.Terms.Cap = []byte{1} } },
			providerv1.Reason_REASON_CAP_EXCEEDED, connect.CodeFailedPrecondition,
		},
		"a chain that can't be seen": {
			func(w *world, _ *draft) { w.unseen = errors.New("connection refused") },
			providerv1.Reason_REASON_CHAIN_UNSEEN, connect.CodeUnavailable,
		},
		"a channel that was never opened": {
			func(_ *world, d *draft) { d.state = &channel.State{} },
			providerv1.Reason_REASON_CHANNEL_NOT_FOUND, connect.CodeFailedPrecondition,
		},
		"a channel under notice": {
			func(w *world, d *draft) {
				d.state = &channel.State{Deposited: tariff.Units(10_000_000), SpentUntil: 1, NoticeEnd: uint64(w.now.Unix()) + 10}
			}, providerv1.Reason_REASON_CHANNEL_NOTICE, connect.CodeFailedPrecondition,
		},
		"a closed channel": {
			func(_ *world, d *draft) {
				d.state = &channel.State{Deposited: tariff.Units(10_000_000), SpentUntil: 1, NoticeEnd: 1<<40 - 1}
			}, providerv1.Reason_REASON_CHANNEL_CLOSED, connect.CodeFailedPrecondition,
		},
		"a deposit below the least": {
			func(_ *world, d *draft) { d.state = &channel.State{Deposited: tariff.Units(360_599), SpentUntil: 1} },
			providerv1.Reason_REASON_DEPOSIT_TOO_SMALL, connect.CodeFailedPrecondition,
		},
		"a deposit that is claimed already": {
			func(_ *world, d *draft) {
				d.state = &channel.State{Deposited: tariff.Units(10_000_000), Claimed: tariff.Units(9_999_999), SpentUntil: 1}
			}, providerv1.Reason_REASON_DEPOSIT_TOO_SMALL, connect.CodeFailedPrecondition,
		},
		"an image that was not pushed": {
			func(w *world, d *draft) { w.missing[d.manifest.Services[0].Digest] = true },
			providerv1.Reason_REASON_IMAGE_MISSING, connect.CodeFailedPrecondition,
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			r := w.order(func(d *draft) { c.edit(w, d) })
			_, err := (server{w.g}).Apply(w.as(w.publisher), r)
			if err == nil {
				t.Fatal("accepted")
			}
			reason, code := detail(w.g.toConnect(t.Context(), "Apply", err))
			if reason != c.reason || code != c.code {
				t.Errorf("got %s, %s (%v); want %s, %s", reason, code, err, c.reason, c.code)
			}
			if left := w.apps(); len(left) != 0 {
				t.Errorf("left behind: %d apps", len(left))
			}
		})
	}
}

func TestTheLeastDepositStarts(t *testing.T) {
	w := newWorld(t)
	// Half a vCPU at 3600 a milli-hour, 1 GiB of memory, 1 GiB of volume, for ten minutes: 300,000 + 60,000 + 600.
	w.accept(func(d *draft) { d.state = &channel.State{Deposited: tariff.Units(360_600), SpentUntil: 1} })
}

func TestUpdateRefuses(t *testing.T) {
	for what, c := range map[string]struct {
		before func(*v1alpha1.App)
		edit   func(*draft)
		reason providerv1.Reason
	}{
		"an older order":                   {nil, func(d *draft) { d.sequence = 999 }, providerv1.Reason_REASON_STATEMENT_STALE},
		"another order of the same number": {nil, func(d *draft) { d.manifest.Name = "other" }, providerv1.Reason_REASON_STATEMENT_STALE},
		"another channel":                  {nil, func(d *draft) { d.sequence = 2000; d.quote = func(q *orderv1.Quote) { q.ExpiresAt++ } }, providerv1.Reason_REASON_CHANNEL_TERMS},
		"an app that was stopped":          {func(a *v1alpha1.App) { a.Spec.Stop = []byte("stop") }, func(d *draft) { d.sequence = 2000 }, providerv1.Reason_REASON_APP_ENDED},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			app := w.accept(nil)
			if c.before != nil {
				c.before(app)
				if err := w.cluster.Update(t.Context(), app); err != nil {
					t.Fatal(err)
				}
			}
			_, err := (server{w.g}).Apply(w.as(w.publisher), w.order(c.edit))
			if reason := reasonOf(err); reason != c.reason {
				t.Errorf("got %s (%v), want %s", reason, err, c.reason)
			}
			if diff := cmp.Diff(app, w.get(w.app(w.publisher))); diff != "" {
				t.Errorf("the app changed:\n%s", diff)
			}
		})
	}
}

func TestHostIsGivenOnce(t *testing.T) {
	w := newWorld(t)
	named := func(d *draft) { d.manifest.Http.Host = "notes" }
	w.accept(named)
	theirs := func(d *draft) { named(d); d.by = w.stranger }
	_, err := (server{w.g}).Apply(w.as(w.stranger), w.order(theirs))
	if reason := reasonOf(err); reason != providerv1.Reason_REASON_HOST_TAKEN {
		t.Errorf("got %s (%v) for a taken host", reason, err)
	}
	if len(w.apps()) != 1 {
		t.Error("an app was left behind")
	}
	if again := w.accept(func(d *draft) { named(d); d.sequence = 2000 }); again.Spec.Host != "notes.apps.localhost" {
		t.Errorf("its own app got %s", again.Spec.Host)
	}
	first := w.get(w.app(w.publisher))
	first.Status.Phase = v1alpha1.PhaseEnded
	if err := w.cluster.Status().Update(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if next := w.accept(theirs); next.Spec.Host != "notes.apps.localhost" {
		t.Errorf("after the end: %s", next.Spec.Host)
	}
}

func TestHostLabel(t *testing.T) {
	id := delegation.AppID{1}
	for what, c := range map[string]struct {
		m    *manifestv1.Manifest
		want string
	}{
		"no http service":              {&manifestv1.Manifest{Name: "a"}, ""},
		"an explicit one":              {&manifestv1.Manifest{Name: "a", Http: &manifestv1.Http{Host: "b"}}, "b"},
		"a name and ten of the id":     {&manifestv1.Manifest{Name: "a", Http: &manifestv1.Http{}}, "a-aeaaaaaaaa"},
		"a long name is cut":           {&manifestv1.Manifest{Name: strings.Repeat("a", 63), Http: &manifestv1.Http{}}, strings.Repeat("a", 52) + "-aeaaaaaaaa"},
		"and never at a double hyphen": {&manifestv1.Manifest{Name: strings.Repeat("a", 51) + "-bcd", Http: &manifestv1.Http{}}, strings.Repeat("a", 51) + "-aeaaaaaaaa"},
	} {
		if got := hostLabel(c.m, id); got != c.want || (got != "" && !manifest.LooksLikeLabel(got)) {
			t.Errorf("%s: got %s, want %s", what, got, c.want)
		}
	}
}

// Others write to the App all the time: its status, its finalizers.
func TestApplyTriesAgainOnConflict(t *testing.T) {
	w := newWorld(t)
	w.accept(nil)
	conflicts := 0
	w.g.parts.Cluster = interceptor.NewClient(w.cluster, interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			if conflicts++; conflicts <= 3 {
				return kerrors.NewConflict(schema.GroupResource{Resource: "apps"}, o.GetName(), errors.New("changed"))
			}
			return c.Update(ctx, o, opts...)
		},
	})
	if app := w.accept(func(d *draft) { d.sequence = 2000 }); app.Spec.Sequence != 2000 || conflicts != 4 {
		t.Errorf("sequence %d after %d writes", app.Spec.Sequence, conflicts)
	}
}

func TestStop(t *testing.T) {
	stop := func(w *world, by person, edit func(*delegation.Statement)) *providerv1.StopRequest {
		on, err := channel.ParseID(w.get(w.app(w.publisher)).Spec.Channel)
		if err != nil {
			t.Fatal(err)
		}
		st := delegation.Statement{App: w.app(w.publisher), Action: orderv1.Action_ACTION_STOP, Sequence: 3000, Channel: on, IssuedAt: w.now}
		if edit != nil {
			edit(&st)
		}
		signed, err := delegation.SignStatement(st, by.peer, w.grant(by, nil))
		if err != nil {
			t.Fatal(err)
		}
		return &providerv1.StopRequest{Statement: signed}
	}
	for what, c := range map[string]struct {
		by   func(*world) person
		edit func(*delegation.Statement)
		want providerv1.Reason
	}{
		"by the publisher":         {func(w *world) person { return w.publisher }, nil, providerv1.Reason_REASON_UNSPECIFIED},
		"by somebody else":         {func(w *world) person { return w.stranger }, nil, providerv1.Reason_REASON_APP_FOREIGN},
		"older than the order":     {func(w *world) person { return w.publisher }, func(s *delegation.Statement) { s.Sequence = 1000 }, providerv1.Reason_REASON_STATEMENT_STALE},
		"naming another channel":   {func(w *world) person { return w.publisher }, func(s *delegation.Statement) { s.Channel[0]++ }, providerv1.Reason_REASON_CHANNEL_TERMS},
		"an order sent as a stop":  {func(w *world) person { return w.publisher }, func(s *delegation.Statement) { s.Action = orderv1.Action_ACTION_APPLY }, providerv1.Reason_REASON_STATEMENT_INVALID},
		"of an app that is nobody": {func(w *world) person { return w.publisher }, func(s *delegation.Statement) { s.App[0]++ }, providerv1.Reason_REASON_APP_FOREIGN},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.accept(nil)
			by := c.by(w)
			r := stop(w, by, c.edit)
			for range 2 { // the same stop again is no error
				resp, err := (server{w.g}).Stop(w.as(by), r)
				if err != nil {
					if reason := reasonOf(err); reason != c.want {
						t.Errorf("got %s (%v), want %s", reason, err, c.want)
					}
				} else if c.want != providerv1.Reason_REASON_UNSPECIFIED || resp.Status.Phase != providerv1.Phase_PHASE_ENDING {
					t.Errorf("accepted, phase %s; want %s", resp.Status.Phase, c.want)
				}
			}
			app := w.get(w.app(w.publisher))
			if stopped := len(app.Spec.Stop) > 0; stopped != (c.want == providerv1.Reason_REASON_UNSPECIFIED) {
				t.Errorf("stopped: %t", stopped)
			}
		})
	}
}

func TestStatusOfAnOlderOrderIsNotPassedOff(t *testing.T) {
	w := newWorld(t)
	app := w.accept(nil)
	app.Generation = 2
	app.Status = v1alpha1.AppStatus{
		Phase: v1alpha1.PhaseReady, ObservedGeneration: 1, URL: "http://x", Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, ObservedGeneration: 1},
			{Type: v1alpha1.ConditionFunded, Status: metav1.ConditionTrue, ObservedGeneration: 1},
		},
	}
	s := statusOf(app)
	if s.Phase != providerv1.Phase_PHASE_PENDING || s.Conditions[0].Status != "Unknown" || s.Conditions[1].Status != "True" {
		t.Errorf("got %v", s)
	}
	app.Status.ObservedGeneration, app.Status.Conditions[0].ObservedGeneration = 2, 2
	if s := statusOf(app); s.Phase != providerv1.Phase_PHASE_READY || s.Conditions[0].Status != "True" {
		t.Errorf("got %v", s)
	}
}

// What is kept of earlier versions costs, too, unless this one deletes it.
func TestTheCapCoversWhatIsKept(t *testing.T) {
	present := &v1alpha1.App{Status: v1alpha1.AppStatus{Volumes: []v1alpha1.VolumeStatus{
		{Name: "data", SizeBytes: 1 << 30, Services: []string{"db"}}, {Name: "gone", SizeBytes: 2 << 30}, {Name: "old", SizeBytes: 4 << 30},
	}}}
	m := &manifestv1.Manifest{Volumes: []*manifestv1.Volume{{Name: "data", SizeBytes: 8 << 30}}, RemovedVolumes: []string{"gone"}}
	_, volumes := manifest.Rate(withKept(m, present))
	if want := int64(12 << 30); volumes.StorageBytes != want {
		t.Errorf("%d bytes of volumes, want %d", volumes.StorageBytes, want)
	}
	if len(m.Volumes) != 1 {
		t.Error("the order itself is another now")
	}
	if withKept(m, nil) != m {
		t.Error("a first order has something kept")
	}
}

// A channel's cap stays what it was when it was opened: before the log that is kept was a part of the offer, too.
func TestAnUpdateGoesOnByAnOlderCap(t *testing.T) {
	w := newWorld(t)
	m := &manifestv1.Manifest{Services: []*manifestv1.Service{{Resources: &manifestv1.Resources{EphemeralBytes: 1 << 30}}}}
	o := &order{req: &providerv1.ApplyRequest{Manifest: m}, tariff: tariff.Tariff{EphemeralGiBHour: tariff.Units(3600 * 1024)}}
	o.terms.Cap = tariff.Units(2048)
	if err := w.g.checkCap(t.Context(), o); err != nil {
		t.Errorf("a cap of two replicas without logs: %v", err)
	}
	o.terms.Cap = tariff.Units(2047)
	if err := w.g.checkCap(t.Context(), o); fault.ReasonOf(err) != providerv1.Reason_REASON_CAP_EXCEEDED {
		t.Errorf("a cap one below that: %v", err)
	}
}
