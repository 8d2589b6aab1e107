// SPDX-License-Identifier: Apache-2.0

package appfile_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/apocryph/apocryph/internal/appfile"
)

// secretPath is in every URL below, and in nothing that is said of it.
const secretPath = "T0K3N"

func TestNotify(t *testing.T) {
	const web = "services: {web: {image: web, ports: [80]}}\n"
	const want = "https://hooks.example.com/" + secretPath + "?a=b"
	for name, text := range map[string]string{
		"a URL":               "x-apocryph: {notify: \"" + want + "\"}\n",
		"a mapping":           "x-apocryph:\n  notify:\n    webhook: " + want + "\n",
		"a variable":          "x-apocryph:\n  notify: ${HOOK}\n",
		"with a full stop":    "x-apocryph: {notify: \"" + strings.Replace(want, ".com", ".com.", 1) + "\"}\n",
		"a public address":    "x-apocryph: {notify: \"" + strings.Replace(want, "hooks.example.com", "93.184.215.14", 1) + "\"}\n",
		"the same in IPv6":    "x-apocryph: {notify: \"" + strings.Replace(want, "hooks.example.com", "[2606:2800::1]", 1) + "\"}\n",
		"the port of https":   "x-apocryph: {notify: \"" + strings.Replace(want, ".com", ".com:443", 1) + "\"}\n",
		"a host in capitals":  "x-apocryph: {notify: \"" + strings.Replace(want, "hooks", "HOOKS", 1) + "\"}\n",
		"a mapping, variable": "x-apocryph:\n  notify: {webhook: \"${HOOK}\"}\n",
	} {
		t.Run(name, func(t *testing.T) {
			src := source(web + text)
			src.Env = map[string]string{"HOOK": want}
			f, err := appfile.Load(t.Context(), src)
			if err != nil {
				t.Fatal(err)
			}
			m, err := f.Manifest(t.Context(), pins())
			if err != nil {
				t.Fatal(err)
			}
			if got := m.GetNotify().GetWebhook(); !strings.HasSuffix(got, "/"+secretPath+"?a=b") || len(m.GetNotify().GetSalt()) != 16 || len(f.Notes) != 0 {
				t.Errorf("%q, salt %x, notes %v", got, m.GetNotify().GetSalt(), f.Notes)
			}
		})
	}
	if m := mustManifest(t, web); m.Notify != nil {
		t.Errorf("without a word it is %v", m.Notify)
	}
	for name, c := range map[string]struct{ url, says, remedy string }{
		"http":                      {"http://hooks.example.com/", "the URL does not begin with https://", "use https"},
		"no scheme":                 {"hooks.example.com/", "the URL does not begin with https://", "use https"},
		"another scheme":            {"ftp://hooks.example.com/", "the URL does not begin with https://", "use https"},
		"a password":                {"https://me:" + secretPath + "@hooks.example.com/", "the URL has a user or a password before its host", "path or the query"},
		"a user":                    {"https://me@hooks.example.com/", "the URL has a user or a password before its host", "path or the query"},
		"a fragment":                {"https://hooks.example.com/#", "the URL has a fragment", "remove it"},
		"no host":                   {"https:///", "the URL's host is neither a name nor an address", "write an https URL"},
		"a host with a space":       {"https://a b.example.com/", "that is no URL", "write an https URL"},
		"a broken escape":           {"https://hooks.example.com/%zz", "that is no URL", "write an https URL"},
		"a backslash":               {"https://hooks.example.com\\\\", "that is no URL", "write an https URL"},
		"letters of another script": {"https://höoks.example.com/", "that is no URL", "write an https URL"},
		"an opaque one":             {"https:hooks.example.com", "that is no URL", "write an https URL"},
		"port zero":                 {"https://hooks.example.com:0/", "the URL's port is none", "leave it out"},
		"a port without a number":   {"https://hooks.example.com:/", "the URL's port is none", "leave it out"},
		"too long":                  {"https://hooks.example.com/" + strings.Repeat("x", 2048), "the URL is longer than 2048 bytes", "shorten it"},
		"loopback":                  {"https://127.0.0.1/", "the address 127.0.0.1 is not a public one", "whole internet"},
		"loopback in short":         {"https://127.1/", "the URL's host is neither a name nor an address", "write an https URL"},
		"loopback as a number":      {"https://2130706433/", "the URL's host is neither a name nor an address", "write an https URL"},
		"loopback in hex":           {"https://0x7f000001/", "the URL's host is neither a name nor an address", "write an https URL"},
		"private":                   {"https://10.1.2.3/", "the address 10.1.2.3 is not a public one", "whole internet"},
		"private in IPv6's form":    {"https://[::ffff:10.1.2.3]/", "the address ::ffff:10.1.2.3 is not a public one", "whole internet"},
		"metadata":                  {"https://169.254.169.254/", "the address 169.254.169.254 is not a public one", "whole internet"},
		"link-local with a device":  {"https://[fe80::1%25eth0]/", "the URL's host is neither a name nor an address", "write an https URL"},
		"unique local":              {"https://[fd00::1]/", "the address fd00::1 is not a public one", "whole internet"},
		"a service of the app":      {"https://web/", "the host web is no full name", "whole internet"},
		"this machine":              {"https://hooks.localhost/", "the host hooks.localhost is known on its own network only", "whole internet"},
		"a name of the cluster's":   {"https://web.default.svc/", "the host web.default.svc is known on its own network only", "whole internet"},
	} {
		t.Run(name, func(t *testing.T) {
			url := c.url
			if !strings.Contains(url, secretPath) && !strings.HasSuffix(url, "#") && !strings.HasSuffix(url, "com") && !strings.HasSuffix(url, "%zz") && !strings.HasSuffix(url, "\\") {
				url += secretPath
			}
			_, err := appfile.Load(t.Context(), source(web+"x-apocryph:\n  notify: \""+url+"\"\n"))
			var ps appfile.Problems
			if !errors.As(err, &ps) || len(ps) != 1 {
				t.Fatalf("got %v, want one problem", err)
			}
			if got := ps[0]; !strings.HasPrefix(got.String(), "compose.yaml:3:3: x-apocryph.notify: "+c.says) || !strings.Contains(got.Remedy, c.remedy) {
				t.Errorf("got  %s → %s\nwant %s → %s", got, got.Remedy, c.says, c.remedy)
			}
			if strings.Contains(err.Error(), secretPath) {
				t.Errorf("%s tells the secret", err)
			}
		})
	}
	for name, text := range map[string]string{
		"compose.yaml:2:14: x-apocryph.notify: it is empty":            "x-apocryph: {notify: \"${UNSET}\"}\n",
		"compose.yaml:2:14: x-apocryph.notify: that is no URL":         "x-apocryph: {notify: [\"https://a.example/\"]}\n",
		"compose.yaml:2:14: x-apocryph.notify: webhook is missing":     "x-apocryph: {notify: {}}\n",
		"compose.yaml:2:23: x-apocryph.notify.webhook: that is no URL": "x-apocryph: {notify: {webhook: 5}}\n",
		"compose.yaml:2:23: x-apocryph.notify.mail: ":                  "x-apocryph: {notify: {mail: me@a.example, webhook: \"https://a.example/\"}}\n",
	} {
		if _, err := appfile.Load(t.Context(), source(web+text)); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%v, want %s", err, name)
		}
	}
	f, err := appfile.Load(t.Context(), source(web+"x-apocryph: {notify: \"https://hooks.example.com:8443/\"}\n"))
	if err != nil || len(f.Notes) != 1 || !strings.Contains(f.Notes[0].Message, "port 443") {
		t.Errorf("another port: %v", err)
	}
}
