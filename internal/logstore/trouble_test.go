// SPDX-License-Identifier: Apache-2.0

package logstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/api/v1alpha1"
	logstorev1 "github.com/apocryph/apocryph/internal/gen/logstorev1"
)

// answered is what a request is answered, and the error that ends it; caughtUp is called when all that was kept has come.
func (m *machine) answered(ctx context.Context, q *logstorev1.ReadRequest, caughtUp func()) ([]string, error) {
	var got []string
	err := m.s.read(ctx, q, func(r *logstorev1.ReadResponse) error {
		for _, l := range r.Lines {
			got = append(got, string(l.Text))
		}
		if r.CaughtUp {
			caughtUp()
		}
		return nil
	})
	return got, err
}

// Whoever reads or follows is told when lines come that can't be kept, after those that could.
func TestWhatIsNotKeptIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		// fail makes that the app's next line can't be kept; the function that it returns undoes it.
		fail func(m *machine) (undo func())
		// others is what readers of another app get.
		others error
	}{
		"a disk that is full": {func(m *machine) func() {
			blocked := m.segment("web")
			m.rename(blocked, blocked+".aside")
			return func() { m.rename(blocked+".aside", blocked) }
		}, nil},
		"a new service for which there is no room": {func(m *machine) func() {
			for i := range appServices {
				name := fmt.Sprintf("s%02d", i)
				m.say(m.file(appID(1), name+"-7d9f-abcde", name, 0), at(1, "x"))
			}
			return func() {
				if err := os.RemoveAll(filepath.Join(m.pods, v1alpha1.Namespace(appID(1))+"_s63-7d9f-abcde_0f0e")); err != nil {
					m.t.Fatal(err)
				}
				for range 2 {
					_ = m.s.Scan()
				}
			}
		}, nil},
		"files that can't be listed": {func(m *machine) func() {
			pods := m.s.pods
			broken, err := os.OpenRoot(m.pods)
			if err != nil {
				m.t.Fatal(err)
			}
			_ = broken.Close()
			m.s.pods = broken
			return func() { m.s.pods = pods }
		}, errNotKept},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			file := m.file(appID(1), podName, "web", 0)
			m.say(file, at(1, "one"))
			m.scan()
			var undo func()
			follower, err := m.answered(t.Context(), &logstorev1.ReadRequest{App: appID(1), Follow: true}, func() {
				undo = c.fail(m)
				m.say(file, at(2, "two"))
				if m.s.Scan() == nil {
					t.Error("nothing failed")
				}
			})
			if !errors.Is(err, errNotKept) || follower[0] != "one" {
				t.Errorf("a follower got %q, %v", follower, err)
			}
			caughtUp := func() { t.Error("it says that all has come") }
			if _, err := m.answered(t.Context(), &logstorev1.ReadRequest{App: appID(1)}, caughtUp); !errors.Is(err, errNotKept) {
				t.Errorf("a reader got %v", err)
			}
			if _, err := m.answered(t.Context(), &logstorev1.ReadRequest{App: appID(2)}, func() {}); !errors.Is(err, c.others) {
				t.Errorf("another app's reader got %v, want %v", err, c.others)
			}
			undo()
			m.scan()
			m.want1("web", "one", "two")
		})
	}
}

