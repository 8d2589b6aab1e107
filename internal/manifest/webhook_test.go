// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/apocryph/apocryph/internal/manifest"
)

// What everybody who reads a webhook takes it for. internal/appfile has what is refused besides, with remedies.
func TestParseWebhook(t *testing.T) {
	long := "https://a.example/" + strings.Repeat("x", manifest.MaxWebhook-len("https://a.example/"))
	for text, want := range map[string]manifest.Webhook{
		"https://Hooks.example/a?b=c": {Host: "hooks.example", Port: 443},
		"HTTPS://a.example:8443":      {Host: "a.example", Port: 8443},
		"https://10.0.0.1/":           {Host: "10.0.0.1", Address: netip.MustParseAddr("10.0.0.1"), Port: 443},
		"https://[2001:db8::1]:444/":  {Host: "2001:db8::1", Address: netip.MustParseAddr("2001:db8::1"), Port: 444},
		long:                          {Host: "a.example", Port: 443},
	} {
		if got, err := manifest.ParseWebhook(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]error{
		long + "x":                 manifest.ErrWebhookLong,
		"":                         manifest.ErrWebhookURL,
		"https://a.example/\n":     manifest.ErrWebhookURL,
		"https://a.example\\@b/":   manifest.ErrWebhookURL,
		"//a.example/":             manifest.ErrWebhookScheme,
		"https://a@b.example/":     manifest.ErrWebhookUser,
		"https://a.example/#b":     manifest.ErrWebhookFragment,
		"https://-a.example/":      manifest.ErrWebhookHost,
		"https://a..example/":      manifest.ErrWebhookHost,
		"https://0177.0.0.1/":      manifest.ErrWebhookHost,
		"https://1.2.3/":           manifest.ErrWebhookHost,
		"https://a.example:70000/": manifest.ErrWebhookPort,
	} {
		if _, err := manifest.ParseWebhook(text); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}
