// SPDX-License-Identifier: Apache-2.0

// Package disk makes file systems whose sizes are enforced: ext4 in a sparse file on a loop device. The device is detached by the kernel
// with the last mount, so nothing outlives the mount namespace.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

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
	return mount(f, dir)
}

func mount(f *os.File, dir string) error {
	loop, err := attach(f)
	if err != nil {
		return fmt.Errorf("attaching %s: %w", f.Name(), err)
	}
	defer func() { _ = loop.Close() }() // the mount holds the device from now on
	if err := unix.Mount(loop.Name(), dir, "ext4", unix.MS_NODEV|unix.MS_NOSUID, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", f.Name(), err)
	}
	return nil
}

// ErrInUse says that a file system can't grow while it is used: the kernel lets only those with CAP_SYS_RESOURCE do that.
var ErrInUse = errors.New("the file system is in use, and this machine grows it only when it is not")

// Grow makes a file system larger: at once where the kernel allows it, else when nothing but its own mount uses it, and ErrInUse until then.
// One that is as large already stays as it is. It may be repeated, after a crash at any point, too.
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
	mounts, device, err := mountsOf(dir)
	if err != nil {
		return err
	}
	switch {
	case mounts > 0 && mayGrowOnline():
		return growOnline(ctx, device)
	case mounts > 1:
		return fmt.Errorf("growing %s: %w", file, ErrInUse)
	case mounts == 1:
		if err := release(ctx, device, dir); err != nil {
			return fmt.Errorf("growing %s: %w", file, err)
		}
	}
	return growOffline(ctx, file, dir)
}

// mayGrowOnline reports whether the kernel lets this process grow an ext4 that is mounted.
func mayGrowOnline() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	return unix.Capget(&header, &sets[0]) == nil && sets[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0
}

// release unmounts a file system that nobody else uses. If somebody does where it can't be seen from here, it is mounted again, and in use.
func release(ctx context.Context, device, dir string) error {
	if err := unix.Unmount(dir, 0); err != nil {
		return fmt.Errorf("%w: %w", ErrInUse, err)
	}
	const looks, pause = 20, 50 * time.Millisecond
	for range looks {
		// The kernel detaches the device with its last mount, a moment later.
		if _, err := os.Stat(filepath.Join("/sys/block", filepath.Base(device), "loop")); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return errors.Join(ErrInUse, unix.Mount(device, dir, "ext4", unix.MS_NODEV|unix.MS_NOSUID, ""))
}

func growOnline(ctx context.Context, device string) error {
	loop, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = loop.Close() }()
	if err := unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_SET_CAPACITY, 0); err != nil {
		return fmt.Errorf("growing %s: %w", device, err)
	}
	return run(ctx, "resize2fs", device)
}

// growOffline grows what is not mounted, and mounts it again, also if it did not grow. Meanwhile its directory is away, so that nobody takes
// it for an empty volume.
func growOffline(ctx context.Context, file, dir string) error {
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Under another name until it is there, as it may be since a crash.
	aside := dir + ".growing"
	if n, device, err := mountsOf(aside); err != nil || n > 0 {
		if err := errors.Join(err, release(ctx, device, aside)); err != nil {
			return err
		}
	}
	if err := os.Mkdir(aside, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	grown := run(ctx, "e2fsck", "-fp", file)
	if grown == nil {
		grown = run(ctx, "resize2fs", file)
	}
	return errors.Join(grown, mountThrough(file, aside, dir))
}

// mountThrough mounts a file system in one directory, and then, whole, in another.
func mountThrough(file, aside, dir string) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := mount(f, aside); err != nil {
		return err
	}
	// What checks a file system makes it; programs take a folder with anything in it for one that is theirs already.
	_ = os.Remove(filepath.Join(aside, "lost+found"))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := unix.Mount(aside, dir, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return errors.Join(unix.Unmount(aside, 0), os.Remove(aside))
}

func run(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	// e2fsck says with 1 that it found something to put right, and did.
	if exit := new(exec.ExitError); name == "e2fsck" && errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// mountsOf returns how often the file system at a directory is mounted, as far as is to be seen from here, and its device; 0 if none is.
func mountsOf(dir string) (int, string, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return 0, "", err
	}
	const number, place = 2, 4
	count, id := map[string]int{}, ""
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) <= place {
			continue
		}
		count[fields[number]]++
		if fields[place] == dir {
			id = fields[number]
		}
	}
	if id == "" {
		return 0, "", nil
	}
	_, minor, _ := strings.Cut(id, ":")
	return count[id], "/dev/loop" + minor, nil
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
