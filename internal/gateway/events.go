// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

const (
	// lookForEvents is how soon something new is told.
	lookForEvents = 2 * time.Second
	// maxEvents bounds what is told of an app, the newest.
	maxEvents = 1000
)

// eventStream is one call of Events.
type eventStream struct {
	stream
	request *providerv1.EventsRequest
	send    func(*providerv1.EventsResponse) error
	// told are the events that were sent, by what they are about, with how often they had happened.
	told map[string]uint32
}

// happened is an event, and what makes it the same one when it is seen again.
type happened struct {
	key string
	*providerv1.Event
}

// run sends what happened and, following, what happens until the delegation ends or the caller leaves.
func (s eventStream) run(ctx context.Context) error {
	beat, look := time.NewTicker(heartbeat), time.NewTicker(lookForEvents)
	defer beat.Stop()
	defer look.Stop()
	for {
		if err := s.sendNew(ctx); err != nil || !s.request.Follow {
			return err
		}
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-beat.C:
				if err := s.tick(); err != nil {
					return err
				}
				if err := s.send(&providerv1.EventsResponse{}); err != nil {
					return err
				}
			case <-look.C:
				waiting = false
			}
		}
	}
}

func (s eventStream) sendNew(ctx context.Context) error {
	all, err := s.gather(ctx)
	if err != nil {
		return err
	}
	now := map[string]uint32{}
	for _, e := range all {
		now[e.key] = e.Count
		if e.Count <= s.told[e.key] {
			continue
		}
		if err := s.send(&providerv1.EventsResponse{Event: e.Event}); err != nil {
			return err
		}
	}
	// What has gone is forgotten, so that a long stream keeps no more than there is.
	clear(s.told)
	for key, count := range now {
		s.told[key] = count
	}
	return nil
}

// gather is the time line as it can be seen now.
func (s eventStream) gather(ctx context.Context) ([]happened, error) {
	app, err := s.g.own(ctx, s.caller, s.app)
	if err != nil {
		return nil, err
	}
	m, err := manifest.Decode(app.Spec.Manifest)
	if err != nil {
		return nil, fmt.Errorf("reading the app's manifest: %w", err)
	}
	var services []string
	for _, svc := range m.Services {
		services = append(services, svc.Name)
	}
	all := ofApp(app)
	inside, err := s.ofNamespace(ctx, v1alpha1.Namespace(app.Name), services)
	if err != nil {
		return nil, err
	}
	all = append(all, inside...)
	all = slices.DeleteFunc(all, func(h happened) bool {
		return h.Kind == "" || s.request.Service != "" && h.Service != s.request.Service
	})
	slices.SortStableFunc(all, func(a, b happened) int { return cmp.Compare(a.Time, b.Time) })
	return all[max(0, len(all)-maxEvents):], nil
}

// ofApp is what the App's object says about when what became of it.
func ofApp(app *v1alpha1.App) []happened {
	all := []happened{{"ordered", event(app.CreationTimestamp.Time, "", said{kind: "ordered", message: "ordered"}, 1)}}
	if at := updatedAt(app); at.After(app.CreationTimestamp.Time) {
		s := said{kind: "updated", message: fmt.Sprintf("ordered anew: version %.12s", app.Spec.ManifestHash)}
		all = append(all, happened{"updated " + app.Spec.ManifestHash, event(at, "", s, 1)})
	}
	for _, c := range app.Status.Conditions {
		key := fmt.Sprintf("%s %s %s %d", c.Type, c.Status, c.Reason, c.LastTransitionTime.Unix())
		all = append(all, happened{key, event(c.LastTransitionTime.Time, "", tellCondition(c), 1)})
	}
	if app.Status.EndedAt != nil {
		all = append(all, happened{"ended", event(app.Status.EndedAt.Time, "", said{kind: "ended", message: "ended: " + string(app.Status.EndReason)}, 1)})
	}
	return all
}

// updatedAt is when the order was last written, as the API server notes it; zero if it does not.
func updatedAt(app *v1alpha1.App) (last time.Time) {
	for _, f := range app.ManagedFields {
		ordered := f.Subresource == "" && f.FieldsV1 != nil && bytes.Contains(f.FieldsV1.GetRawBytes(), []byte(`"f:manifestHash"`))
		if ordered && f.Time != nil && f.Operation == metav1.ManagedFieldsOperationUpdate && f.Time.After(last) {
			last = f.Time.Time
		}
	}
	return last
}

// ofNamespace is what Kubernetes says about an app's objects.
func (s eventStream) ofNamespace(ctx context.Context, namespace string, services []string) ([]happened, error) {
	var pods corev1.PodList
	var events corev1.EventList
	for _, list := range []client.ObjectList{&pods, &events} {
		err := s.g.parts.Cluster.List(ctx, list, client.InNamespace(namespace), client.Limit(4*maxEvents))
		// Before the namespace is made, and after it is gone, the gateway has no right in it.
		if kerrors.IsForbidden(err) || kerrors.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading what happened: %w", err)
		}
	}
	var all []happened
	for i := range events.Items {
		e := &events.Items[i]
		what := tell(e.InvolvedObject.Kind, e.Reason, e.Message)
		service := serviceOf(e.InvolvedObject.Name, services)
		switch {
		case e.InvolvedObject.Kind == "PersistentVolumeClaim":
			service = ""
			what.message = e.InvolvedObject.Name + ": " + what.message
		case service == "", strings.HasPrefix(e.InvolvedObject.FieldPath, "spec.ephemeralContainers{"):
			continue // of a pod of the provider's own making, or of a service that is no more
		}
		if what.kind != "" {
			all = append(all, happened{string(e.UID) + e.Name, event(timeOf(e), service, what, countOf(e))})
		}
	}
	for i := range pods.Items {
		all = append(all, ofPod(&pods.Items[i])...)
	}
	return all, nil
}

// ofPod is how a pod's runs ended, and since when it is ready, which Kubernetes has no events for.
func ofPod(p *corev1.Pod) []happened {
	var all []happened
	service := p.Labels[v1alpha1.LabelService]
	for _, c := range p.Status.ContainerStatuses {
		for _, t := range []*corev1.ContainerStateTerminated{c.LastTerminationState.Terminated, c.State.Terminated} {
			if c.Name == service && t != nil {
				key := fmt.Sprintf("%s end %d %s", p.UID, t.FinishedAt.Unix(), t.ContainerID)
				all = append(all, happened{key, event(t.FinishedAt.Time, service, tellEnd(t), 1)})
			}
		}
	}
	for _, c := range p.Status.Conditions {
		if service != "" && c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			key := fmt.Sprintf("%s ready %d", p.UID, c.LastTransitionTime.Unix())
			all = append(all, happened{key, event(c.LastTransitionTime.Time, service, said{kind: "ready", message: "ready"}, 1)})
		}
	}
	return all
}
