// SPDX-License-Identifier: Apache-2.0

package quote_test

import (
	"testing"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
)

func TestCapIsTwoReplicasAndTheVolumesRoundedUp(t *testing.T) {
	m := &manifestv1.Manifest{
		Services: []*manifestv1.Service{{Resources: &manifestv1.Resources{MilliCpu: 500}}},
		Volumes:  []*manifestv1.Volume{{SizeBytes: 1 << 30}},
	}
	prices := tariff.Tariff{CPUHour: tariff.Units(3600), StorageGiBHour: tariff.Units(1)}
	if got, want := quote.Cap(prices, m), tariff.Units(2); !got.Equal(want) {
		t.Errorf("cap %s, want %s", got, want)
	}
}

// What a provider with a token of 18 decimals offered for one service of the default size before it kept logs; who opened a channel with
// that cap is not refused for a log, and who asks today is offered what pays for it.
func TestTheLeastCapIsThatOfTheFirstOffers(t *testing.T) {
	m := &manifestv1.Manifest{Services: []*manifestv1.Service{{
		Resources: &manifestv1.Resources{MilliCpu: 500, MemoryBytes: 512 << 20, EphemeralBytes: 1 << 30},
	}}}
	wei := func(millionths uint64) tariff.Amount { return tariff.Units(millionths).Mul(1_000_000_000_000) }
	prices := tariff.Tariff{CPUHour: wei(30_000), MemoryGiBHour: wei(5_000), EphemeralGiBHour: wei(100)}
	if got, want := quote.LeastCap(prices, m), tariff.Units(9_777_777_777_778); !got.Equal(want) {
		t.Errorf("least cap %s, want %s", got, want)
	}
	if got, want := quote.Cap(prices, m), tariff.Units(9_777_832_031_250); !got.Equal(want) {
		t.Errorf("offered cap %s, want %s", got, want)
	}
}

// Egress is what the order says, or what is offered anyway; only what it says is asked of a channel that is there.
func TestCapOfEgress(t *testing.T) {
	const mib = 1 << 20
	m := &manifestv1.Manifest{Services: []*manifestv1.Service{{Resources: &manifestv1.Resources{MilliCpu: 500}}}}
	prices := tariff.Tariff{CPUHour: tariff.Units(3600), EgressGiB: tariff.Units(1 << 30)}
	for _, c := range []struct{ ordered, offered, least uint64 }{{0, 1 + quote.DefaultEgress, 1}, {mib, 1 + mib, 1 + mib}, {1, 2, 2}} {
		m.EgressBytesPerSecond = c.ordered
		if got := quote.Cap(prices, m); !got.Equal(tariff.Units(c.offered)) {
			t.Errorf("cap %s for %d bytes a second, want %d", got, c.ordered, c.offered)
		}
		if got := quote.LeastCap(prices, m); !got.Equal(tariff.Units(c.least)) {
			t.Errorf("least cap %s for %d bytes a second, want %d", got, c.ordered, c.least)
		}
	}
}

func TestCapOfExtendedResourcesIsThatOfTwoReplicas(t *testing.T) {
	m := &manifestv1.Manifest{Services: []*manifestv1.Service{{Resources: &manifestv1.Resources{
		Extended: []*manifestv1.Units{{Resource: "amd.com/gpu", Count: 1}, {Resource: "nvidia.com/gpu", Count: 3}},
	}}}}
	prices := tariff.Tariff{UnitHour: map[string]tariff.Amount{"nvidia.com/gpu": tariff.Units(3600), "amd.com/gpu": {}}}
	if got := quote.Cap(prices, m); !got.Equal(tariff.Units(6)) {
		t.Errorf("cap %s of three GPUs", got)
	}
	if got := quote.Unsold(prices, m); got != "" {
		t.Errorf("%s is not sold", got)
	}
	delete(prices.UnitHour, "amd.com/gpu")
	if got := quote.Unsold(prices, m); got != "amd.com/gpu" {
		t.Errorf("%q is not sold", got)
	}
}
