// SPDX-License-Identifier: Apache-2.0

package logstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/delegation"
	logstorev1 "github.com/apocryph/apocryph/internal/gen/logstorev1"
)

// machine has the two directories, a clock, and a store that can be started again.
type machine struct {
	t          testing.TB
	root, pods string
	now        time.Time
	total      int64
	s          *Store
}

func newMachine(t testing.TB) *machine {
	m := &machine{t: t, root: t.TempDir(), pods: t.TempDir(), now: time.Unix(1_800_000_000, 0)}
	m.restart()
	t.Cleanup(func() { _ = m.s.Close() })
	return m
}

// restart opens the store again, as after a crash: nothing is said to the one before.
func (m *machine) restart() {
	m.t.Helper()
	if m.s != nil {
		_ = m.s.Close()
	}
	s, err := Open(Config{
		Root: m.root, Pods: m.pods, Machine: "m", TotalBytes: m.total, Now: func() time.Time { return m.now }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		m.t.Fatal(err)
	}
	m.s = s
}

func (m *machine) scan() {
	m.t.Helper()
	m.now = m.now.Add(time.Second)
	if err := m.s.Scan(); err != nil {
		m.t.Fatal(err)
	}
}

func appID(n byte) string { return delegation.AppID{n}.String() }

// file is where the runtime writes what a run of a pod says.
func (m *machine) file(app, pod, container string, restart int) string {
	dir := filepath.Join(m.pods, v1alpha1.Namespace(app)+"_"+pod+"_0f0e", container)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		m.t.Fatal(err)
	}
	return filepath.Join(dir, fmt.Sprintf("%d.log", restart))
}

// segment is the only one of a service of the first app.
func (m *machine) segment(service string) string {
	m.t.Helper()
	all, err := filepath.Glob(filepath.Join(m.root, appID(1), service, "*"))
	if err != nil || len(all) != 1 {
		m.t.Fatalf("segments %v, %v", all, err)
	}
	return all[0]
}

// say appends raw text to a file.
func (m *machine) say(file, text string) {
	m.t.Helper()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		m.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		m.t.Fatal(err)
	}
}

// at is an entry of a second.
func at(second int64, text string) string {
	return time.Unix(second, 0).UTC().Format(time.RFC3339Nano) + " stdout F " + text + "\n"
}