// want1 reads one service, to its end.
func (m *machine) want1(service string, want ...string) {
	m.t.Helper()
	got, err := m.answered(m.t.Context(), &logstorev1.ReadRequest{App: appID(1), Service: service}, func() {})
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		m.t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// Lines that nobody can keep any more, because the pod is gone, are waited for by nobody.
func TestTroubleEndsWithThePod(t *testing.T) {
	m := newMachine(t)
	file := m.file(appID(1), podName, "web", 0)
	m.say(file, at(1, "one"))
	m.scan()
	blocked := m.segment("web")
	m.rename(blocked, blocked+".aside")
	m.say(file, at(2, "two"))
	_ = m.s.Scan()
	if m.s.keeps(appID(1), "") || m.s.keeps(appID(1), "web") || !m.s.keeps(appID(1), "db") {
		t.Error("it does not say what it keeps")
	}
	if err := os.RemoveAll(filepath.Dir(filepath.Dir(file))); err != nil {
		t.Fatal(err)
	}
	m.rename(blocked+".aside", blocked)
	for range 4 {
		m.scan()
	}
	m.want1("web", "one", "two")
}

// A reader holds little of a service at once, whatever its lines are.
func TestWhatAReaderHoldsIsBounded(t *testing.T) {
	stamp := time.Unix(1, 0).UTC().Format(time.RFC3339Nano)
	for name, text := range map[string]string{
		"empty lines":               strings.Repeat(at(1, ""), 8000),
		"long lines":                strings.Repeat(at(1, strings.Repeat("x", maxLine)), 20),
		"a line longer than a read": at(1, "short") + at(2, strings.Repeat("x", readBytes)) + at(3, "short"),
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.say(m.file(appID(1), podName, "web", 0), text)
			m.scan()
			c := m.s.cursor(appID(1), "web")
			count := 0
			for {
				lines, err := c.next()
				if err != nil {
					t.Fatal(err)
				}
				if lines == nil {
					break
				}
				if count += len(lines); len(lines) > frameLines || len(c.buf) > 3*readBytes {
					t.Fatalf("%d lines and %d bytes", len(lines), len(c.buf))
				}
			}
			if want := strings.Count(text, "\n"); count != want || c.buf != nil {
				t.Errorf("%d lines of %d, and %d bytes are held", count, want, len(c.buf))
			}
		})
	}
	t.Run("lines that never end", func(t *testing.T) {
		m := newMachine(t)
		const runs = 3 * maxOpen
		for i := range runs {
			m.say(m.file(appID(1), fmt.Sprintf("web-7d9f-%05d", i), "web", 0), stamp+" stdout P x\n")
		}
		m.scan()
		c := m.s.cursor(appID(1), "web")
		lines, err := c.next()
		if err != nil || len(lines) != runs-maxOpen || len(c.open) != maxOpen {
			t.Errorf("%d lines came, %d are held, %v", len(lines), len(c.open), err)
		}
		if got := m.read(&logstorev1.ReadRequest{App: appID(1)}); len(got) != runs {
			t.Errorf("%d lines of %d", len(got), runs)
		}
	})
}

// One app's readers leave room for those of others, and all together are bounded; those who follow hold no place.
func TestThoseWhoCatchUpAreBounded(t *testing.T) {
	m := newMachine(t)
	m.say(m.file(appID(1), podName, "web", 0), at(1, "one"))
	m.say(m.file(appID(1), "db-7d9f-abcde", "db", 0), at(1, "one"))
	m.say(m.file(appID(2), podName, "web", 0), at(1, "one"))
	m.scan()
	for name, c := range map[string]struct {
		all, of int
		app     byte
		service string
		want    error
	}{
		"as many as an app may":       {appCatching - 2, appCatching - 2, 1, "", nil},
		"one more of the app":         {appCatching - 1, appCatching - 1, 1, "", errBusy},
		"one service more of the app": {appCatching - 1, appCatching - 1, 1, "web", nil},
		"another app":                 {appCatching, appCatching, 2, "", nil},
		"as many as there may be":     {maxCatching - 1, 0, 2, "", nil},
		"one more":                    {maxCatching, 0, 2, "", errBusy},
	} {
		t.Run(name, func(t *testing.T) {
			m.s.catching = catching{all: c.all, of: map[string]int{appID(1): c.of}}
			_, err := m.answered(t.Context(), &logstorev1.ReadRequest{App: appID(c.app), Service: c.service}, func() {
				if m.s.catching.all != c.all {
					t.Error("it holds its places")
				}
			})
			if !errors.Is(err, c.want) || m.s.catching.all != c.all || m.s.catching.of[appID(1)] != c.of {
				t.Errorf("got %v, want %v, and %d places are held", err, c.want, m.s.catching.all)
			}
		})
	}
}

// A service that only is quiet stays, and those that are gone give way to a new one.
func TestTheQuietServiceStays(t *testing.T) {
	m := newMachine(t)
	m.say(m.file(appID(1), "db-7d9f-abcde", "db", 0), at(1, "started"))
	m.scan()
	var gone []string
	for i := range appServices - 1 {
		name := fmt.Sprintf("s%02d", i)
		gone = append(gone, m.file(appID(1), name+"-7d9f-abcde", name, 0))
		m.say(gone[i], at(int64(i), "x"))
	}
	m.scan()
	for _, file := range gone {
		_ = os.RemoveAll(filepath.Dir(filepath.Dir(file)))
	}
	for range 3 {
		m.scan()
	}
	m.say(m.file(appID(1), podName, "web", 0), at(9, "new"))
	m.scan()
	m.want1("db", "started")
	m.want1("web", "new")
	if services, err := m.s.services(appID(1)); err != nil || len(services) != appServices {
		t.Errorf("%d services, %v", len(services), err)
	}
}

