// SPDX-License-Identifier: Apache-2.0

package imagestore_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/internal/imagestore"
)

// ordered are the apps that were, by their app ids; an error is one that can't be seen.
type ordered map[string]error

var errUnseen = errors.New("not reachable")

func (o ordered) Ordered(_ context.Context, app string) (bool, error) {
	err, known := o[app]
	return known && err == nil, err
}

// What was not paid for gives way: to what is, and to what is newer.
func TestWhatNobodyOrderedGivesWay(t *testing.T) {
	const size = 1000
	// step is a push of an app, or a look at its images (the gateway's before it makes an App), so long after the one before.
	type step struct {
		after     time.Duration
		app       byte
		publisher string
		looks     bool
		begins    bool
	}
	full := []step{{app: 1, publisher: "a"}, {after: time.Second, app: 2, publisher: "b"}}
	share := imagestore.Limits{UnorderedBytes: 2 * size, TotalBytes: 4 * size}
	for name, c := range map[string]struct {
		limits  imagestore.Limits
		ordered ordered
		before  []step
		last    step
		refused string
		left    []byte
	}{
		"who rests longest, when their share is full":            {share, nil, full, step{after: 5 * time.Minute, app: 3, publisher: "c"}, "", []byte{2, 3}},
		"nobody within five minutes":                             {share, nil, full, step{after: 298 * time.Second, app: 3, publisher: "c"}, "not ordered yet is full", []byte{1, 2, 3}},
		"nobody who was ordered":                                 {share, ordered{appID(1): nil}, full, step{after: 6 * time.Minute, app: 3, publisher: "c"}, "", []byte{1, 2, 3}},
		"nobody who can't be seen":                               {share, ordered{appID(1): errUnseen}, full, step{after: 6 * time.Minute, app: 3, publisher: "c"}, "", []byte{1, 3}},
		"nobody, for who was ordered and has room in the rest":   {share, ordered{appID(3): nil}, full, step{after: time.Hour, app: 3, publisher: "c"}, "", []byte{1, 2, 3}},
		"not who was just looked at":                             {share, nil, append(full, step{after: time.Hour, app: 1, looks: true}), step{app: 3, publisher: "c"}, "", []byte{1, 3}},
		"not who was just written to":                            {share, nil, append(full, step{after: time.Hour, app: 1, begins: true}), step{app: 3, publisher: "c"}, "", []byte{1, 3}},
		"who rests longest, when the store is full":              {imagestore.Limits{TotalBytes: 2 * size, AppBytes: 2 * size}, ordered{appID(3): nil}, full, step{after: time.Hour, app: 3, publisher: "c"}, "", []byte{2, 3}},
		"who rests longest, when there are too many apps":        {imagestore.Limits{Apps: 2}, nil, full, step{after: time.Hour, app: 3, publisher: "c"}, "", []byte{2, 3}},
		"who rests longest, when too many uploads are open":      {imagestore.Limits{TotalUploads: 1}, nil, []step{{app: 1, begins: true}}, step{after: time.Hour, app: 3, begins: true}, "", []byte{3}},
		"a publisher's own, when they have too many apps":        {imagestore.Limits{PublisherApps: 1}, nil, full, step{after: time.Hour, app: 3, publisher: "b"}, "", []byte{1, 3}},
		"a publisher's own, when they hold more than an app may": {imagestore.Limits{AppBytes: size}, nil, full, step{after: time.Hour, app: 3, publisher: "b"}, "", []byte{1, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			f, now := serve(t, t.TempDir(), c.limits), time.Unix(1_800_000_000, 0)
			imagestore.SetClock(f.store, func() time.Time { return now })
			f.store.Orders(c.ordered)
			do := func(s step) (int, string) {
				now = now.Add(s.after)
				if s.looks {
					status, _, _ := request(t, http.MethodHead, repo(f.push, appID(s.app))+"/manifests/"+sum(nil), nil)
					return status, ""
				}
				url, body := repo(f.push, appID(s.app))+"/blobs/uploads/", bytes.Repeat([]byte{s.app}, size)
				if !s.begins {
					url += "?digest=" + sum(body)
				}
				return requestText(t, url, body, s.begins, s.publisher)
			}
			for i, s := range c.before {
				if status, text := do(s); status >= 400 && !s.looks {
					t.Fatalf("step %d: %d %s", i+1, status, text)
				}
			}
			if status, text := do(c.last); (status >= 400) != (c.refused != "") || !strings.Contains(text, c.refused) {
				t.Errorf("%d %s", status, text)
			}
			apps, err := f.store.Apps()
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, n := range c.left {
				want = append(want, appID(n))
			}
			if diff := cmp.Diff(want, apps); diff != "" {
				t.Errorf("these have images (-want +got):\n%s", diff)
			}
		})
	}
}
