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