func TestTheNewestRunsAreLookedAt(t *testing.T) {
	t.Run("beside many rotated files", func(t *testing.T) {
		m := newMachine(t)
		file := m.file(appID(1), podName, "web", 0)
		m.say(file, at(1, "one"))
		m.scan()
		for i := range 2 * podFiles {
			m.say(fmt.Sprintf("%s.20270101-%06d.gz", file, i), "packed")
		}
		m.restart()
		m.say(file, at(2, "two"))
		m.scan()
		m.want1("web", "one", "two")
	})
	t.Run("of many, by number", func(t *testing.T) {
		m := newMachine(t)
		var want []string
		for i := range podFiles + 5 {
			text := fmt.Sprint(i)
			m.say(m.file(appID(1), podName, "web", i), at(int64(i), text))
			if i >= 5 {
				want = append(want, text)
			}
		}
		m.scan()
		m.want1("web", want...)
	})
	t.Run("beside many containers that only prepare", func(t *testing.T) {
		m := newMachine(t)
		for i := range 2 * podFiles {
			m.say(m.file(appID(1), podName, fmt.Sprintf("prepare-%02d", i), 0), at(1, "x"))
		}
		m.say(m.file(appID(1), podName, "web", 0), at(1, "one"))
		m.scan()
		m.want1("web", "one")
	})
}

// scanned is when the last scan began.
func (m *machine) scanned() time.Time {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	return m.s.scanned
}

// Those who ask one after another have their lines, and not each a scan of his own at once.
func TestReadsShareAScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		m.s.cfg.Now = time.Now
		if err := m.s.Scan(); err != nil {
			t.Fatal(err)
		}
		first := m.scanned()
		m.say(m.file(appID(1), podName, "web", 0), at(1, "one"))
		for range 5 {
			time.Sleep(time.Millisecond) // the bubble's clock
			go func() {
				got := 0
				err := m.s.answer(t.Context(), &logstorev1.ReadRequest{App: appID(1)}, func(r *logstorev1.ReadResponse) error {
					got += len(r.Lines)
					return nil
				})
				if err != nil || got != 1 {
					t.Errorf("%d lines, %v", got, err)
				}
			}()
		}
		time.Sleep(scanPause / 2)
		if !m.scanned().Equal(first) {
			t.Error("there was a scan more")
		}
		time.Sleep(scanPause)
		synctest.Wait()
		if last := m.scanned(); !last.Equal(first.Add(scanPause)) {
			t.Errorf("the last scan was %s after the first", last.Sub(first))
		}
	})
}

func TestWhoAsksForAnotherMachineCausesNoScan(t *testing.T) {
	m := newMachine(t)
	m.scan()
	before := m.s.scanned
	m.now = m.now.Add(time.Hour)
	q := &logstorev1.ReadRequest{App: appID(1), Follow: true, Resume: []*logstorev1.Place{{Machine: "another"}}}
	heads := 0
	err := m.s.answer(t.Context(), q, func(r *logstorev1.ReadResponse) error {
		if r.Head != nil {
			heads++
		}
		return nil
	})
	if err != nil || heads != 1 || !m.s.scanned.Equal(before) {
		t.Errorf("%d heads, %v", heads, err)
	}
}

// Who stands in a segment that had to go, with all of the service, gets what is written from then on.
func TestAFollowerOutlivesTheRing(t *testing.T) {
	for name, remove := range map[string]func(m *machine) error{
		"whose place others needed": func(m *machine) error {
			m.s.mu.Lock()
			defer m.s.mu.Unlock()
			return m.s.removeRing(m.s.rings[appID(1)+"/web"])
		},
		"of an app that was taken for gone": func(m *machine) error {
			m.now = m.now.Add(time.Second)
			return m.s.Remove(appID(1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			file := m.file(appID(1), podName, "web", 0)
			m.say(file, at(1, strings.Repeat("x", 100)))
			m.scan()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var last string
			err := m.s.read(ctx, &logstorev1.ReadRequest{App: appID(1), Follow: true}, func(r *logstorev1.ReadResponse) error {
				for _, l := range r.Lines {
					if last = string(l.Text); last == "two" {
						cancel()
					}
				}
				if r.CaughtUp {
					if err := remove(m); err != nil {
						t.Error(err)
					}
					m.say(file, at(2, "two"))
					m.scan()
				}
				return nil
			})
			if !errors.Is(err, context.Canceled) || last != "two" {
				t.Errorf("ended with %v after %.20q", err, last)
			}
		})
	}
}

// A removal that failed halfway is made whole by the next round.
func TestARemovalIsMadeWhole(t *testing.T) {
	m := newMachine(t)
	left := filepath.Join(m.root, removedPrefix+"x", "web")
	if err := os.MkdirAll(left, dirMode); err != nil {
		t.Fatal(err)
	}
	if err := m.s.removeLeft(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(left)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}
