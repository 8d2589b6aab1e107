// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// VolumeReport is how much a volume took.
type VolumeReport struct {
	// Taken bytes were stored before it refused; without Refused, all Tried of them.
	Taken   int64  `json:"taken"`
	Tried   int64  `json:"tried"`
	Refused bool   `json:"refused"`
	Error   string `json:"error,omitempty"`
}

// step is how much is stored at a time, and so how exact Taken is.
const step = 1 << 20

// Volume stores up to most bytes in a directory until it is refused for want of space, then removes them. Blocks are allocated rather than
// written where the file system can: a class whose least volume is large is not made to write it all.
func Volume(dir string, most int64) VolumeReport {
	f, err := os.CreateTemp(dir, "probe")
	if err != nil {
		return VolumeReport{Tried: most, Error: short(err)}
	}
	defer func() { _ = errors.Join(f.Close(), os.Remove(f.Name())) }()
	return fill(most, func(from, n int64) error {
		err := allocate(f.Fd(), from, n)
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		if _, err := f.WriteAt(make([]byte, n), from); err != nil {
			return err
		}
		return f.Sync() // or the cache would take what the disk does not
	})
}

func fill(most int64, store func(from, n int64) error) VolumeReport {
	r := VolumeReport{Tried: most}
	for r.Taken < most {
		n := min(step, most-r.Taken)
		err := store(r.Taken, n)
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			r.Refused = true
			return r
		}
		if err != nil {
			r.Error = short(fmt.Errorf("storing: %w", err))
			return r
		}
		r.Taken += n
	}
	return r
}
