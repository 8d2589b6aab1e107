// SPDX-License-Identifier: Apache-2.0

package appfile_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/apocryph/apocryph/internal/appfile"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

func TestExtendedResources(t *testing.T) {
	service := func(lines string) string { return "services:\n  web:\n    image: web\n    " + lines + "\n" }
	devices := func(list string) string {
		return service("deploy: {resources: {reservations: {devices: " + list + "}}}")
	}
	of := func(name string, n uint64) *manifestv1.Units { return &manifestv1.Units{Resource: name, Count: n} }
	for name, c := range map[string]struct {
		content string
		want    []*manifestv1.Units
		problem string // the one that there is, or none
		remedy  string
	}{
		"none":                        {content: service("cpus: 1")},
		"a GPU of Compose's own form": {content: service("gpus: [{count: 1}]"), want: []*manifestv1.Units{of("nvidia.com/gpu", 1)}},
		"two of a driver":             {content: service("gpus: [{driver: amd, count: 2}]"), want: []*manifestv1.Units{of("amd.com/gpu", 2)}},
		"the long form":               {content: devices("[{driver: nvidia, count: 2, capabilities: [gpu, utility]}]"), want: []*manifestv1.Units{of("nvidia.com/gpu", 2)}},
		"without a driver":            {content: devices("[{count: 1, capabilities: [gpu]}]"), want: []*manifestv1.Units{of("nvidia.com/gpu", 1)}},
		"both forms add up":           {content: service("gpus: [{count: 1}]\n    deploy: {resources: {reservations: {devices: [{count: 2, capabilities: [gpu]}]}}}"), want: []*manifestv1.Units{of("nvidia.com/gpu", 3)}},
		"others by their names": {
			content: service("x-apocryph: {resources: {example.org/fpga: 3, amd.com/gpu: 1}}"), want: []*manifestv1.Units{of("amd.com/gpu", 1), of("example.org/fpga", 3)},
		},

		"all of them":           {content: service("gpus: all"), problem: "compose.yaml:4:5: services.web.gpus", remedy: "count: 1"},
		"all of them in words":  {content: devices("[{count: all, capabilities: [gpu]}]"), problem: "compose.yaml:4:51: services.web.deploy.resources.reservations.devices.0: what is reserved has a number", remedy: "count: 1"},
		"none of a device":      {content: service("gpus: [{count: 0}]"), problem: "compose.yaml:4:12: services.web.gpus.0: what is reserved has a number", remedy: "count: 1"},
		"no number":             {content: devices("[{driver: nvidia, capabilities: [gpu]}]"), problem: "compose.yaml:4:51: services.web.deploy.resources.reservations.devices.0: what is reserved has a number", remedy: "count: 1"},
		"a device by its id":    {content: devices("[{device_ids: ['0'], capabilities: [gpu]}]"), problem: "compose.yaml:4:52: services.web.deploy.resources.reservations.devices.0.device_ids: which device it is", remedy: "count: 1"},
		"an unknown driver":     {content: service("gpus: [{driver: voodoo, count: 1}]"), problem: `compose.yaml:4:13: services.web.gpus.0.driver: no resource is known for driver "voodoo"`, remedy: "x-apocryph: {resources:"},
		"an unknown capability": {content: devices("[{count: 1, capabilities: [tpu]}]"), problem: `compose.yaml:4:62: services.web.deploy.resources.reservations.devices.0.capabilities: no resource is known for capability "tpu"`, remedy: "x-apocryph: {resources:"},
		"options":               {content: devices("[{count: 1, capabilities: [gpu], options: {virtualization: 'true'}}]"), problem: "compose.yaml:4:83: services.web.deploy.resources.reservations.devices.0.options: a device is given whole", remedy: "remove them"},
		"too many":              {content: service("gpus: [{count: 1025}]"), problem: "compose.yaml:2:3: services.web: 1025 of nvidia.com/gpu can't be reserved", remedy: "at most 1024"},
		"a name without domain": {content: service("x-apocryph: {resources: {gpu: 1}}"), problem: "compose.yaml:4:30: services.web.x-apocryph.resources.gpu: no name of an extended resource", remedy: "nvidia.com/gpu"},
		"no number of pieces":   {content: service("x-apocryph: {resources: {a.b/c: some}}"), problem: "compose.yaml:4:30: services.web.x-apocryph.resources.a.b/c: some is no number of pieces", remedy: "from 1 to 1024"},
		"a part of a piece":     {content: service("x-apocryph: {resources: {a.b/c: 0.5}}"), problem: "compose.yaml:4:30: services.web.x-apocryph.resources.a.b/c: 0.5 is no number of pieces", remedy: "from 1 to 1024"},
		"a list of names":       {content: service("x-apocryph: {resources: [a.b/c]}"), problem: "compose.yaml:4:18: services.web.x-apocryph.resources: must be a mapping", remedy: "docs/guide/compose.md"},
		"generic resources":     {content: service("deploy: {resources: {reservations: {generic_resources: [{discrete_resource_spec: {kind: gpu, value: 1}}]}}}"), problem: "compose.yaml:4:41: services.web.deploy.resources.reservations.generic_resources: not supported", remedy: "x-apocryph: {resources:"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.problem == "" {
				m := mustManifest(t, c.content)
				if diff := cmp.Diff(c.want, m.Services[0].Resources.Extended, protocmp.Transform()); diff != "" {
					t.Errorf("extended resources (-want +got):\n%s", diff)
				}
				return
			}
			_, err := appfile.Load(t.Context(), source(c.content))
			var ps appfile.Problems
			if !errors.As(err, &ps) || len(ps) != 1 {
				t.Fatalf("got %v, want one problem", err)
			}
			if got := ps[0]; !strings.HasPrefix(got.String(), c.problem) || !strings.Contains(got.Remedy, c.remedy) {
				t.Errorf("got  %s → %s\nwant %s → %s", got, got.Remedy, c.problem, c.remedy)
			}
		})
	}
}

func TestEgress(t *testing.T) {
	file := func(own string) string {
		return "services: {web: {image: web}}\nx-apocryph: {egress: " + own + "}\n"
	}
	for text, want := range map[string]uint64{"1MiB": 1 << 20, "300": 300, "1g": 1 << 30} {
		if got := mustManifest(t, file(text)).EgressBytesPerSecond; got != want {
			t.Errorf("%s is %d bytes a second", text, got)
		}
	}
	for _, text := range []string{"fast", "0", "-1", "2TiB", "", "[1]"} {
		if _, err := appfile.Load(t.Context(), source(file(text))); err == nil || !strings.HasPrefix(err.Error(), "compose.yaml:2:14: x-apocryph.egress: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if got := mustManifest(t, "services: {web: {image: web}}").EgressBytesPerSecond; got != 0 {
		t.Errorf("without a word it is %d", got)
	}
}
