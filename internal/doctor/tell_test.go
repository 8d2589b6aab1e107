// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// finding is a check's verdict as Examine gives it.
func (w *world) finding(name string, r Result, saw string) Finding {
	w.t.Helper()
	k, err := choose([]string{name})
	w.must(err)
	return Finding{Check: k[0], Verdict: Verdict{r, saw}, Required: w.d.Required(k[0]), At: w.clock()}
}

// all is a finding of that result for every check.
func (w *world) all(r Result) []Finding {
	var found []Finding
	for _, k := range Checks() {
		found = append(found, w.finding(k.Name, r, "as ever"))
	}
	return found
}

// said is a condition in one line.
func said(s v1alpha1.ProviderStatus, name string) string {
	c := apimeta.FindStatusCondition(s.Conditions, name)
	if c == nil {
		return "nothing"
	}
	return strings.TrimSpace(string(c.Status) + " " + c.Reason + " " + c.Message)
}

// Each case tells findings one after another; Fit is what follows.
func TestTell(t *testing.T) {
	type step struct {
		check  string
		result Result
	}
	for name, test := range map[string]struct {
		config func(*Config)
		before Result
		steps  []step
		fit    string
		check  string
	}{
		"all pass":                             {nil, OK, nil, "True " + reasonFit, ""},
		"warnings pass":                        {nil, Warn, nil, "True " + reasonFit, ""},
		"a required check fails":               {nil, OK, []step{{"Gas", Fail}}, "False " + reasonUnfit + " no quotes are given for new apps: Gas", "False Failed"},
		"it is well again":                     {nil, OK, []step{{"Gas", Fail}, {"Gas", OK}}, "True " + reasonFit, "True Passed"},
		"two fail, one is well again":          {nil, OK, []step{{"TEE", Fail}, {"Gas", Fail}, {"TEE", OK}}, "False " + reasonUnfit + " no quotes are given for new apps: Gas", ""},
		"it fails and can't be seen any more":  {nil, OK, []step{{"Gas", Fail}, {"Gas", Unseen}, {"Gas", Unseen}}, "False " + reasonUnfit + " no quotes are given for new apps: Gas", "False Unseen unseen now (now)" + lastSeen + "now; to do"},
		"it passed and can't be seen any more": {nil, OK, []step{{"Gas", Unseen}}, "True " + reasonFit, "True Unseen unseen now (now)" + lastSeen + "as ever"},
		"it was never seen":                    {nil, Unseen, nil, "Unknown " + reasonUnseen, ""},
		"the first of all that are seen fails": {nil, Unseen, []step{{"Gas", Fail}}, "False " + reasonUnfit, "False Failed"},
		"an advisory check fails":              {func(c *Config) { c.Advisory = []string{"Gas"} }, OK, []step{{"Gas", Fail}}, "True " + reasonFit, "False Failed"},
		"user namespaces fail where they are off": {
			func(c *Config) { c.UserNamespaces = false }, OK, []step{{"UserNamespaces", Fail}}, "True " + reasonFit, "False Failed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if test.config != nil {
				test.config(&w.d.cfg)
			}
			w.must(w.d.Tell(t.Context(), w.all(test.before)))
			last := "Gas"
			for _, s := range test.steps {
				last = s.check
				w.must(w.d.Tell(t.Context(), []Finding{w.finding(s.check, s.result, "now")}))
			}
			got := w.provider()
			if s := said(got, v1alpha1.ConditionFit); !strings.HasPrefix(s, test.fit) {
				t.Errorf("Fit is %q, want %q", s, test.fit)
			}
			if s := said(got, last); !strings.HasPrefix(s, test.check) {
				t.Errorf("%s is %q, want %q", last, s, test.check)
			}
			if fails := strings.HasPrefix(test.fit, "False"); fails != (len(got.Failing) > 0) || fails && !slices.Contains(got.Failing, "Gas") {
				t.Errorf("failing: %v", got.Failing)
			}
			if got.GasAccount != gasKey || got.SeenAt == nil || len(got.Conditions) != len(Checks())+1 {
				t.Errorf("status %+v", got)
			}
		})
	}
}

