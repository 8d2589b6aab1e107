// SPDX-License-Identifier: Apache-2.0

package imagestore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/imagestore"
)

// One beyond each count is refused, and the last within it is not; a restart counts the same.
func TestCounts(t *testing.T) {
	type push struct {
		app       byte
		publisher string
		fill      byte
		begin     bool // an upload that stays unfinished
	}
	const size = 1000
	for name, c := range map[string]struct {
		limits imagestore.Limits
		within []push
		beyond push
		text   string
	}{
		"uploads of an app": {imagestore.Limits{Uploads: 2}, []push{{1, "", 0, true}, {1, "", 0, true}}, push{1, "", 0, true}, "2 uploads of the app are unfinished"},
		"uploads in all":    {imagestore.Limits{TotalUploads: 2}, []push{{1, "", 0, true}, {2, "", 0, true}}, push{3, "", 0, true}, "2 uploads are unfinished"},
		"files of an app":   {imagestore.Limits{Files: 2}, []push{{1, "", 1, false}, {1, "", 2, false}, {1, "", 2, false}}, push{1, "", 3, false}, "the app has 2 blobs"},
		"apps":              {imagestore.Limits{Apps: 2}, []push{{1, "a", 1, false}, {2, "b", 2, false}, {2, "b", 3, false}}, push{3, "c", 1, false}, "images of 2 apps"},
		"apps of a publisher": {
			imagestore.Limits{PublisherApps: 2}, []push{{1, "a", 1, false}, {2, "a", 2, false}, {3, "b", 3, false}}, push{4, "a", 1, false}, "the publisher has images of 2 apps",
		},
		"bytes of a publisher": {
			imagestore.Limits{PublisherBytes: 2 * size}, []push{{1, "a", 1, false}, {2, "a", 2, false}, {3, "b", 3, false}}, push{2, "a", 3, false}, "the publisher's images exceed 2000 bytes",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			send := func(f faces, p push) (int, string) {
				url, body := repo(f.push, appID(p.app))+"/blobs/uploads/", bytes.Repeat([]byte{p.fill}, size)
				if !p.begin {
					url += "?digest=" + sum(body)
				}
				status, text := requestText(t, url, body, p.begin, p.publisher)
				return status, text
			}
			first := serve(t, dir, c.limits)
			for i, p := range c.within {
				if status, text := send(first, p); status >= 400 {
					t.Fatalf("push %d of %d: %d %s", i+1, len(c.within), status, text)
				}
			}
			before := first.store.Bytes()
			for _, f := range []faces{first, serve(t, dir, c.limits)} {
				if status, text := send(f, c.beyond); status != http.StatusForbidden || !strings.Contains(text, c.text) {
					t.Errorf("one more: %d %s", status, text)
				}
				if got := f.store.Bytes(); got != before {
					t.Errorf("%d bytes are booked, %d before: what was refused must not count", got, before)
				}
			}
		})
	}
}

func requestText(t *testing.T, url string, body []byte, begin bool, publisher string) (int, string) {
	t.Helper()
	if begin {
		body = nil
	}
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if publisher != "" {
		req.Header.Set(delegation.HeaderPublisher, publisher)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, text.String()
}

// Checks wait for each other, and not for ever.
func TestChecksWait(t *testing.T) {
	f := serve(t, t.TempDir(), imagestore.Limits{VerifyTime: time.Millisecond})
	layer := tarball(t, "x")
	config := configFor(sum(layer))
	raw, err := json.Marshal(manifestOf(config, layerOf(layer)))
	if err != nil {
		t.Fatal(err)
	}
	putBlob(t, f, appID(1), layer)
	putBlob(t, f, appID(1), config)
	end := imagestore.HoldChecks(f.store, appID(1))
	if err := f.store.PutManifest(t.Context(), appID(1), sum(raw), ociManifest, raw); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while another is checked: %v", err)
	}
	end()
}
