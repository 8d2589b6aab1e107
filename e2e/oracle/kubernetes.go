// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// retryEvery is how soon the API server is asked again after it broke off.
const retryEvery = 100 * time.Millisecond

// kubernetes reads an API server.
type kubernetes struct {
	book   *book
	client *http.Client
	base   string
}

func connect(kubeconfig string, b *book) (*kubernetes, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	client, err := rest.HTTPClientFor(cfg)
	return &kubernetes{b, client, strings.TrimSuffix(cfg.Host, "/")}, err
}

// account is as much of the meter's account as is read: since when volumes are in it, and how far pods are written down.
type account struct {
	metav1.ObjectMeta `json:"metadata"`

	Status struct {
		Open []struct {
			UID, Kind        string
			Start, AccruedTo metav1.Time
		}
	}
}

// run follows the API server until ctx ends, however often it ends and comes back.
func (k *kubernetes) run(ctx context.Context) {
	var all, first sync.WaitGroup
	follow := func(path string, take func(json.RawMessage, bool) error) {
		first.Add(1)
		once := sync.OnceFunc(first.Done)
		all.Go(func() {
			for ctx.Err() == nil {
				listed := false
				err := k.follow(ctx, path, take, func() { listed = true; once() })
				if listed && err != nil && ctx.Err() == nil {
					fmt.Fprintf(os.Stderr, "oracle: %s broke off: %v\n", path, err)
				}
				select {
				case <-ctx.Done():
				case <-time.After(retryEvery):
				}
			}
			once()
		})
	}
	follow("/api/v1/pods", k.pod)
	follow("/api/v1/persistentvolumeclaims", k.claim)
	follow("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", k.lease)
	follow("/apis/apocryph.network/v1alpha1/usages", k.account)
	first.Wait()
	if ctx.Err() == nil {
		k.book.listens(false, time.Now())
	}
	all.Wait()
}

// follow lists what is at a path, and watches it until that breaks off.
func (k *kubernetes) follow(ctx context.Context, path string, take func(object json.RawMessage, gone bool) error, listed func()) error {
	var list struct {
		Metadata struct{ ResourceVersion string }
		Items    []json.RawMessage
	}
	if err := k.get(ctx, path, nil, func(d *json.Decoder) error { return d.Decode(&list) }); err != nil {
		return err
	}
	for _, item := range list.Items {
		if err := take(item, false); err != nil {
			return err
		}
	}
	listed()
	query := url.Values{"watch": {"true"}, "resourceVersion": {list.Metadata.ResourceVersion}}
	return k.get(ctx, path, query, func(d *json.Decoder) error {
		for {
			var event struct {
				Type   string
				Object json.RawMessage
			}
			if err := d.Decode(&event); err != nil {
				return err
			}
			if event.Type == "ERROR" {
				return errors.New(string(event.Object))
			}
			if err := take(event.Object, event.Type == "DELETED"); err != nil {
				return err
			}
		}
	})
}

func (k *kubernetes) get(ctx context.Context, path string, query url.Values, read func(*json.Decoder) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.base+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	res, err := k.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, res.Status)
	}
	return read(json.NewDecoder(res.Body))
}

// pod takes in what a pod reserves, and what Kubernetes has recorded of its containers.
func (k *kubernetes) pod(object json.RawMessage, _ bool) error {
	var p corev1.Pod
	if err := json.Unmarshal(object, &p); err != nil {
		return err
	}
	seen := map[string]recorded{}
	for _, statuses := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for _, c := range statuses {
			note(seen, c.ContainerID, c.State)
			note(seen, c.ContainerID, c.LastTerminationState)
		}
	}
	k.book.ordered(pod{UID: string(p.UID), Namespace: p.Namespace, Name: p.Name, Made: p.CreationTimestamp.Time, Rate: reservation(&p.Spec), recorded: seen})
	return nil
}

// note notes what a state says of a container. One that ended names its own, which may be another than runs now.
func note(seen map[string]recorded, id string, s corev1.ContainerState) {
	if s.Running != nil {
		seen[bare(id)] = recorded{Started: s.Running.StartedAt.Unix()}
	}
	if t := s.Terminated; t != nil && t.ContainerID != "" && !t.FinishedAt.IsZero() {
		seen[bare(t.ContainerID)] = recorded{Started: max(0, t.StartedAt.Unix()), Ended: max(0, t.FinishedAt.Unix())}
	}
}

func bare(id string) string {
	_, id, _ = strings.Cut(id, "://")
	return id
}

func (k *kubernetes) claim(object json.RawMessage, gone bool) error {
	var c corev1.PersistentVolumeClaim
	if err := json.Unmarshal(object, &c); err != nil {
		return err
	}
	v := volume{UID: string(c.UID), Namespace: c.Namespace, Name: c.Name, Bytes: c.Spec.Resources.Requests.Storage().Value(), Gone: gone}
	if c.DeletionTimestamp != nil {
		v.Ordered = c.DeletionTimestamp.Time
	}
	if c.Status.Phase == corev1.ClaimBound {
		v.Bound = c.CreationTimestamp.Time
		for _, f := range c.ManagedFields {
			if f.Subresource == "status" && f.Time != nil && f.Time.After(v.Bound) {
				v.Bound = f.Time.Time
			}
		}
	}
	k.book.claimed(v)
	return nil
}

func (k *kubernetes) lease(object json.RawMessage, gone bool) error {
	var l coordinationv1.Lease
	if err := json.Unmarshal(object, &l); err != nil {
		return err
	}
	if l.Spec.RenewTime != nil && !gone {
		k.book.beat(l.Name, l.Spec.RenewTime.Time)
	}
	return nil
}

func (k *kubernetes) account(object json.RawMessage, _ bool) error {
	var a account
	if err := json.Unmarshal(object, &a); err != nil {
		return err
	}
	for _, in := range a.Status.Open {
		if in.Kind == "Volume" {
			k.book.seen(k.book.prefix+a.Name, in.UID, in.Start.Time)
		} else {
			k.book.written(in.UID, in.AccruedTo.Time)
		}
	}
	return nil
}
