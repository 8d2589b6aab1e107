// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/delegation"
)

const (
	system = "apocryph-system"
	// machines is how many kwok plays.
	machines = 50
	// hands is how many requests the driver has under way at a time.
	hands = 12
	// every is which apps' bills are checked: one of so many.
	every = 10
	// checked is the label of their pods.
	checked = "bench.apocryph.network/checked"

	// What a pod reserves.
	milliCPU    = 125
	memoryBytes = 64 << 20
)

// tenant is an app.
type tenant struct {
	name    string
	checked bool
}

func (t tenant) namespace() string { return v1alpha1.Namespace(t.name) }

// world is what the driver makes.
type world struct {
	*plane
	tenants []tenant
	made    atomic.Int64
}

// newWorld makes machines and apps: for each what the controller makes before its first pod.
func newWorld(ctx context.Context, p *plane, first, apps int) (*world, error) {
	w := &world{plane: p}
	if first == 0 {
		for n := range machines {
			if err := w.objects.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: machine(n)}}); err != nil {
				return nil, err
			}
		}
	}
	for n := range apps {
		var id delegation.AppID
		binary.BigEndian.PutUint64(id[:], uint64(first+n)+1)
		w.tenants = append(w.tenants, tenant{name: id.String(), checked: n%every == 0})
	}
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(hands)
	for _, t := range w.tenants {
		all.Go(func() error { return w.settle(ctx, t) })
	}
	return w, all.Wait()
}

func machine(n int) string { return fmt.Sprintf("machine-%d", n%machines) }

// settle makes an app's objects. Its namespace lacks the label by which policies for pods choose: those are about the controller's pods, and the
// scheduler's, and there is neither.
func (w *world) settle(ctx context.Context, t tenant) error {
	ns := t.namespace()
	hex := func(n int) string { return "0x" + strings.Repeat("1", n) }
	for _, obj := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "default"}},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "meter"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "apocryph-tenant-meter"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: system, Name: "meter"}},
		},
		&v1alpha1.App{
			ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: t.name, Finalizers: []string{v1alpha1.FinalizerApp}},
			Spec: v1alpha1.AppSpec{
				Name: "app", Publisher: hex(40), Provider: hex(40), Salt: hex(64), Channel: hex(64), ManifestHash: hex(64)[2:],
				Manifest: make([]byte, 2000), Statement: make([]byte, 300), Terms: make([]byte, 300), Quote: make([]byte, 600),
			},
		},
	} {
		if err := w.objects.Create(ctx, obj); err != nil {
			return fmt.Errorf("making an app: %w", err)
		}
	}
	return nil
}

// start makes a pod of an app and returns its name.
func (w *world) start(ctx context.Context, t tenant) (string, error) {
	n := w.made.Add(1)
	labels := map[string]string{v1alpha1.LabelService: "web", v1alpha1.LabelApp: t.name}
	if t.checked {
		labels[checked] = "true"
	}
	requests := corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewMilliQuantity(milliCPU, resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(memoryBytes, resource.BinarySI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(memoryBytes, resource.BinarySI),
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: t.namespace(), Name: fmt.Sprintf("web-%08d", n), Labels: labels, Finalizers: []string{v1alpha1.FinalizerMeter},
		},
		Spec: corev1.PodSpec{
			NodeName: machine(int(n)), AutomountServiceAccountToken: new(false), EnableServiceLinks: new(false),
			TerminationGracePeriodSeconds: new(int64(0)), // there is nobody who would end it by and by
			Containers: []corev1.Container{{
				Name: "web", Image: "localhost:5100/" + t.name + "/web@sha256:" + strings.Repeat("0", 64),
				Env:       []corev1.EnvVar{{Name: "DATABASE_URL", Value: "postgres://web@db:5432/web"}, {Name: "PORT", Value: "8080"}},
				Ports:     []corev1.ContainerPort{{ContainerPort: 8080}},
				Resources: corev1.ResourceRequirements{Requests: requests, Limits: requests},
			}},
		},
	}
	if _, err := w.cluster.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return "", fmt.Errorf("starting a pod: %w", err)
	}
	return pod.Name, nil
}

// end orders a pod's deletion.
func (w *world) end(ctx context.Context, t tenant, name string) error {
	if err := w.cluster.CoreV1().Pods(t.namespace()).Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("ending a pod: %w", err)
	}
	return nil
}
