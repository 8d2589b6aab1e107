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

// statedMemory is what the file says that a service has, or 0.
func (c *serviceCheck) statedMemory() uint64 {
	s := c.f.project.Services[c.name]
	memory := int64(s.MemLimit)
	if s.Deploy != nil && s.Deploy.Resources.Limits != nil {
		memory = max(memory, int64(s.Deploy.Resources.Limits.MemoryBytes))
	}
	if s.Deploy != nil && s.Deploy.Resources.Reservations != nil && memory == 0 {
		memory = int64(s.Deploy.Resources.Reservations.MemoryBytes)
	}
	if memory == 0 {
		memory = int64(s.MemReservation)
	}
	return uint64(max(0, memory))
}

func (c *serviceCheck) resources(s types.ServiceConfig) *manifestv1.Resources {
	r := &manifestv1.Resources{MilliCpu: DefaultMilliCPU, MemoryBytes: DefaultMemoryBytes + c.f.inMemoryBytes(s, c.f.storage[c.name]), EphemeralBytes: DefaultEphemeralBytes}
	cpus, memory, at := s.CPUS, int64(c.statedMemory()), ""
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
	if memory != 0 {
		if memory < manifest.MinMemoryBytes || memory > manifest.MaxBytes {
			c.problem(fmt.Sprintf("%d bytes of memory can't be reserved", memory), "write a size from 4MiB to 1PiB, as in 512m; "+resourcesHint, cmpOr(at, "mem_limit"))
		}
		r.MemoryBytes = uint64(max(0, memory))
	}
	if n, ok := c.f.rootSize[c.name]; ok {
		r.EphemeralBytes = n
	}
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
