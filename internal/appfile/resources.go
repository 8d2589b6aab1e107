// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"fmt"
	"math/big"
	"strconv"

	"github.com/compose-spec/compose-go/v2/types"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// memoryLimit is the most memory that the file gives a service, or 0.
func (c *serviceCheck) memoryLimit() uint64 {
	s := c.f.project.Services[c.name]
	memory := int64(s.MemLimit)
	if s.Deploy != nil && s.Deploy.Resources.Limits != nil {
		memory = max(memory, int64(s.Deploy.Resources.Limits.MemoryBytes))
	}
	return uint64(max(0, memory))
}

// memorySize is what a service has, and whether the file says so. A reservation is what a service needs at least and says nothing of the most,
// so it can only raise the default.
func (c *serviceCheck) memorySize() (size uint64, stated bool) {
	if limit := c.memoryLimit(); limit > 0 {
		return limit, true
	}
	s := c.f.project.Services[c.name]
	least := int64(s.MemReservation)
	if s.Deploy != nil && s.Deploy.Resources.Reservations != nil {
		least = max(least, int64(s.Deploy.Resources.Reservations.MemoryBytes))
	}
	usual := DefaultMemoryBytes + c.f.inMemoryBytes(s, c.f.storage[c.name])
	return max(usual, uint64(max(0, least))), least >= int64(usual)
}

// StatesMemory reports of each service, by its name in the manifest, whether the file says how much memory it has.
func (f *File) StatesMemory() map[string]bool {
	stated := map[string]bool{}
	for _, name := range f.serviceNames() {
		_, said := (&serviceCheck{f: f, name: name}).memorySize()
		for _, copied := range f.copyNames(name) {
			stated[copied] = said
		}
	}
	return stated
}

func (c *serviceCheck) resources(s types.ServiceConfig) *manifestv1.Resources {
	memory, _ := c.memorySize()
	r := &manifestv1.Resources{MilliCpu: DefaultMilliCPU, MemoryBytes: memory, EphemeralBytes: DefaultEphemeralBytes}
	cpus, at := s.CPUS, ""
	if s.Deploy != nil && s.Deploy.Resources.Limits != nil {
		cpus = max(cpus, float32(s.Deploy.Resources.Limits.NanoCPUs))
		at = "deploy"
	}
	if s.Deploy != nil && s.Deploy.Resources.Reservations != nil {
		if cpus == 0 {
			cpus = float32(s.Deploy.Resources.Reservations.NanoCPUs)
		}
		at = "deploy"
	}
	if cpus != 0 {
		n, ok := milliCPU(cpus)
		if !ok {
			c.problem(fmt.Sprintf("%v CPUs can't be reserved", cpus), fmt.Sprintf("write a number from 0.001 to %d; %s", manifest.MaxMilliCPU/1000, resourcesHint), cmpOr(at, "cpus"))
		}
		r.MilliCpu = n
	}
	if memory < manifest.MinMemoryBytes || memory > manifest.MaxBytes {
		c.problem(fmt.Sprintf("%d bytes of memory can't be reserved", memory), "write a size from 4MiB to 1PiB, as in 512m; "+resourcesHint, cmpOr(at, "mem_limit"))
	}
	if n, ok := c.f.rootSize[c.name]; ok {
		r.EphemeralBytes = n
	}
	r.Extended = c.extended(s)
	return r
}

// milliCPU rounds up to thousandths, from the shortest decimal that the loader's 32-bit number stands for.
func milliCPU(cpus float32) (uint64, bool) {
	exact, ok := new(big.Rat).SetString(strconv.FormatFloat(float64(cpus), 'f', -1, 32))
	if !ok || exact.Sign() <= 0 {
		return 0, false
	}
	exact.Mul(exact, big.NewRat(1000, 1))
	q, r := new(big.Int).QuoRem(exact.Num(), exact.Denom(), new(big.Int))
	if r.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return q.Uint64(), q.IsUint64() && q.Uint64() <= manifest.MaxMilliCPU
}
