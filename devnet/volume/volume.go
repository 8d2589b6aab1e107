// SPDX-License-Identifier: Apache-2.0

// Package volume provides persistent volumes on one machine whose sizes are enforced: each is an ext4 file system in a sparse file
// on a loop device. The device is detached by the kernel with the last mount, so nothing outlives the mount namespace.
package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// Name is what storage classes call this provisioner.
const Name = "apocryph.network/loop"

// smallest is the smallest file system that ext4 with a journal is any good at.
const smallest = 16 << 20

// Provisioner makes volumes below one folder, for one Kubernetes node.
type Provisioner struct {
	// Dir is where files (NAME.ext4) and mounts (NAME) lie.
	Dir string
	// Node is the only node that can mount them.
	Node string
}

// Provision makes the volume of a claim.
func (p *Provisioner) Provision(ctx context.Context, o controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	request := o.PVC.Spec.Resources.Requests[corev1.ResourceStorage]
	for _, mode := range o.PVC.Spec.AccessModes {
		if mode != corev1.ReadWriteOnce && mode != corev1.ReadWriteOncePod {
			return nil, controller.ProvisioningFinished, fmt.Errorf("access mode %s is not supported", mode)
		}
	}
	if mode := o.PVC.Spec.VolumeMode; mode != nil && *mode != corev1.PersistentVolumeFilesystem {
		return nil, controller.ProvisioningFinished, fmt.Errorf("volume mode %s is not supported", *mode)
	}
	if err := p.create(ctx, o.PVName, max(request.Value(), smallest)); err != nil {
		return nil, controller.ProvisioningFinished, errors.Join(err, p.remove(o.PVName))
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			AccessModes:                   o.PVC.Spec.AccessModes,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: request},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				Local: &corev1.LocalVolumeSource{Path: p.mountPoint(o.PVName)},
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{
					MatchExpressions: []corev1.NodeSelectorRequirement{{
						Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{p.Node},
					}},
				}},
			}},
		},
	}, controller.ProvisioningFinished, nil
}

// Delete removes a volume and its data.
func (p *Provisioner) Delete(_ context.Context, pv *corev1.PersistentVolume) error {
	return p.remove(pv.Name)
}

func (p *Provisioner) file(name string) string       { return filepath.Join(p.Dir, name+".ext4") }
func (p *Provisioner) mountPoint(name string) string { return filepath.Join(p.Dir, name) }

// create makes and mounts a file system. It may be called again for a volume that it half made.
func (p *Provisioner) create(ctx context.Context, name string, size int64) error {
	if err := p.remove(name); err != nil {
		return err
	}
	if err := os.MkdirAll(p.mountPoint(name), 0o700); err != nil {
		return err
	}
	f, err := os.Create(p.file(name))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := f.Truncate(size); err != nil {
		return fmt.Errorf("sizing %s: %w", name, err)
	}
	// No blocks are kept for root: what was paid for can be used.
	out, err := exec.CommandContext(ctx, "mkfs.ext4", "-q", "-m", "0", "-E", "nodiscard", p.file(name)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("formatting %s: %w: %s", name, err, out)
	}
	loop, err := attach(f)
	if err != nil {
		return fmt.Errorf("attaching %s: %w", name, err)
	}
	defer func() { _ = loop.Close() }() // the mount holds the device from now on
	if err := unix.Mount(loop.Name(), p.mountPoint(name), "ext4", unix.MS_NODEV|unix.MS_NOSUID, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", name, err)
	}
	// Programs take a folder with anything in it for one that is theirs already.
	return os.Remove(filepath.Join(p.mountPoint(name), "lost+found"))
}

// remove unmounts and deletes a volume, as far as it exists.
func (p *Provisioner) remove(name string) error {
	err := unix.Unmount(p.mountPoint(name), 0)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) { // not mounted, not there
		return fmt.Errorf("unmounting %s: %w", name, err)
	}
	for _, path := range []string{p.mountPoint(name), p.file(name)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
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
