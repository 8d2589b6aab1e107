// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// files holds what one service mounts of the manifest's files; nil when that is nothing. It never changes: other content has another
// name, so what runs of an older version, and comes back after a crash, finds its own.
//
// It is no Secret, because it is none: the manifest, which it is part of, lies beside it in the App. So the controller needs no right to
// any Secret, and no pod of an app may mount one.
func (d *desired) files(s *manifestv1.Service) *corev1.ConfigMap {
	if len(s.GetFiles()) == 0 {
		return nil
	}
	content := map[string][]byte{}
	for _, f := range s.GetFiles() {
		content[f.GetFile()] = d.file(f.GetFile())
	}
	h := sha256.New()
	hashFiles(h, content)
	// A dot keeps it apart from everything that is named for a service or volume alone.
	meta := d.meta(s.GetName() + ".files." + hex.EncodeToString(h.Sum(nil)[:8]))
	meta.Labels[v1alpha1.LabelService] = s.GetName()
	return &corev1.ConfigMap{TypeMeta: kind("v1", "ConfigMap"), ObjectMeta: meta, BinaryData: content, Immutable: new(true)}
}

func (d *desired) file(name string) []byte {
	for _, f := range d.manifest.GetFiles() {
		if f.GetName() == name {
			return f.GetContent()
		}
	}
	return nil
}

// hashFiles writes names and content so that no two sets look the same.
func hashFiles(h io.Writer, content map[string][]byte) {
	var names []string
	for name := range content {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, b := range [][]byte{[]byte(name), content[name]} {
			_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
			_, _ = h.Write(b)
		}
	}
}

// mountFiles mounts each file at its path, with its mode. A file that is mounted twice may have two modes, so each mount has a copy.
func (d *desired) mountFiles(spec *corev1.PodSpec, s *manifestv1.Service) {
	c := d.files(s)
	if c == nil {
		return
	}
	source := &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: c.Name}}
	var mounts []corev1.VolumeMount
	for i, f := range s.GetFiles() {
		copied := strconv.Itoa(i)
		source.Items = append(source.Items, corev1.KeyToPath{Key: f.GetFile(), Path: copied, Mode: new(int32(f.GetMode()))})
		mounts = append(mounts, corev1.VolumeMount{MountPath: f.GetPath(), SubPath: copied, ReadOnly: true})
	}
	addVolume(spec, "files", corev1.VolumeSource{ConfigMap: source}, mounts...)
}

// mounts reports whether obj is a ConfigMap that a pod, or what may still make one, mounts.
func (o *observed) mounts(obj client.Object) bool {
	if _, ok := obj.(*corev1.ConfigMap); !ok {
		return false
	}
	var specs []corev1.PodSpec
	for _, d := range o.deployments {
		specs = append(specs, d.Spec.Template.Spec)
	}
	for _, rs := range o.replicaSets {
		if replicas(rs.Spec.Replicas) > 0 || rs.Status.Replicas > 0 {
			specs = append(specs, rs.Spec.Template.Spec)
		}
	}
	for i := range o.deployments {
		if last := o.fallback(&o.deployments[i]); last != nil {
			specs = append(specs, last.Spec.Template.Spec)
		}
	}
	for _, j := range o.jobs {
		specs = append(specs, j.Spec.Template.Spec)
	}
	for _, p := range o.pods {
		specs = append(specs, p.Spec)
	}
	return slices.ContainsFunc(specs, func(s corev1.PodSpec) bool {
		return slices.ContainsFunc(s.Volumes, func(v corev1.Volume) bool { return v.ConfigMap != nil && v.ConfigMap.Name == obj.GetName() })
	})
}
