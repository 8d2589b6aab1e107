// SPDX-License-Identifier: Apache-2.0

// Package volume provides persistent volumes on one machine whose sizes are enforced: each is a disk (package disk) of its own.
package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"

	"github.com/apocryph/apocryph/devnet/disk"
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
	if err := disk.Mount(ctx, p.file(name), p.mountPoint(name), size); err != nil {
		return fmt.Errorf("making %s: %w", name, err)
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
