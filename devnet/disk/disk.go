// SPDX-License-Identifier: Apache-2.0

// Package disk makes file systems whose sizes are enforced: ext4 in a sparse file on a loop device. The device is detached by the kernel
// with the last mount, so nothing outlives the mount namespace.
package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// Mount makes a file system of a size in a new file and mounts it.
func Mount(ctx context.Context, file, dir string, size int64) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := f.Truncate(size); err != nil {
		return fmt.Errorf("sizing %s: %w", file, err)
	}
	// No blocks are kept for root: what was paid for can be used.
	out, err := exec.CommandContext(ctx, "mkfs.ext4", "-q", "-m", "0", "-E", "nodiscard", file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("formatting %s: %w: %s", file, err, out)
	}
	loop, err := attach(f)
	if err != nil {
		return fmt.Errorf("attaching %s: %w", file, err)
	}
	defer func() { _ = loop.Close() }() // the mount holds the device from now on
	if err := unix.Mount(loop.Name(), dir, "ext4", unix.MS_NODEV|unix.MS_NOSUID, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", file, err)
	}
	return nil
}

// Grow makes a mounted file system larger, in use or not. One that is as large already stays as it is, so that it may be repeated.
func Grow(ctx context.Context, file, dir string, size int64) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if info.Size() < size {
		if err := os.Truncate(file, size); err != nil {
			return fmt.Errorf("sizing %s: %w", file, err)
		}
	}
	var mounted unix.Stat_t
	if err := unix.Stat(dir, &mounted); err != nil {
		return fmt.Errorf("finding the device of %s: %w", dir, err)
	}
	loop, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", unix.Minor(mounted.Dev)), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = loop.Close() }()
	if err := unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_SET_CAPACITY, 0); err != nil {
		return fmt.Errorf("growing %s: %w", loop.Name(), err)
	}
	out, err := exec.CommandContext(ctx, "resize2fs", loop.Name()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("growing the file system of %s: %w: %s", file, err, out)
	}
	return nil
}

// attach connects a file to a free loop device that detaches itself when it is closed and no longer mounted.
func attach(f *os.File) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = control.Close() }()
	for {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("finding a loop device: %w", err)
		}
		dev, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		config := unix.LoopConfig{Fd: uint32(f.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
		copy(config.Info.File_name[:len(config.Info.File_name)-1], f.Name())
		err = unix.IoctlLoopConfigure(int(dev.Fd()), &config)
		if err == nil {
			return dev, nil
		}
		_ = dev.Close()
		if !errors.Is(err, unix.EBUSY) { // else somebody was faster
			return nil, fmt.Errorf("configuring %s: %w", dev.Name(), err)
		}
	}
}
