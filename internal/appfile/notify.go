// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"errors"
	"strings"

	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/outside"
)

const webhookRemedy = "write an https URL that everybody can reach: notify: https://hooks.example.com/…"

// readNotify reads x-apocryph.notify: a URL, or a mapping with one. Nothing that is said of it has the URL in it, which may be a secret.
func (f *File) readNotify(v any) Problems {
	path := []string{extension, "notify"}
	if m, ok := v.(map[string]any); ok {
		if v, ok = m["webhook"]; !ok {
			return Problems{f.doc.problem(path, "webhook is missing", webhookRemedy)}
		}
		path = append(path, "webhook")
	}
	text, ok := v.(string)
	if !ok {
		return Problems{f.doc.problem(path, "that is no URL", webhookRemedy)}
	}
	if text == "" {
		return Problems{f.doc.problem(path, "it is empty", "set the variable that it names, or remove it")}
	}
	w, err := manifest.ParseWebhook(text)
	if err != nil {
		return Problems{f.doc.problem(path, err.Error(), webhookHint(err))}
	}
	if why := unreachable(w); why != "" {
		return Problems{f.doc.problem(path, why, "name a host that the whole internet can reach: the provider calls no other")}
	}
	if w.Port != manifest.WebhookPort {
		f.note(path, "providers call port 443 and no other, unless theirs says that it does")
	}
	f.webhook = text
	return nil
}

func webhookHint(err error) string {
	for is, hint := range map[error]string{
		manifest.ErrWebhookScheme:   "use https: what is told would be read on its way otherwise",
		manifest.ErrWebhookUser:     "put what is secret into the path or the query, which are never shown",
		manifest.ErrWebhookFragment: "remove it",
		manifest.ErrWebhookLong:     "shorten it",
		manifest.ErrWebhookPort:     "leave it out: webhooks listen at port 443",
	} {
		if errors.Is(err, is) {
			return hint
		}
	}
	return webhookRemedy
}

// unreachable says why a host can't be reached from elsewhere, as far as its name or address tells.
func unreachable(w manifest.Webhook) string {
	if w.Address.IsValid() {
		if !outside.Public(w.Address.Unmap()) {
			return "the address " + w.Host + " is not a public one"
		}
		return ""
	}
	name := "." + strings.TrimSuffix(w.Host, ".")
	if strings.Count(name, ".") == 1 {
		return "the host " + w.Host + " is no full name: the app's services are not reached from outside of it"
	}
	for _, own := range []string{".localhost", ".local", ".internal", ".home.arpa", ".svc"} {
		if strings.HasSuffix(name, own) {
			return "the host " + w.Host + " is known on its own network only"
		}
	}
	return ""
}
