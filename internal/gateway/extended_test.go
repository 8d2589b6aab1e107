// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/tariff"
)

const gpu = "nvidia.com/gpu"

// machineHas gives the one machine an extended resource.
func (w *world) machineHas(name, n string) {
	w.t.Helper()
	var machines corev1.NodeList
	if err := w.cluster.List(w.t.Context(), &machines); err != nil {
		w.t.Fatal(err)
	}
	machine := &machines.Items[0]
	machine.Status.Allocatable[corev1.ResourceName(name)] = resource.MustParse(n)
	if err := w.cluster.Status().Update(w.t.Context(), machine); err != nil {
		w.t.Fatal(err)
	}
}

// sells has the provider ask 3600 units for an hour of an extended resource.
func (w *world) sells(name string) {
	w.t.Helper()
	w.g.cfg.Tariff.UnitHour = map[string]tariff.Amount{name: tariff.Units(3600)}
	id, err := w.g.cfg.Tariff.ID()
	if err != nil {
		w.t.Fatal(err)
	}
	w.g.tariffID = id
}

func withGPUs(n uint64) *manifestv1.Manifest {
	m := sample()
	m.Services[0].Resources.Extended = []*manifestv1.Units{{Resource: gpu, Count: n}}
	return m
}

// What has no price is not sold, and what no machine has is not either; else its price is part of the offer.
func TestAnExtendedResourceIsOffered(t *testing.T) {
	for name, c := range map[string]struct {
		sold bool
		has  string
		want string
	}{
		"without a price":     {has: "4", want: "the app wants nvidia.com/gpu, for which there is no price here"},
		"without a machine":   {sold: true, want: "service web fits on no machine: it wants 2 of nvidia.com/gpu, above the 0"},
		"with one too few":    {sold: true, has: "1", want: "service web fits on no machine: it wants 2 of nvidia.com/gpu, above the 1"},
		"with exactly enough": {sold: true, has: "2"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if c.has != "" {
				w.machineHas(gpu, c.has)
			}
			if c.sold {
				w.sells(gpu)
			}
			ask := func(m *manifestv1.Manifest) (*orderv1.Quote, error) {
				id, salt := w.app(w.publisher), w.salt()
				r, err := (server{w.g}).Quote(w.as(w.publisher), &providerv1.QuoteRequest{App: id[:], AppSalt: salt[:], Manifest: m})
				if err != nil {
					return nil, err
				}
				var q orderv1.Quote
				return &q, proto.Unmarshal(r.Quote.Quote, &q)
			}
			with, err := ask(withGPUs(2))
			if c.want != "" {
				if reason := reasonOf(err); err == nil || reason != providerv1.Reason_REASON_RESOURCES_IMPOSSIBLE || !strings.Contains(err.Error(), c.want) {
					t.Errorf("refused with %s: %v", reason, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			without, err := ask(sample())
			if err != nil {
				t.Fatal(err)
			}
			more := func(a, b []byte) string {
				with, err1 := tariff.AmountFromBytes(a)
				without, err2 := tariff.AmountFromBytes(b)
				diff, err3 := with.Sub(without)
				if err1 != nil || err2 != nil || err3 != nil {
					t.Fatal(err1, err2, err3)
				}
				return diff.String()
			}
			if got := more(with.HourlyAwake, without.HourlyAwake); got != "7200" {
				t.Errorf("an hour of two costs %s more", got)
			}
			if got := more(with.Terms.Cap, without.Terms.Cap); got != "4" {
				t.Errorf("the cap of two and of two more during an update is %s more", got)
			}
		})
	}
}
