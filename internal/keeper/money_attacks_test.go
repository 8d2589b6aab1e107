// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"strings"
	"testing"
	"time"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/tariff"
)

// Whoever writes to etcd in the meter's place gets a signature for no more than the cap pays for by then, and nothing that grows after the
// account is put right: neither a voucher nor the release.
func TestInflatedUsageIsSignedUpToTheCap(t *testing.T) {
	w := newWorld(t)
	app := w.app(t)
	c := newCluster(t, w, app, account0(app))
	c.reconcile()
	// The quote is good for another minute, so it was signed an hour before that at the earliest.
	most := tariff.Units(w.cap * 59 * 60)
	c.meter(func(s *v1alpha1.UsageStatus) { s.Totals.CPUMilliSeconds = "1" + strings.Repeat("0", 50) })
	c.reconcile()
	if got := c.usage().Voucher; got == nil || got.Total != most.String() {
		t.Fatalf("voucher %+v, want a total of %s", got, most)
	}
	c.meter(func(s *v1alpha1.UsageStatus) { s.Totals.CPUMilliSeconds = "5000" })
	w.now = w.now.Add(time.Hour)
	c.reconcile()
	c.meter(func(s *v1alpha1.UsageStatus) { s.Final = true })
	c.reconcile()
	if got := c.usage(); got.Voucher.Total != most.String() || got.Release == nil || got.Release.Total != most.String() {
		t.Errorf("voucher %+v and release %+v, want totals of %s", got.Voucher, got.Release, most)
	}
}