func TestTimesOfChange(t *testing.T) {
	w := newWorld(t)
	w.must(w.d.Tell(t.Context(), w.all(OK)))
	first := w.now
	_ = w.wait(t.Context(), time.Hour)
	w.must(w.d.Tell(t.Context(), []Finding{w.finding("Gas", Fail, "none")}))
	got := w.provider()
	for name, want := range map[string]time.Time{"TEE": first, "Gas": w.now, v1alpha1.ConditionFit: w.now} {
		if c := apimeta.FindStatusCondition(got.Conditions, name); !c.LastTransitionTime.Time.Equal(want) {
			t.Errorf("%s changed at %s, want %s", name, c.LastTransitionTime, want)
		}
	}
	if !got.SeenAt.Time.Equal(w.now) {
		t.Errorf("seen at %s", got.SeenAt)
	}
}

// Somebody deletes the Provider: the next run makes it again.
func TestTellMakesTheProvider(t *testing.T) {
	w := newWorld(t)
	w.forgetAccount()
	w.must(w.d.Tell(t.Context(), w.all(OK)))
	if got := w.provider(); said(got, v1alpha1.ConditionFit) != "True "+reasonFit || got.GasAccount != "" {
		t.Errorf("status %+v", got)
	}
}

// Probes are made at first, then as seldom as configured while all is well, and soon again while something is not.
func TestRun(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.evidence = func(nonce []byte) ([]byte, error) { return newSimulator(t).answer(w.clock())(nonce) }
	var runs []string
	w.d.parts.Lock = lockFunc(func(ctx context.Context, do func(context.Context)) error {
		before := len(w.created)
		do(ctx)
		kind := "asks"
		if len(w.created) > before {
			kind = "probes"
		}
		runs = append(runs, kind)
		return nil
	})
	w.d.parts.Wait = func(_ context.Context, d time.Duration) error {
		if d != time.Minute {
			return errors.New("a probe that is not there yet")
		}
		w.now = w.now.Add(d)
		switch len(runs) {
		case 6:
			w.kubelet[probeTasks] = stays(corev1False, "no machine", "")
		case 11:
			w.kubelet[probeTasks] = newWorld(t).kubelet[probeTasks]
		case 16:
			cancel()
			return ctx.Err()
		}
		return nil
	}
	if err := w.d.Run(ctx, Rhythm{Every: time.Minute, ProbeEvery: 5 * time.Minute, Retry: 2 * time.Minute}); err != nil {
		t.Fatal(err)
	}
	want := "probes asks asks asks asks probes asks asks asks asks probes asks probes asks asks asks"
	// The probe breaks after the look at five minutes, so the one at ten minutes sees it, and two minutes later it is well.
	if got := strings.Join(runs, " "); got != want {
		t.Errorf("looked:\n%s, want\n%s", got, want)
	}
	if got := w.provider(); said(got, v1alpha1.ConditionFit) != "True "+reasonFit {
		t.Errorf("Fit: %s", said(got, v1alpha1.ConditionFit))
	}
}

// Quotes are not withdrawn for what fails once, as while the image store is being replaced.
func TestWhatFailsIsConfirmed(t *testing.T) {
	for name, test := range map[string]struct {
		looks int // in which it fails
		fit   string
	}{
		"it fails once":              {1, "True " + reasonFit},
		"it fails twice":             {2, "True " + reasonFit},
		"it fails as often as asked": {confirmations + 1, "False " + reasonUnfit},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ctx, cancel := context.WithCancel(t.Context())
			w.evidence = func(nonce []byte) ([]byte, error) { return newSimulator(t).answer(w.clock())(nonce) }
			sound, looks := w.kubelet[probeImage], 0
			w.d.parts.Lock = lockFunc(func(ctx context.Context, do func(context.Context)) error {
				if w.kubelet[probeImage] = sound; looks < test.looks {
					w.kubelet[probeImage] = pulls("connection refused", "connection refused")
				}
				looks++
				do(ctx)
				return nil
			})
			w.d.parts.Wait = func(_ context.Context, d time.Duration) error {
				switch d {
				case confirmEvery:
				case time.Minute:
					cancel()
					return ctx.Err()
				default:
					return errors.New("a probe that is not there yet")
				}
				w.now = w.now.Add(d)
				return nil
			}
			if err := w.d.Run(ctx, Rhythm{Every: time.Minute, ProbeEvery: 5 * time.Minute, Retry: 2 * time.Minute}); err != nil {
				t.Fatal(err)
			}
			if got := said(w.provider(), v1alpha1.ConditionFit); !strings.HasPrefix(got, test.fit) {
				t.Errorf("after %d looks: %s, want %s", looks, got, test.fit)
			}
			if want := min(test.looks, confirmations) + 1; looks != want {
				t.Errorf("%d looks, want %d", looks, want)
			}
		})
	}
}

