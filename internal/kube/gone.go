// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"time"

	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// Gone tells which apps are gone: their objects were positively not there, or ended, at every look for the whole grace. What can't be seen is
// not gone. Only There is safe for concurrent use.
type Gone struct {
	// Apps reads App objects in Namespace.
	Apps      client.Reader
	Namespace string
	Grace     time.Duration

	since map[string]time.Time
}

// CheckKind makes sure that "not found" is about an app: a missing kind answers so for each object too. A list that succeeds shows that the
// kind is there.
func (g *Gone) CheckKind(ctx context.Context) error {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(v1alpha1.SchemeGroupVersion().WithKind("AppList"))
	if err := g.Apps.List(ctx, list, client.InNamespace(g.Namespace), client.Limit(1)); err != nil {
		return fmt.Errorf("listing apps: %w", err)
	}
	return nil
}

// There reports whether an app's object is, and has not ended.
func (g *Gone) There(ctx context.Context, app string) (bool, error) {
	var object v1alpha1.App
	err := g.Apps.Get(ctx, client.ObjectKey{Namespace: g.Namespace, Name: app}, &object)
	if err != nil && !kerrors.IsNotFound(err) {
		return false, fmt.Errorf("reading app %s: %w", app, err)
	}
	return err == nil && object.Status.Phase != v1alpha1.PhaseEnded, nil
}

// Look looks at an app, after CheckKind, and reports whether it is there, or has been gone for the whole grace.
func (g *Gone) Look(ctx context.Context, app string, now time.Time) (there, gone bool, err error) {
	there, err = g.There(ctx, app)
	if err != nil || there {
		// It has to be seen to be gone for the whole grace again.
		delete(g.since, app)
		return there, false, err
	}
	if g.since == nil {
		g.since = map[string]time.Time{}
	}
	since, known := g.since[app]
	if !known {
		g.since[app] = now
		return false, false, nil
	}
	return false, now.Sub(since) >= g.Grace, nil
}

// Forget ends what Look remembers of an app.
func (g *Gone) Forget(app string) { delete(g.since, app) }
