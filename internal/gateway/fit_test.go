// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/fault"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

// doctored is a Provider of which the doctor said that Gas fails, age before the world's now.
func doctored(age time.Duration, edit func(*v1alpha1.ProviderStatus)) *v1alpha1.Provider {
	p := &v1alpha1.Provider{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1alpha1.ProviderName}}
	seen := metav1.NewTime(time.Unix(1_800_000_000, 0).Add(-age))
	p.Status = v1alpha1.ProviderStatus{SeenAt: &seen, Failing: []string{"Gas", "Storage"}, Conditions: []metav1.Condition{
		{Type: v1alpha1.ConditionFit, Status: metav1.ConditionFalse, Reason: "RequiredCheckFails"},
	}}
	if edit != nil {
		edit(&p.Status)
	}
	return p
}

func (w *world) quoteOf(p person) error {
	id, salt := w.app(p), w.salt()
	_, err := (server{w.g}).Quote(w.as(p), &providerv1.QuoteRequest{App: id[:], AppSalt: salt[:], Manifest: sample()})
	return err
}

func TestWhoIsUnfitGivesNoQuotes(t *testing.T) {
	fit := func(s metav1.ConditionStatus) func(*v1alpha1.ProviderStatus) {
		return func(p *v1alpha1.ProviderStatus) { p.Conditions[0].Status = s }
	}
	for name, test := range map[string]struct {
		provider *v1alpha1.Provider
		refused  string
	}{
		"no doctor":                          {nil, ""},
		"a required check fails":             {doctored(time.Minute, nil), "Gas, Storage"},
		"it failed as long ago as counts":    {doctored(time.Hour, nil), "Gas"},
		"it failed, and the doctor is gone":  {doctored(time.Hour+time.Second, nil), ""},
		"fit":                                {doctored(0, fit(metav1.ConditionTrue)), ""},
		"unknown":                            {doctored(0, fit(metav1.ConditionUnknown)), ""},
		"the doctor has not said when":       {doctored(0, func(s *v1alpha1.ProviderStatus) { s.SeenAt = nil }), ""},
		"the doctor has said nothing so far": {doctored(0, func(s *v1alpha1.ProviderStatus) { *s = v1alpha1.ProviderStatus{} }), ""},
		"which check it is was not said":     {doctored(0, func(s *v1alpha1.ProviderStatus) { s.Failing = nil }), "RequiredCheckFails"},
	} {
		t.Run(name, func(t *testing.T) {
			var objects []client.Object
			if test.provider != nil {
				objects = append(objects, test.provider)
			}
			w := newWorld(t, objects...)
			err := w.quoteOf(w.publisher)
			if test.refused == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			if fault.ReasonOf(err) != providerv1.Reason_REASON_PROVIDER_UNFIT || !strings.Contains(err.Error(), test.refused) {
				t.Fatalf("got %v, want a refusal that names %s", err, test.refused)
			}
			if code := codeOf(fault.ReasonOf(err)); code != connect.CodeUnavailable {
				t.Errorf("leaves as %s", code)
			}
		})
	}
}

// An app that is there is updated and an order on an older quote is taken: only offers for new apps are withdrawn.
func TestWhoIsUnfitKeepsWhatItHas(t *testing.T) {
	w := newWorld(t, doctored(0, nil))
	w.accept(nil) // on a quote from before: nothing but Quote asks the doctor
	if err := w.quoteOf(w.publisher); err != nil {
		t.Errorf("an offer for the update of an app that runs: %v", err)
	}
	w.accept(func(d *draft) { d.sequence++ })
	if err := w.quoteOf(w.stranger); fault.ReasonOf(err) != providerv1.Reason_REASON_PROVIDER_UNFIT {
		t.Errorf("control: an offer for a new app: %v", err)
	}
}

func TestAnUnseenDoctorChangesNothing(t *testing.T) {
	w := newWorld(t, doctored(0, nil))
	w.g.parts.Cluster = interceptor.NewClient(w.cluster, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if _, is := o.(*v1alpha1.Provider); is {
				return errors.New("the API server is away")
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
	if err := w.quoteOf(w.publisher); err != nil {
		t.Errorf("refused because the doctor's word can't be read: %v", err)
	}
}
