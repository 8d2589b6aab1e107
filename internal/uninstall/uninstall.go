// SPDX-License-Identifier: Apache-2.0

// Package uninstall ends everything that a provider runs, so that its software can be taken away and leaves neither money nor finalizers
// behind.
//
// It closes the front door, so that no order comes meanwhile, and deletes the App objects; the other services end and settle each as ever,
// the last voucher first and the namespace last. It only waits for them: it takes no finalizer off itself and never deletes what is not
// settled, so whatever goes wrong leaves everything as it is, to be run again.
package uninstall

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/span"
)

// ErrLeft says that something of an app is still there. What and why is in the error's text.
var ErrLeft = errors.New("not everything is settled and gone")

// frontDoor is the Deployment through which orders come.
const frontDoor = "gateway"

const look = time.Second

// Uninstaller ends the apps of one system namespace. One runs at a time; a second one does no harm.
type Uninstaller struct {
	// Client acts as the provider's admin.
	Client client.Client
	// Namespace is the system namespace.
	Namespace string
	// Say tells a person what happens, a line each time.
	Say func(line string)
	// Wait returns after a while, or with the error of ctx. Nil means a second.
	Wait func(ctx context.Context) error
}

// Run returns nil when no App, and nothing made for one, is left. When ctx ends before that it returns ErrLeft.
func (u *Uninstaller) Run(ctx context.Context) error {
	if err := u.closeDoor(ctx); err != nil {
		return err
	}
	told := map[string]string{}
	for {
		var apps v1alpha1.AppList
		if err := u.Client.List(ctx, &apps, client.InNamespace(u.Namespace)); err != nil {
			return fmt.Errorf("listing apps: %w", err)
		}
		if len(apps.Items) == 0 {
			break
		}
		if err := u.end(ctx, apps.Items, told); err != nil {
			return err
		}
		if err := u.wait(ctx); err != nil {
			return fault.Hint(fmt.Errorf("%w: %s", ErrLeft, strings.Join(waiting(apps.Items), "; ")),
				"nothing was forced: when the cause is gone, run the same command again")
		}
	}
	return u.leftovers(ctx)
}

// closeDoor scales the gateway to zero: apps go on, publishers can't reach it.
func (u *Uninstaller) closeDoor(ctx context.Context) error {
	var door appsv1.Deployment
	err := u.Client.Get(ctx, client.ObjectKey{Namespace: u.Namespace, Name: frontDoor}, &door)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for the gateway: %w", err)
	}
	if door.Spec.Replicas != nil && *door.Spec.Replicas == 0 {
		return nil
	}
	patch := client.MergeFrom(door.DeepCopy())
	none := int32(0)
	door.Spec.Replicas = &none
	if err := u.Client.Patch(ctx, &door, patch); err != nil {
		return fmt.Errorf("scaling the gateway to zero: %w", err)
	}
	u.Say("no orders are taken any more (the gateway is scaled to zero)")
	return nil
}

// end deletes Apps that are not being deleted, and tells how far each is.
func (u *Uninstaller) end(ctx context.Context, apps []v1alpha1.App, told map[string]string) error {
	for i := range apps {
		app := &apps[i]
		if app.DeletionTimestamp.IsZero() {
			uid := app.GetUID()
			if err := u.Client.Delete(ctx, app, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
				return fmt.Errorf("deleting app %s: %w", app.Name, err)
			}
		}
		if line := progress(app); told[app.Name] != line {
			told[app.Name] = line
			u.Say(line)
		}
	}
	return nil
}

// progress is one line about an app that ends.
func progress(app *v1alpha1.App) string {
	line := fmt.Sprintf("app %s (%s): ", app.Name, app.Spec.Name)
	if c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionSettled); c != nil {
		return line + strings.ToLower(c.Reason) + ", " + c.Message
	}
	if app.Status.EndReason != "" {
		return line + "ending"
	}
	return line + "asked to end"
}

func waiting(apps []v1alpha1.App) []string {
	var lines []string
	for i := range apps {
		lines = append(lines, progress(&apps[i]))
	}
	return lines
}

// leftovers returns ErrLeft if there is still a namespace of an app, or something anywhere that our finalizer holds.
func (u *Uninstaller) leftovers(ctx context.Context) error {
	var namespaces corev1.NamespaceList
	var pods corev1.PodList
	var claims corev1.PersistentVolumeClaimList
	for _, list := range []client.ObjectList{&namespaces, &pods, &claims} {
		if err := u.Client.List(ctx, list, client.HasLabels{v1alpha1.LabelApp}); err != nil {
			return fmt.Errorf("looking for leftovers: %w", err)
		}
	}
	var left []string
	for _, ns := range namespaces.Items {
		left = append(left, "namespace "+ns.Name)
	}
	for _, p := range pods.Items {
		left = append(left, held("pod", &p)...)
	}
	for _, c := range claims.Items {
		left = append(left, held("volume", &c)...)
	}
	if len(left) > 0 {
		return fault.Hint(fmt.Errorf("%w: %s", ErrLeft, strings.Join(left, ", ")), "no App speaks for these; look at them before deleting them by hand")
	}
	return nil
}

func held(what string, obj client.Object) []string {
	if !slices.Contains(obj.GetFinalizers(), v1alpha1.FinalizerMeter) {
		return nil
	}
	return []string{what + " " + obj.GetNamespace() + "/" + obj.GetName()}
}

func (u *Uninstaller) wait(ctx context.Context) error {
	if u.Wait != nil {
		return u.Wait(ctx)
	}
	return span.Wait(ctx, look)
}
