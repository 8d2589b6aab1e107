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
