// SPDX-License-Identifier: Apache-2.0

package appfile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/internal/appfile"
)

// Names of users and groups become the numbers that the image has for them, as they do in Docker.
func TestAccounts(t *testing.T) {
	cases := map[string]struct{ service, want string }{
		"nothing said is the image's own":          {"init: true", "user - group - groups []"},
		"a user by name is in its groups":          {"user: postgres", "user 999 group 998 groups [44 101]"},
		"a group takes the place of the user's":    {"user: 'postgres:staff'", "user 999 group 50 groups []"},
		"a colon without a group":                  {"user: 'postgres:'", "user 999 group 998 groups [44 101]"},
		"a user that shares its number with none":  {"user: 'www-data:www-data'", "user 33 group 33 groups []"},
		"a number with a group by name":            {"user: '1000:staff'", "user 1000 group 50 groups []"},
		"a name with a group by number":            {"user: 'www-data:0'", "user 33 group 0 groups []"},
		"numbers are not looked up":                {"user: '999:5'", "user 999 group 5 groups []"},
		"root is 0 everywhere":                     {"user: 'root:root'", "user 0 group 0 groups []"},
		"further groups by name":                   {"user: postgres\n    group_add: [staff, '7', video, root]", "user 999 group 998 groups [0 7 44 50 101]"},
		"further groups of the image's own user":   {"group_add: [' video ']", "user - group - groups [44]"},
		"a user that the image has not":            {"user: nginx", "compose.yaml:4:5: services.web.user: image a has no user \"nginx\""},
		"a group that the image has not":           {"user: 'postgres:docker'", "compose.yaml:4:5: services.web.user: image a has no group \"docker\""},
		"a further group that the image has not":   {"group_add: [video, docker]", "compose.yaml:4:24: services.web.group_add.1: image a has no group \"docker\""},
		"a user whose number no container can be":  {"user: big", "compose.yaml:4:5: services.web.user: \"big\" is number 70000 in the image"},
		"a group whose number no container can be": {"group_add: [huge]", "compose.yaml:4:17: services.web.group_add.0: \"huge\" is number 99999 in the image"},
		"what is behind a hash is no user":         {"user: '# postgres'", "compose.yaml:4:5: services.web.user: image a has no user \"# postgres\""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f, err := appfile.Load(t.Context(), source("services:\n  web:\n    image: a\n    "+c.service))
			if err != nil {
				t.Fatal(err)
			}
			m, err := f.Manifest(t.Context(), pins())
			got := fmt.Sprint(err)
			if err == nil {
				number := func(n *int64) string {
					if n == nil {
						return "-"
					}
					return fmt.Sprint(*n)
				}
				s := m.Services[0]
				got = fmt.Sprintf("user %s group %s groups %v", number(s.User), number(s.Group), s.Groups)
			}
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			var ps appfile.Problems
			if errors.As(err, &ps) && (len(ps) != 1 || ps[0].Remedy == "") {
				t.Errorf("want one problem with a remedy, got %+v", ps)
			}
		})
	}
}

// What a name stands for is not known before an image was seen, and is said so.
func TestAccountsOfImagesThatNobodySaw(t *testing.T) {
	f, err := appfile.Load(t.Context(), source("services:\n  web:\n    image: a\n    user: 'postgres:staff'\n    group_add: [video]\n    ports: ['80']"))
	if err != nil {
		t.Fatal(err)
	}
	var notes []string
	for _, n := range f.Notes {
		notes = append(notes, n.String())
	}
	const later = "which number that is will be read from the image at deploy"
	want := []string{
		"compose.yaml:4: services.web.user: user \"postgres\": " + later,
		"compose.yaml:4: services.web.user: group \"staff\": " + later,
		"compose.yaml:5: services.web.group_add.0: group \"video\": " + later,
	}
	if diff := cmp.Diff(want, notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}

	resolve := func(img appfile.Image) error {
		p := pins()
		p.Resolve = func(ctx context.Context, name string) (appfile.Image, error) {
			pinned, err := pins().Resolve(ctx, name)
			img.Digest = pinned.Digest
			return img, err
		}
		_, err := f.Manifest(t.Context(), p)
		return err
	}
	if err := resolve(appfile.Image{Unseen: true}); err != nil {
		t.Errorf("an image that nobody saw: %v", err)
	}
	if err := resolve(appfile.Image{}); err == nil || !strings.Contains(err.Error(), "compose.yaml:3:5: image a of service web: nobody can read its users") {
		t.Errorf("an image whose accounts can't be read: %v", err)
	}
	none := func(context.Context) (appfile.Accounts, error) { return appfile.Accounts{}, nil }
	err = resolve(appfile.Image{ReadAccounts: none})
	var ps appfile.Problems
	if !errors.As(err, &ps) || len(ps) != 3 || !strings.Contains(ps[0].Message+ps[1].Message, "image a has no /etc/passwd, so no user is called \"postgres\" there") {
		t.Errorf("an image without accounts: %v", err)
	}
	broken := func(context.Context) (appfile.Accounts, error) { return appfile.Accounts{}, errors.New("torn") }
	if err := resolve(appfile.Image{ReadAccounts: broken}); err == nil || !strings.HasSuffix(err.Error(), "reading its users and groups: torn") {
		t.Errorf("an image that can't be read: %v", err)
	}
}

// A stop signal is honoured where the image asks for the same, and refused elsewhere.
func TestStopSignals(t *testing.T) {
	for text, c := range map[string]struct{ own, want string }{
		"SIGTERM": {"", ""},
		"15":      {"", ""},
		"sigint":  {"SIGINT", ""},
		"QUIT":    {"3", ""},
		"SIGINT":  {"", "compose.yaml:4:5: services.web.stop_signal: not supported: image a is stopped by SIGTERM, and no other signal can be chosen"},
		"SIGUSR1": {"quit", "compose.yaml:4:5: services.web.stop_signal: not supported: image a is stopped by SIGQUIT, and no other signal can be chosen"},
	} {
		f, err := appfile.Load(t.Context(), source("services:\n  web:\n    image: a\n    stop_signal: '"+text+"'\n    ports: ['80']\n"))
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Notes) != 1 || !strings.Contains(f.Notes[0].Message, "the image has to ask for SIG") {
			t.Errorf("%s: notes %v", text, f.Notes)
		}
		p := pins()
		p.Resolve = func(ctx context.Context, name string) (appfile.Image, error) {
			img, err := pins().Resolve(ctx, name)
			img.StopSignal = c.own
			return img, err
		}
		got := ""
		m, err := f.Manifest(t.Context(), p)
		if err != nil {
			got = err.Error()
		} else if m.Services[0].StopSignal != "" {
			t.Errorf("%s: the manifest says it", text)
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", text, got, c.want)
		}
	}
}
