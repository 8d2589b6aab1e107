// SPDX-License-Identifier: Apache-2.0

package appfile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/internal/manifest"
)

// Replicas are services of their own, which answer to the name of the one that they are, and come before what comes after it.
func TestReplicas(t *testing.T) {
	m := mustManifest(t, `services:
  web: {image: a, ports: ['80'], depends_on: {my_worker: {condition: service_healthy}, db: {condition: service_started}}}
  my_worker: {image: b, scale: 3, healthcheck: {test: "true"}, volumes: ['data:/data'], networks: {back: {aliases: [jobs]}}}
  db: {image: c, deploy: {replicas: 1}, networks: [back]}
networks: {back: }
volumes: {data: }
`)
	var got []string
	for _, s := range m.Services {
		line := s.Name
		for _, n := range s.Networks {
			line += " on " + strings.Join(append([]string{n.Network}, n.Aliases...), ",")
		}
		for _, d := range s.DependsOn {
			line += fmt.Sprintf(" after %s %s", d.Service, d.Condition)
		}
		got = append(got, line)
	}
	want := []string{
		"db on back",
		"my-worker-1 on back,jobs,my-worker",
		"my-worker-2 on back,jobs,my-worker",
		"my-worker-3 on back,jobs,my-worker",
		"web on default after db CONDITION_UNSPECIFIED after my-worker-1 CONDITION_HEALTHY after my-worker-2 CONDITION_HEALTHY after my-worker-3 CONDITION_HEALTHY",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	one := mustManifest(t, "services: {web: {image: a}}")
	all, _ := manifest.Rate(m)
	if each, _ := manifest.Rate(one); all.MilliCPU != 5*each.MilliCPU {
		t.Errorf("all reserve %d, each %d", all.MilliCPU, each.MilliCPU)
	}
}

// Without networks in the file all share one, where replicas have their name.
func TestReplicasWithoutNetworks(t *testing.T) {
	m := mustManifest(t, "services: {web: {image: a, ports: ['80']}, worker: {image: b, scale: 2}}")
	if len(m.Networks) != 1 || len(m.Services) != 3 {
		t.Fatalf("got %v", m)
	}
	for _, s := range m.Services[1:] {
		if a := s.Networks[0]; a.Network != "default" || len(a.Aliases) != 1 || a.Aliases[0] != "worker" {
			t.Errorf("%s is on %v", s.Name, s.Networks)
		}
	}
}

// A service of no network shares none with others, and what is on it leads nowhere.
func TestNoNetwork(t *testing.T) {
	m := mustManifest(t, "services: {web: {image: a, ports: ['80']}, job: {image: b, network_mode: none}}")
	if len(m.Networks) != 2 || m.Networks[1].Name != "none-job" || !m.Networks[1].Internal || m.Networks[0].Internal {
		t.Errorf("networks %v", m.Networks)
	}
	for i, want := range []string{"none-job", "default"} {
		if n := m.Services[i].Networks; len(n) != 1 || n[0].Network != want {
			t.Errorf("%s is on %v, want %s", m.Services[i].Name, n, want)
		}
	}
}
