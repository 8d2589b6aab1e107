// SPDX-License-Identifier: Apache-2.0

package logstore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	logstorev1 "github.com/apocryph/apocryph/internal/gen/logstorev1"
)

// Whatever stands in a log file, each line that comes of it is bounded, and the same file read in two parts has the same lines.
func FuzzLogFile(f *testing.F) {
	stamp := time.Unix(7, 0).UTC().Format(time.RFC3339Nano)
	for _, seed := range []string{
		at(1, "one") + at(2, "two"), stamp + " stdout P a\n" + stamp + " stdout F b\n", stamp + " stderr F \xff\n", "garbage\n\n", stamp + " stdout P no end",
		stamp + " stdout F " + strings.Repeat("x", 3*maxLine) + "\n",
	} {
		f.Add([]byte(seed), uint16(9))
	}
	f.Fuzz(func(t *testing.T, text []byte, cut uint16) {
		text = text[:min(len(text), 256<<10)]
		whole, parts := newMachine(t), newMachine(t)
		file := whole.file(appID(1), podName, "web", 0)
		whole.say(file, string(text))
		half := min(int(cut), len(text))
		other := parts.file(appID(1), podName, "web", 0)
		parts.say(other, string(text[:half]))
		parts.scan()
		parts.restart()
		parts.say(other, string(text[half:]))
		for range 4 {
			whole.scan()
			parts.scan()
		}
		a, b := whole.read(&logstorev1.ReadRequest{App: appID(1)}), parts.read(&logstorev1.ReadRequest{App: appID(1)})
		for _, l := range a {
			if len(l) > maxLine+64 {
				t.Fatalf("a line of %d bytes", len(l))
			}
		}
		if short := len(text) < maxLine; short && strings.Join(a, "\n") != strings.Join(b, "\n") {
			t.Errorf("read at once: %q, in two parts: %q", a, b)
		}
	})
}

// Whatever stands in a segment, it is read to where it makes sense, by writer and reader alike, and written on from there.
func FuzzSegment(f *testing.F) {
	good := newFrame()
	good.run(0, podName, 1)
	good.line(0, flagPartial, time.Unix(1, 0), []byte("one"))
	good.line(0, flagStderr|flagNotice, time.Unix(2, 0), []byte("two"))
	good.position(0, 7, 9)
	f.Add(append(good.done(), 1, 2, 3))
	f.Add(newFrame().done())
	bad := newFrame()
	bad.line(99, 0xff, time.Unix(-1, 0), nil)
	f.Add(bad.done())
	bad = newFrame()
	bad.b = append(bad.b, recordRun, 0x80)
	f.Add(bad.done())
	f.Fuzz(func(t *testing.T, segment []byte) {
		m := newMachine(t)
		dir := filepath.Join(m.root, appID(1), "web")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		m.say(filepath.Join(dir, "00000001"), string(segment))
		before := m.read(&logstorev1.ReadRequest{App: appID(1)})
		m.restart()
		m.say(m.file(appID(1), "web-7d9f-fghij", "web", 0), at(5, "after it"))
		m.scan()
		after := m.read(&logstorev1.ReadRequest{App: appID(1)})
		if !strings.Contains(strings.Join(after, "\n"), "web 5 after it") {
			t.Errorf("before %q, after %q", before, after)
		}
	})
}
