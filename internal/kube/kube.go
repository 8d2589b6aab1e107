// SPDX-License-Identifier: Apache-2.0

// Package kube is how the provider's services reach the Kubernetes API, and how they prove to each other who they are.
//
// The services meet in App and Usage objects; the few calls between them carry the caller's own service-account token of an audience
// that only the callee accepts, checked with the API server. A token is read from its projected file for every use that needs it, so
// its rotation needs nobody's help, and is never logged.
package kube

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgo "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// ErrNoStatus says that an object given to ApplyStatus has none.
var ErrNoStatus = errors.New("object has no status")

// Requests per second and at once; the API server's own fairness is what limits beyond that.
const (
	qps   = 100
	burst = 200
)

// Config returns how to reach the cluster that a kubeconfig file names; empty means the one that this process runs in.
func Config(kubeconfig string) (*rest.Config, error) {
	cfg, err := load(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("configuring the Kubernetes client: %w", err)
	}
	cfg.QPS, cfg.Burst = qps, burst
	// Warnings are for people at a terminal: that a tenant's pod is not within the strictest profile is no news here.
	cfg.WarningHandlerWithContext = rest.NoWarnings{}
	return cfg, nil
}

func load(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		return rest.InClusterConfig()
	}
	return clientcmd.BuildConfigFromFlags("", kubeconfig)
}

// Scheme returns a new scheme with Kubernetes' own kinds and App and Usage.
func Scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	// Neither fails: both only register types that don't collide, and the tests would see it.
	utilruntime.Must(clientgo.AddToScheme(s))
	utilruntime.Must(v1alpha1.AddToScheme(s))
	return s
}

// Client returns a client that reads from the API server itself, without a cache.
func Client(cfg *rest.Config) (client.WithWatch, error) {
	c, err := client.NewWithWatch(cfg, client.Options{Scheme: Scheme()})
	if err != nil {
		return nil, fmt.Errorf("making the Kubernetes client: %w", err)
	}
	return c, nil
}

// ApplyStatus applies obj's status by server-side apply as owner, who takes over the fields it sets and gives up those that it set
// before and leaves out now. Of obj only name, namespace and status count; empty lists and objects directly below status count as
// left out. With a resource version it is applied only to the object as it was then, and conflicts otherwise. It returns ErrNoStatus for an
// object whose status is empty.
func ApplyStatus(ctx context.Context, c client.Client, obj client.Object, owner string) error {
	u, err := statusOnly(c, obj)
	if err != nil {
		return fmt.Errorf("applying the status of %s: %w", client.ObjectKeyFromObject(obj), err)
	}
	err = c.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(owner), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("applying the status of %s: %w", client.ObjectKeyFromObject(obj), err)
	}
	return nil
}

// statusOnly strips obj of what an apply would otherwise claim: spec, labels.
func statusOnly(c client.Client, obj client.Object) (*unstructured.Unstructured, error) {
	gvk, err := apiutil.GVKForObject(obj, c.Scheme())
	if err != nil {
		return nil, err
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, err
	}
	status, _, err := unstructured.NestedMap(content, "status")
	if err != nil {
		return nil, err
	}
	for k, v := range status {
		if empty(v) {
			delete(status, k)
		}
	}
	if len(status) == 0 {
		return nil, ErrNoStatus
	}
	u := &unstructured.Unstructured{Object: map[string]any{"status": status}}
	u.SetGroupVersionKind(gvk)
	u.SetNamespace(obj.GetNamespace())
	u.SetName(obj.GetName())
	if v := obj.GetResourceVersion(); v != "" {
		u.SetResourceVersion(v)
	}
	return u, nil
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}
