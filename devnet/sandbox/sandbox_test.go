// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPartsStartAfterThoseBeforeThem(t *testing.T) {
	tests := map[string]struct {
		parts []Part
		ok    bool
	}{
		"none":                      {nil, true},
		"a chain":                   {[]Part{{Name: "a"}, {Name: "b", After: []string{"a"}}}, true},
		"one that nobody is":        {[]Part{{Name: "a", After: []string{"b"}}}, false},
		"one that comes later":      {[]Part{{Name: "a", After: []string{"b"}}, {Name: "b"}}, false},
		"itself":                    {[]Part{{Name: "a", After: []string{"a"}}}, false},
		"two that wait for a third": {[]Part{{Name: "a"}, {Name: "b", After: []string{"a"}}, {Name: "c", After: []string{"a"}}}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := checkOrder(test.parts); (err == nil) != test.ok {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestAPartIsStartedAgain(t *testing.T) {
	up := PartStatus{Ready: time.Unix(1, 0)}
	tests := map[string]struct {
		part   Part
		status PartStatus
		want   bool
	}{
		"after it was ready":                       {Part{}, up, true},
		"not if it never was, so that one sees":    {Part{}, PartStatus{}, false},
		"not if its state was in its own memory":   {Part{Once: true}, up, false},
		"nor if it never was ready and keeps none": {Part{Once: true}, PartStatus{}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := again(test.part, test.status); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	s := Status{Parts: []PartStatus{{Name: "a", Phase: Ready}, {Name: "b", Phase: Starting}}}
	if s.AllReady() || s.Failed() != nil {
		t.Errorf("starting: ready %v, failed %v", s.AllReady(), s.Failed())
	}
	s.Parts[1].Phase = Ready
	if !s.AllReady() {
		t.Error("all are ready, but it does not say so")
	}
	s.Parts[0].Phase = Ended
	if s.AllReady() || s.Failed() == nil || s.Failed().Name != "a" {
		t.Errorf("ended: ready %v, failed %v", s.AllReady(), s.Failed())
	}
	if (Status{}).AllReady() {
		t.Error("a sandbox without parts is ready")
	}
}

func TestSpecSurvivesItsFile(t *testing.T) {
	dir := t.TempDir()
	want := Spec{
		State: dir, Hostname: "h", Cgroup: "/c", HostIP: netip.MustParseAddr("10.213.0.1"), NodeIP: netip.MustParseAddr("10.213.0.2"),
		Forwards: []Forward{{Name: "api", Host: 1, Node: 2}}, Parts: []Part{{Name: "a", Args: []string{"a"}}},
	}
	if err := WriteSpec(want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadSpec(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if got.Port("api") != 1 || got.Port("none") != 0 {
		t.Errorf("ports %d and %d", got.Port("api"), got.Port("none"))
	}
}

func TestOneSupervisorAtATime(t *testing.T) {
	dir := t.TempDir()
	if Running(filepath.Join(dir, "nothing")) || Running(dir) {
		t.Error("runs without a supervisor")
	}
	lock, err := acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !Running(dir) {
		t.Error("does not run while the lock is held")
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if Running(dir) {
		t.Error("runs after the lock was let go")
	}
}

func TestFreePortsSkipsTaken(t *testing.T) {
	base, err := FreePorts(21000, 10)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", loopback(base+3))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	next, err := FreePorts(base, 10)
	if err != nil {
		t.Fatal(err)
	}
	if next == base {
		t.Errorf("%d to %d are free, although somebody listens on %d", base, base+9, base+3)
	}
}
