// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/apocryph/apocryph/internal/delegation"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// What tenants write to their logs comes in lines of bounded length, and all of it that fits.
func FuzzLogLines(f *testing.F) {
	f.Add([]byte("2026-11-22T10:00:00.000000001Z hello\n2026-11-22T10:00:01Z again"))
	f.Add([]byte("\n\n \nnotime\n"))
	f.Add(append(bytes.Repeat([]byte("x"), maxLine+5), "\nnext\n"...))
	f.Fuzz(func(t *testing.T, log []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(log), maxLine)
		var lines int
		for {
			line, err := readLine(r)
			if err != nil {
				break
			}
			lines++
			if len(line) > maxLine+len("…") || bytes.Contains(line, []byte("\n")) {
				t.Fatalf("a line of %d bytes", len(line))
			}
			at, text := splitLine(line)
			if len(text) > len(line) || at.IsZero() && !bytes.Equal(text, line) {
				t.Errorf("%q is split into %s and %q", line, at, text)
			}
		}
		want := bytes.Count(log, []byte("\n"))
		if len(log) > 0 && log[len(log)-1] != '\n' {
			want++
		}
		if lines != want {
			t.Errorf("%d lines of %d", lines, want)
		}
	})
}

// A host that is given out is one DNS label of the provider's domain, and never one of the provider's own.
func FuzzHostLabel(f *testing.F) {
	f.Add("shop", "")
	f.Add(strings.Repeat("a", 63), "")
	f.Add("a-"+strings.Repeat("b", 61), "xn--a")
	f.Add("shop", "admin")
	f.Add("xn--pple-43d", "")
	f.Add("shop", "a.b")
	f.Fuzz(func(t *testing.T, name, host string) {
		m := &manifestv1.Manifest{Name: name, Http: &manifestv1.Http{Host: host}}
		if err := checkHostForm(m); err != nil {
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 500 || !utf8.ValidString(err.Error()) {
				t.Errorf("not one short line: %q", err)
			}
			return
		}
		if !manifest.LooksLikeLabel(name) {
			return // no manifest has such a name
		}
		label := hostLabel(m, delegation.AppID{1})
		for _, own := range reservedHosts() {
			if label == own {
				t.Errorf("%q is given out", label)
			}
		}
		if !manifest.LooksLikeLabel(label) || strings.Contains(label, ".") || strings.HasPrefix(label, "xn--") {
			t.Errorf("name %q and host %q make %q", name, host, label)
		}
	})
}
