// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/apocryph/apocryph/devnet/disk"
)

// again is how soon a volume in use is looked at again: between two pods of a service that restarts it is free for about a second.
const again = 300 * time.Millisecond

// Grower gives volumes the larger sizes that their claims come to ask for: while they are in use where the kernel allows that, else when
// nobody uses them next. Kubernetes leaves that to whoever made them.
type Grower struct {
	Provisioner *Provisioner
	Client      kubernetes.Interface
	Log         *slog.Logger
}

// Run grows volumes until ctx ends.
func (g *Grower) Run(ctx context.Context) {
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[types.NamespacedName]())
	claims := cache.NewListWatchFromClient(g.Client.CoreV1().RESTClient(), "persistentvolumeclaims", metav1.NamespaceAll, fields.Everything())
	add := func(obj any) {
		if c, ok := obj.(*corev1.PersistentVolumeClaim); ok && wants(c) {
			queue.Add(types.NamespacedName{Namespace: c.Namespace, Name: c.Name})
		}
	}
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: claims, ObjectType: &corev1.PersistentVolumeClaim{}, ResyncPeriod: time.Minute,
		Handler: cache.ResourceEventHandlerFuncs{AddFunc: add, UpdateFunc: func(_, obj any) { add(obj) }},
	})
	go informer.RunWithContext(ctx)
	go func() {
		<-ctx.Done()
		queue.ShutDown()
	}()
	waiting := map[types.NamespacedName]bool{}
	for {
		key, down := queue.Get()
		if down {
			return
		}
		switch err := g.grow(ctx, key); {
		case errors.Is(err, disk.ErrInUse):
			if !waiting[key] {
				g.Log.InfoContext(ctx, "volume grows once nobody uses it", "claim", key)
			}
			waiting[key] = true
			queue.AddAfter(key, again)
		case err != nil:
			g.Log.ErrorContext(ctx, "volume does not grow", "claim", key, "error", err)
			queue.AddRateLimited(key)
		default:
			delete(waiting, key)
			queue.Forget(key)
		}
		queue.Done(key)
	}
}

// wants reports whether a claim asks for more than it has.
func wants(c *corev1.PersistentVolumeClaim) bool {
	return c.Status.Phase == corev1.ClaimBound && c.DeletionTimestamp.IsZero() &&
		c.Spec.Resources.Requests.Storage().Cmp(*c.Status.Capacity.Storage()) > 0
}

// grow makes the file system larger, then says so of the volume, then of the claim: what is said is there.
func (g *Grower) grow(ctx context.Context, key types.NamespacedName) error {
	core := g.Client.CoreV1()
	c, err := core.PersistentVolumeClaims(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if err != nil || !wants(c) {
		return err
	}
	pv, err := core.PersistentVolumes().Get(ctx, c.Spec.VolumeName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if pv.Annotations["pv.kubernetes.io/provisioned-by"] != Name {
		return nil
	}
	size := c.Spec.Resources.Requests.Storage()
	if err := disk.Grow(ctx, g.Provisioner.file(pv.Name), g.Provisioner.mountPoint(pv.Name), max(size.Value(), smallest)); err != nil {
		return err
	}
	capacity := corev1.ResourceList{corev1.ResourceStorage: *size}
	of, err := json.Marshal(map[string]any{"spec": map[string]any{"capacity": capacity}})
	if err != nil {
		return err
	}
	if _, err := core.PersistentVolumes().Patch(ctx, pv.Name, types.MergePatchType, of, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("saying that %s has %s: %w", pv.Name, size, err)
	}
	of, err = json.Marshal(map[string]any{"status": map[string]any{"capacity": capacity, "conditions": nil}})
	if err != nil {
		return err
	}
	if _, err := core.PersistentVolumeClaims(key.Namespace).Patch(ctx, key.Name, types.MergePatchType, of, metav1.PatchOptions{}, "status"); err != nil {
		return fmt.Errorf("saying that %s has %s: %w", key, size, err)
	}
	g.Log.InfoContext(ctx, "volume has grown", "claim", key, "size", size.String())
	return nil
}