const corev1False = "False"

type lockFunc func(context.Context, func(context.Context)) error

func (f lockFunc) Hold(ctx context.Context, do func(context.Context)) error { return f(ctx, do) }

func TestSum(t *testing.T) {
	w := newWorld(t)
	w.d.cfg.Advisory = []string{"DNS"}
	for name, test := range map[string]struct {
		last Finding
		want error
	}{
		"all pass":                   {w.finding("Gas", OK, ""), nil},
		"a warning":                  {w.finding("Gas", Warn, ""), nil},
		"a required check fails":     {w.finding("Gas", Fail, ""), ErrUnfit},
		"a required check is unseen": {w.finding("Gas", Unseen, ""), ErrUnseen},
		"an advisory check fails":    {w.finding("DNS", Fail, ""), nil},
		"an advisory one is unseen":  {w.finding("DNS", Unseen, ""), nil},
	} {
		if got := Sum(append(w.all(OK), test.last)); !errors.Is(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	if got := Sum([]Finding{w.finding("Gas", Unseen, ""), w.finding("TEE", Fail, "")}); !errors.Is(got, ErrUnfit) {
		t.Errorf("one unseen and one that fails: %v", got)
	}
}

func TestShow(t *testing.T) {
	w := newWorld(t)
	found := []Finding{w.finding("DNS", OK, "found"), w.finding("Gas", Fail, "no\ncoins"), w.finding("TEE", Unseen, "away")}
	var table, text bytes.Buffer
	w.must(Table(&table, found))
	w.must(JSON(&text, found))
	want := "CHECK  RESULT            SAW\n" +
		"DNS    ok      required  found\n" +
		"Gas    FAIL    required  no coins\n" +
		"                         to do: " + found[1].Do + "\n" +
		"TEE    unseen  required  away\n"
	if diff := cmp.Diff(want, table.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	var got struct {
		Fit    bool
		Checks []struct {
			Check, Result, Saw, Do string
			Required               bool
		}
	}
	w.must(json.Unmarshal(text.Bytes(), &got))
	if got.Fit || len(got.Checks) != 3 || got.Checks[1].Result != "FAIL" || got.Checks[1].Saw != "no\ncoins" || !got.Checks[1].Required {
		t.Errorf("JSON: %s", &text)
	}
}

func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.must(w.d.Tell(t.Context(), append(w.all(OK), w.finding("Gas", Fail, ""), w.finding("TEE", Unseen, ""))))
	rec := httptest.NewRecorder()
	w.d.Metrics().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`apocryph_doctor_check{check="Gas",result="FAIL"} 1`, `apocryph_doctor_check{check="Gas",result="ok"} 0`,
		`apocryph_doctor_check{check="TEE",result="unseen"} 1`, "apocryph_doctor_fit 0", `apocryph_doctor_seen_timestamp_seconds{check="TEE"} 1.8e+09`,
		`apocryph_doctor_runs_total{end="said"} 1`,
	} {
		if !strings.Contains(rec.Body.String(), line+"\n") {
			t.Errorf("no %s in\n%s", line, rec.Body)
		}
	}
}

// One lease, one run at a time; it is free for the next one at once.
func TestLease(t *testing.T) {
	l := Lease{Client: fake.NewClientset(), Namespace: probes, Patience: time.Minute}
	for range 2 {
		ran := false
		if err := l.Hold(t.Context(), func(context.Context) { ran = true }); err != nil || !ran {
			t.Fatalf("ran %t, %v", ran, err)
		}
	}
	err := l.Hold(t.Context(), func(context.Context) {
		impatient := l
		impatient.Patience = time.Nanosecond
		if err := impatient.Hold(t.Context(), func(context.Context) { t.Error("two at once") }); !errors.Is(err, ErrHeld) {
			t.Errorf("the second: %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Hold(gone, func(context.Context) {}); err == nil {
		t.Error("a run that was told to stop began")
	}
	lease, err := l.Client.CoordinationV1().Leases(probes).Get(t.Context(), leaseName, metav1.GetOptions{})
	if err != nil || lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity != "" {
		t.Errorf("left held: %+v, %v", lease, err)
	}
}
