// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
)

const (
	// transferTime is how long a transfer may take, transferFresh how long after it was signed it may begin.
	transferTime  = 24 * time.Hour
	transferFresh = 5 * time.Minute
	// maxTransfers of an app are looked at.
	maxTransfers = 2
)

// transferred is the last transfer of a volume that was let happen.
type transferred struct {
	sequence uint64
	// live says that it is still asked for.
	live bool
}

// transfers says which of those that are asked for of an app its publisher signed. It returns what to remember of them, too: one that ended never
// begins again. An app that is stopped has none.
func transfers(o own, app *v1alpha1.App, m memory, now time.Time) ([]v1alpha1.Transfer, map[string]transferred) {
	last := map[string]transferred{}
	for volume, t := range m.transfers {
		last[volume] = transferred{t.sequence, false}
	}
	if len(app.Spec.Stop) > 0 {
		return nil, last
	}
	var all []v1alpha1.Transfer
	for _, key := range slices.Sorted(maps.Keys(app.Annotations)) {
		volume, ok := strings.CutPrefix(key, v1alpha1.AnnotationTransfer)
		if !ok || len(all) == maxTransfers {
			continue
		}
		t := v1alpha1.Transfer{Volume: volume}
		st, err := checkTransfer(o, app, m, volume, now)
		if err != nil {
			t.Refused = clip(err.Error())
		} else {
			last[volume] = transferred{st.Sequence, true}
		}
		t.Sequence, t.Put = int64(st.Sequence), st.Action == orderv1.Action_ACTION_PUT_VOLUME
		t.Until = metav1.NewTime(st.IssuedAt.Add(transferTime).Truncate(time.Second))
		all = append(all, t)
	}
	return all, last
}

// checkTransfer: the publisher signed it, for this app, channel and volume, just now, and after whatever they signed of this volume before.
func checkTransfer(o own, app *v1alpha1.App, m memory, volume string, now time.Time) (delegation.Statement, error) {
	if m.order == nil {
		return delegation.Statement{}, errors.New("no order of this app is verified")
	}
	encoded, err := base64.StdEncoding.DecodeString(app.Annotations[v1alpha1.AnnotationTransfer+volume])
	if err != nil {
		return delegation.Statement{}, fmt.Errorf("unreadable: %w", delegation.ErrStatement)
	}
	st, err := statement(o, encoded, m.order)
	if err != nil {
		return delegation.Statement{}, err
	}
	before := m.transfers[volume]
	goesOn := before == transferred{st.Sequence, true} || slices.ContainsFunc(app.Status.Transfers, func(t v1alpha1.Transfer) bool {
		return before.sequence == 0 && t.Volume == volume && t.Sequence == int64(st.Sequence) && t.Refused == ""
	})
	switch age := now.Sub(st.IssuedAt); {
	case !delegation.MovesVolume(st.Action) || st.Volume != volume:
		return st, errors.New("it orders no transfer of this volume")
	case st.Channel != m.order.channel:
		return st, fmt.Errorf("it names channel %s", channel.ID(st.Channel))
	case goesOn && age <= transferTime:
		return st, nil
	case st.Sequence <= before.sequence:
		return st, errors.New("it was asked for before")
	case age > transferFresh || age < -transferFresh:
		return st, fmt.Errorf("it was signed %s ago", age.Round(time.Second))
	}
	return st, nil
}
