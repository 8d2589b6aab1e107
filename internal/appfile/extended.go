// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/go-units"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/usage"
)

const (
	nvidiaGPU = "nvidia.com/gpu"
	amdGPU    = "amd.com/gpu"
	countHint = "say how many: count: 1"
	otherHint = "name it as the provider's price list does: x-apocryph: {resources: {amd.com/gpu: 1}} in the service"
)

// resourceOf is the resource that a device driver of Compose stands for; empty for one that is not known.
func resourceOf(driver string) string {
	switch driver {
	case "", "nvidia":
		return nvidiaGPU
	case "amd":
		return amdGPU
	}
	return ""
}

// capabilities of a GPU, as Compose names them: a service that has one has all of them.
func isGPUCapability(name string) bool {
	return slices.Contains([]string{"gpu", "nvidia", "amd", "compute", "compat32", "graphics", "utility", "video", "display"}, name)
}

// extended are the pieces of extended resources that a service reserves, by what Compose says of GPUs and what x-apocryph says of all.
func (c *serviceCheck) extended(s types.ServiceConfig) []*manifestv1.Units {
	wanted := maps.Clone(c.f.pieces[c.name])
	if wanted == nil {
		wanted = map[string]uint64{}
	}
	for i, d := range s.Gpus {
		c.device(wanted, d, "gpus", strconv.Itoa(i))
	}
	if s.Deploy != nil && s.Deploy.Resources.Reservations != nil {
		for i, d := range s.Deploy.Resources.Reservations.Devices {
			c.device(wanted, d, "deploy", "resources", "reservations", "devices", strconv.Itoa(i))
		}
	}
	var all []*manifestv1.Units
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if wanted[name] > manifest.MaxUnits {
			c.problem(fmt.Sprintf("%d of %s can't be reserved", wanted[name], name), fmt.Sprintf("ask for at most %d", manifest.MaxUnits))
		}
		all = append(all, &manifestv1.Units{Resource: name, Count: wanted[name]})
	}
	if len(all) > manifest.MaxExtended {
		c.problem(fmt.Sprintf("%d kinds of devices can't be reserved", len(all)), fmt.Sprintf("ask for at most %d", manifest.MaxExtended))
	}
	return all
}

// device adds one of Compose's device requests.
func (c *serviceCheck) device(wanted map[string]uint64, d types.DeviceRequest, at ...string) {
	name := resourceOf(d.Driver)
	switch i := slices.IndexFunc(d.Capabilities, func(k string) bool { return !isGPUCapability(k) }); {
	case name == "":
		c.problem(fmt.Sprintf("no resource is known for driver %q", d.Driver), otherHint, append(at, "driver")...)
	case i >= 0:
		c.problem(fmt.Sprintf("no resource is known for capability %q", d.Capabilities[i]), otherHint, append(at, "capabilities")...)
	case len(d.IDs) > 0:
		c.problem("which device it is is for the provider's machine to say", countHint, append(at, "device_ids")...)
	case len(d.Options) > 0:
		c.problem("a device is given whole, and with no options", "remove them", append(at, "options")...)
	case d.Count <= 0: // all of them, which is also what no number means
		c.problem("what is reserved has a number, and all of them has none", countHint, at...)
	default:
		wanted[name] += uint64(d.Count)
	}
}

// readPieces reads x-apocryph.resources of a service.
func (f *File) readPieces(service string, v any) Problems {
	path := []string{"services", service, extension, "resources"}
	own, ps := f.ownMap(path[:3], v)
	if len(ps) > 0 || own["resources"] == nil {
		return ps
	}
	all, ps := f.ownMap(path, own["resources"])
	for _, name := range slices.Sorted(maps.Keys(all)) {
		n, err := strconv.ParseUint(fmt.Sprint(all[name]), 10, 64)
		switch at := append(slices.Clip(path), name); {
		case !usage.IsExtended(name):
			ps = append(ps, f.doc.problem(at, "no name of an extended resource", "write it as Kubernetes and the provider's price list do, as in nvidia.com/gpu"))
		case err != nil || n < 1 || n > manifest.MaxUnits:
			ps = append(ps, f.doc.problem(at, fmt.Sprintf("%v is no number of pieces", all[name]), fmt.Sprintf("write a whole number from 1 to %d", manifest.MaxUnits)))
		default:
			if f.pieces[service] == nil {
				f.pieces[service] = map[string]uint64{}
			}
			f.pieces[service][name] = n
		}
	}
	return ps
}

// readEgress reads x-apocryph.egress.
func (f *File) readEgress(v any) Problems {
	n, err := units.RAMInBytes(fmt.Sprint(v))
	if err != nil || n < 1 || n > manifest.MaxEgress {
		return Problems{f.doc.problem([]string{extension, "egress"}, fmt.Sprintf("%v is no size", cmp.Or(v, any("nothing"))), "write bytes per second, as in 1MiB")}
	}
	f.egress = uint64(n)
	return nil
}
