// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"testing"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

func TestWhatIsNotDoneIsRefused(t *testing.T) {
	on := func(name, alias string, networks ...string) *manifestv1.Service {
		s := &manifestv1.Service{Name: name}
		for _, n := range networks {
			s.Networks = append(s.Networks, &manifestv1.Attachment{Network: n, Aliases: []string{alias}})
		}
		return s
	}
	for name, c := range map[string]struct {
		services []*manifestv1.Service
		refused  bool
	}{
		"a stop signal":                          {[]*manifestv1.Service{{Name: "web", StopSignal: "SIGINT"}}, true},
		"one name for two on one network":        {[]*manifestv1.Service{on("a", "db", "x"), on("b", "db", "x")}, false},
		"one name for two on different networks": {[]*manifestv1.Service{on("a", "db", "x"), on("b", "db", "y")}, true},
		"one name for two, one on one more":      {[]*manifestv1.Service{on("a", "db", "x"), on("b", "db", "x", "y")}, true},
		"one name for one on two networks":       {[]*manifestv1.Service{on("a", "db", "x", "y")}, false},
		"what is done": {[]*manifestv1.Service{{
			Name: "web", Restart: manifestv1.Restart_RESTART_NEVER, Init: true, Hostname: "h", Groups: []int64{1}, SharedMemoryBytes: 1 << 20,
			Health: &manifestv1.Health{Command: []string{"x"}}, DependsOn: []*manifestv1.Dependency{{Service: "db"}},
		}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := checkSupported(&manifestv1.Manifest{Services: c.services}); (err != nil) != c.refused {
				t.Errorf("error %v, want one: %t", err, c.refused)
			}
		})
	}
}