// read returns what a request is answered, as "service second text".
func (m *machine) read(q *logstorev1.ReadRequest) []string {
	m.t.Helper()
	var got []string
	err := m.s.read(m.t.Context(), q, func(r *logstorev1.ReadResponse) error {
		for _, l := range r.Lines {
			text := string(l.Text)
			if l.Notice {
				text = "(" + text + ")"
			}
			if l.Stderr {
				text = "! " + text
			}
			got = append(got, fmt.Sprintf("%s %d %s", l.Service, l.Time/1e9, text))
		}
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return got
}

func (m *machine) want(what string, want ...string) {
	m.t.Helper()
	if diff := cmp.Diff(want, m.read(&logstorev1.ReadRequest{App: appID(1)})); diff != "" {
		m.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

const podName = "web-7d9f-abcde"

func TestLinesAreKeptOnce(t *testing.T) {
	app := appID(1)
	for name, story := range map[string]func(*machine, string) []string{
		"as they are written": func(m *machine, file string) []string {
			m.say(file, at(1, "one"))
			m.scan()
			m.scan()
			m.say(file, at(2, "two"))
			return []string{"web 1 one", "web 2 two"}
		},
		"an entry that is not yet whole": func(m *machine, file string) []string {
			entry := at(1, "one")
			m.say(file, entry[:len(entry)-3])
			m.scan()
			m.say(file, entry[len(entry)-3:])
			return []string{"web 1 one"}
		},
		"after a restart of the store": func(m *machine, file string) []string {
			m.say(file, at(1, "one"))
			m.scan()
			m.restart()
			m.say(file, at(2, "two"))
			m.scan()
			m.restart()
			return []string{"web 1 one", "web 2 two"}
		},
		"after a write that broke off": func(m *machine, file string) []string {
			m.say(file, at(1, "one"))
			m.scan()
			m.say(file, at(2, "two"))
			m.scan()
			segment := m.segment("web")
			info, err := os.Stat(segment)
			if err != nil {
				m.t.Fatal(err)
			}
			if err := os.Truncate(segment, info.Size()-2); err != nil {
				m.t.Fatal(err)
			}
			m.restart()
			return []string{"web 1 one", "web 2 two"}
		},
		"of a file that is rotated": func(m *machine, file string) []string {
			m.say(file, at(1, "one"))
			m.scan()
			m.rename(file, file+".20270101-000000")
			m.say(file+".20270101-000000", at(2, "before the runtime was told"))
			m.scan()
			m.say(file+".20270101-000000", at(3, "while it opened another"))
			m.say(file, at(4, "two"))
			return []string{"web 1 one", "web 2 before the runtime was told", "web 3 while it opened another", "web 4 two"}
		},
		"of a file that is rotated while the store is down": func(m *machine, file string) []string {
			m.say(file, at(1, "one"))
			m.scan()
			m.say(file, at(2, "two"))
			m.rename(file, file+".20270101-000000")
			m.say(file, at(3, "three"))
			m.restart()
			return []string{"web 1 one", "web 2 two", "web 3 three"}
		},
		"of a file that is rotated twice while the store is down": func(m *machine, file string) []string {
			m.say(file, at(1, "one"))
			m.scan()
			m.say(file, at(2, "packed away"))
			m.rename(file, file+".20270101-000000.gz")
			m.say(file, at(3, "three"))
			m.rename(file, file+".20270101-000001")
			m.say(file, at(4, "four"))
			m.restart()
			return []string{"web 1 one", "web 3 three", "web 4 four"}
		},
		"of a file that is cut off where it stands": func(m *machine, file string) []string {
			m.say(file, at(1, "one, and longer"))
			m.scan()
			if err := os.Truncate(file, 0); err != nil {
				m.t.Fatal(err)
			}
			m.say(file, at(2, "two"))
			return []string{"web 1 one, and longer", "web 2 two"}
		},
		"of a pod that is deleted": func(m *machine, file string) []string {
			m.say(file, at(1, "one"))
			m.scan()
			m.say(file, at(2, "last words"))
			if err := os.RemoveAll(filepath.Dir(filepath.Dir(file))); err != nil {
				m.t.Fatal(err)
			}
			return []string{"web 1 one", "web 2 last words"}
		},
		"of runs before": func(m *machine, file string) []string {
			m.say(file, at(1, "first run"))
			m.say(m.file(app, podName, "web", 1), at(2, "second run"))
			m.scan()
			_ = os.Remove(file)
			return []string{"web 1 first run", "web 2 second run"}
		},
		"of two pods by time": func(m *machine, file string) []string {
			m.say(file, at(1, "one")+at(4, "four"))
			m.say(m.file(app, "web-7d9f-fghij", "web", 0), at(2, "two")+at(5, "five"))
			m.say(m.file(app, "db-7d9f-fghij", "db", 0), at(3, "three"))
			return []string{"web 1 one", "web 2 two", "db 3 three", "web 4 four", "web 5 five"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			want := story(m, m.file(app, podName, "web", 0))
			for range 4 {
				m.scan()
			}
			m.want("as kept", want...)
			m.restart()
			m.scan()
			m.want("after one more restart", want...)
		})
	}
}

func (m *machine) rename(from, to string) {
	m.t.Helper()
	if err := os.Rename(from, to); err != nil {
		m.t.Fatal(err)
	}
}

func TestWhatAContainerWritesIsItsLine(t *testing.T) {
	stamp := time.Unix(7, 0).UTC().Format(time.RFC3339Nano)
	long := strings.Repeat("x", maxLine)
	for name, c := range map[string]struct {
		raw  string
		want []string
	}{
		"to stderr":                    {stamp + " stderr F oops\n", []string{"web 7 ! oops"}},
		"an empty line":                {stamp + " stdout F \n", []string{"web 7 "}},
		"without a text":               {stamp + " stdout F\n", []string{"web 7 "}},
		"with tags to come":            {stamp + " stdout F:more text\n", []string{"web 7 text"}},
		"no UTF-8":                     {stamp + " stdout F \xff\xfe\x00\n", []string{"web 7 \xff\xfe\x00"}},
		"a line in parts":              {stamp + " stdout P a\n" + stamp + " stderr F err\n" + stamp + " stdout P b\n" + stamp + " stdout F c\n", []string{"web 7 ! err", "web 7 abc"}},
		"a line that does not end":     {stamp + " stdout P a\n" + stamp + " stdout P b\n", []string{"web 7 ab"}},
		"a line that is too long":      {stamp + " stdout P " + long + "\n" + stamp + " stdout P more\n" + stamp + " stdout F end\n" + stamp + " stdout F next\n", []string{"web 7 " + long + "…", "web 7 next"}},
		"what no runtime writes":       {"{\"log\":\"x\"}\n\n" + stamp + " stdin F x\n" + stamp + " stdout X x\nyesterday stdout F x\n" + stamp + " stdout F x\n", []string{"web 7 x"}},
		"an entry that is too long":    {stamp + " stdout F " + strings.Repeat("y", 200_000) + "\n" + at(8, "next"), []string{"web 7 " + strings.Repeat("y", maxLine), "web 8 next"}},
		"a time beyond all counting":   {"9999-01-01T00:00:00Z stdout F x\n0001-01-01T00:00:00Z stdout F x\n", nil},
		"something like a frame of us": {stamp + " stdout F " + string(newFrame().done()) + "\x01\x02\x03\n", []string{"web 7 " + string(newFrame().done()) + "\x01\x02\x03"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.say(m.file(appID(1), podName, "web", 0), c.raw)
			for range 3 {
				m.scan()
			}
			m.want("", c.want...)
		})
	}
}

func TestWhatIsNotATenantsLog(t *testing.T) {
	m := newMachine(t)
	app := appID(1)
	secret := filepath.Join(t.TempDir(), "secret")
	m.say(secret, at(1, "secret"))
	for _, dir := range []string{
		"kube-system_web-1_0f0e/web", "app-short_web-1_0f0e/web", "app-" + app + "_web-1/web", "app-" + app + "_web-1_a_b/web",
		"app-" + app + "_..-1_0f0e/web", "app-" + app + "_web-1_0f0e/..web", "app-" + app + "_web-1_0f0e/WEB", "app-" + app + "_web-1_0f0e/prepare",
	} {
		if err := os.MkdirAll(filepath.Join(m.pods, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		m.say(filepath.Join(m.pods, dir, "0.log"), at(1, "not a tenant's"))
	}
	for _, name := range []string{"00.log", "x.log", "-1.log", "0.log.tmp", "0.txt", "99999999999.log"} {
		m.say(filepath.Join(filepath.Dir(m.file(app, podName, "web", 0)), name), at(1, "not of a run"))
	}
	if err := os.Symlink(secret, m.file(app, podName, "web", 3)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(m.file(app, podName, "web", 4), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(secret), filepath.Join(m.pods, "app-"+app+"_web-2_0f0e")); err != nil {
		t.Fatal(err)
	}
	m.say(m.file(app, podName, "web", 5), at(2, "a tenant's"))
	m.scan()
	m.want("", "web 2 a tenant's")
}

// A link that takes the place of a file between two looks is not followed either.
func TestAFileThatBecomesALink(t *testing.T) {
	m := newMachine(t)
	secret := filepath.Join(m.pods, "secret")
	m.say(secret, at(1, "secret"))
	file := m.file(appID(1), podName, "web", 0)
	m.say(file, at(1, "one"))
	m.scan()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../secret", file); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		m.scan()
	}
	m.want("", "web 1 one")
}

func TestTheLastMebibyteIsKept(t *testing.T) {
	for name, size := range map[string]int{"of lines as usual": 80, "of long lines": 12 << 10} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			file := m.file(appID(1), podName, "web", 0)
			text := strings.Repeat("z", size)
			wrote := 0
			for second := int64(1); wrote < 3*keptText; second++ {
				var b strings.Builder
				for b.Len() < 100<<10 {
					b.WriteString(at(second, text))
					wrote += size + 1
				}
				m.say(file, b.String())
				m.scan()
			}
			kept := 0
			for _, l := range m.read(&logstorev1.ReadRequest{App: appID(1)}) {
				kept += len(strings.SplitN(l, " ", 3)[2]) + 1
			}
			if kept < keptText || m.s.Bytes() > ringBytes+maxFrame {
				t.Errorf("%d bytes of text are kept in %d", kept, m.s.Bytes())
			}
		})
	}
	t.Run("of empty lines no more than there is room for", func(t *testing.T) {
		m := newMachine(t)
		file := m.file(appID(1), podName, "web", 0)
		for second := int64(1); second < 120; second++ {
			m.say(file, strings.Repeat(at(second, ""), 5000))
			m.scan()
		}
		if got := m.s.Bytes(); got > ringBytes || got < ringBytes-segmentBytes-maxFrame {
			t.Errorf("%d bytes are kept", got)
		}
	})
}

// Where pods that are quiet have been read to outlives the segments in which their lines were.
func TestAQuietPodIsNotReadAgain(t *testing.T) {
	m := newMachine(t)
	m.say(m.file(appID(1), "web-7d9f-quiet", "web", 0), at(1, "quiet"))
	file := m.file(appID(1), podName, "web", 0)
	for second := int64(2); second < 60; second++ {
		m.say(file, strings.Repeat(at(second, strings.Repeat("z", 1000)), 100))
		m.scan()
	}
	for range 2 {
		m.restart()
		m.scan()
	}
	for _, l := range m.read(&logstorev1.ReadRequest{App: appID(1)}) {
		if strings.HasSuffix(l, "quiet") {
			t.Errorf("read again: %s", l)
		}
	}
}

func TestAFloodCostsNoMoreThanItsShare(t *testing.T) {
	m := newMachine(t)
	flood, calm := m.file(appID(1), podName, "web", 0), m.file(appID(1), "db-7d9f-abcde", "db", 0)
	line := strings.Repeat("z", 4000)
	var written int64
	for second := int64(1); second <= 20; second++ {
		text := strings.Repeat(at(second, line), 1000) // 4 MB
		written += int64(len(text))
		m.say(flood, text)
		m.say(calm, at(second, "calm"))
		m.scan()
	}
	m.say(flood, at(30, "the end"))
	for range 10 {
		m.scan()
	}
	got := m.read(&logstorev1.ReadRequest{App: appID(1)})
	calmLines, notices := 0, 0
	for _, l := range got {
		switch {
		case strings.HasPrefix(l, "db "):
			calmLines++
		case strings.HasSuffix(l, "than is kept)"):
			notices++
		}
	}
	if last := got[len(got)-1]; last != "web 30 the end" || calmLines != 20 || notices == 0 {
		t.Errorf("%d calm lines, %d notices, the last line is %.80s", calmLines, notices, last)
	}
	if read := 30*bytesPerSecond + burstBytes; counted(t, m.s.dropped) < float64(written)-float64(read) {
		t.Errorf("of %d bytes only %.0f were left out", written, counted(t, m.s.dropped))
	}
}

func TestCountsAreBounded(t *testing.T) {
	m := newMachine(t)
	for i := range appServices + 10 {
		name := fmt.Sprintf("s%d", i)
		file := m.file(appID(1), name+"-7d9f-abcde", name, 0)
		m.say(file, at(int64(i), "x"))
		m.scan()
		_ = os.RemoveAll(filepath.Dir(filepath.Dir(file)))
		for range 3 {
			m.scan()
		}
	}
	got := m.read(&logstorev1.ReadRequest{App: appID(1)})
	if len(got) != appServices || got[0] != "s10 10 x" {
		t.Errorf("%d services, the first %v", len(got), got[:1])
	}
}

// Who has most gives way, not who was there first.
func TestTheWholeIsBounded(t *testing.T) {
	m := newMachine(t)
	m.total = 3 << 20
	m.restart()
	m.say(m.file(appID(1), podName, "web", 0), at(1, "mine"))
	m.scan()
	for i := range 4 {
		name := fmt.Sprintf("s%d", i)
		file := m.file(appID(2), name+"-7d9f-abcde", name, 0)
		for second := int64(1); second < 12; second++ {
			m.say(file, strings.Repeat(at(second, strings.Repeat("z", 1000)), 100))
			m.scan()
		}
	}
	if got := m.s.Bytes(); got > m.total+maxFrame {
		t.Errorf("%d bytes are kept", got)
	}
	m.want("the other app's", "web 1 mine")
}

// What can't be written is written when it can, and nothing of it is there twice.
func TestADiskThatIsFull(t *testing.T) {
	m := newMachine(t)
	file := m.file(appID(1), podName, "web", 0)
	m.say(file, at(1, "one"))
	m.scan()
	blocked := m.segment("web")
	aside := blocked + ".aside"
	m.rename(blocked, aside)
	m.say(file, at(2, "two"))
	if err := m.s.Scan(); err == nil {
		t.Error("nothing failed")
	}
	m.rename(aside, blocked)
	m.scan()
	m.want("", "web 1 one", "web 2 two")
}

func TestReadsWhatIsAsked(t *testing.T) {
	m := newMachine(t)
	app := appID(1)
	m.say(m.file(app, podName, "web", 0), at(1, "one")+at(3, "three"))
	m.say(m.file(app, podName, "web", 1), at(5, "five"))
	m.say(m.file(app, "db-7d9f-abcde", "db", 0), at(2, "two")+at(4, "four"))
	m.scan()
	two, none := uint32(2), uint32(0)
	for name, c := range map[string]struct {
		q    *logstorev1.ReadRequest
		want []string
	}{
		"all":                   {&logstorev1.ReadRequest{}, []string{"web 1 one", "db 2 two", "web 3 three", "db 4 four", "web 5 five"}},
		"one service":           {&logstorev1.ReadRequest{Service: "db"}, []string{"db 2 two", "db 4 four"}},
		"since":                 {&logstorev1.ReadRequest{Since: 3e9}, []string{"db 4 four", "web 5 five"}},
		"the last two of each":  {&logstorev1.ReadRequest{Tail: &two}, []string{"db 2 two", "web 3 three", "db 4 four", "web 5 five"}},
		"none":                  {&logstorev1.ReadRequest{Tail: &none}, nil},
		"without a run":         {&logstorev1.ReadRequest{Without: []*logstorev1.Run{{Pod: podName, Restart: 1}}, Service: "web"}, []string{"web 1 one", "web 3 three"}},
		"the last before a run": {&logstorev1.ReadRequest{Without: []*logstorev1.Run{{Pod: podName, Restart: 1}}, Service: "web", Tail: new(uint32(1))}, []string{"web 3 three"}},
		"a service of no app":   {&logstorev1.ReadRequest{Service: "cache"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c.q.App = app
			if diff := cmp.Diff(c.want, m.read(c.q)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if got := m.read(&logstorev1.ReadRequest{App: appID(2)}); got != nil {
		t.Errorf("of another app: %v", got)
	}
}

// Whoever follows gets each line once, also over an interruption.
func TestFollowing(t *testing.T) {
	m := newMachine(t)
	file := m.file(appID(1), podName, "web", 0)
	m.say(file, at(1, "one"))
	m.scan()
	q := &logstorev1.ReadRequest{App: appID(1), Follow: true}
	place := map[string]uint64{}
	follow := func(write func(), until string) []string {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var got []string
		err := m.s.read(ctx, q, func(r *logstorev1.ReadResponse) error {
			for _, l := range r.Lines {
				got = append(got, string(l.Text))
			}
			for service, at := range r.Positions {
				place[service] = at
			}
			if r.CaughtUp {
				write()
				m.scan()
			}
			if len(got) > 0 && got[len(got)-1] == until {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		return got
	}
	got := follow(func() { m.say(file, at(2, "two")) }, "two")
	m.say(m.file(appID(1), "db-7d9f-abcde", "db", 0), at(3, "three"))
	m.scan()
	m.restart()
	q.Resume = []*logstorev1.Place{{Machine: "another"}, {Machine: "m", Positions: place}}
	got = append(got, follow(func() { m.say(file, at(4, "four")) }, "four")...)
	if diff := cmp.Diff([]string{"one", "two", "three", "four"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
