// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/delegation"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

// rewatch is how long to wait before a watch that ended is started again.
const rewatch = time.Second

// stream is what outlives single events of a stream: for whom and about what it is.
type stream struct {
	g      *Gateway
	caller *caller
	app    delegation.AppID
	op     orderv1.Operation
}

// tick is what a stream asks at each heartbeat: whether the caller may still.
func (s stream) tick() error {
	d, err := s.g.inForce(s.caller)
	if err != nil {
		return err
	}
	return d.Allows(s.op, s.app)
}

// watch sends status until the app's object is gone, the delegation ends, or the caller leaves.
func (g *Gateway) watch(ctx context.Context, c *caller, id delegation.AppID, send func(*providerv1.AppStatus) error) error {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	w := &statusWatch{stream: stream{g, c, id, orderv1.Operation_OPERATION_READ}, send: send, beat: beat.C}
	for {
		if err := w.run(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rewatch):
		}
	}
}

type statusWatch struct {
	stream
	send func(*providerv1.AppStatus) error
	beat <-chan time.Time
	last *providerv1.AppStatus
}

// run sends what changes for as long as one watch lasts; nil means that it needs another.
func (w *statusWatch) run(ctx context.Context) error {
	changes, err := w.g.parts.Cluster.Watch(ctx, &v1alpha1.AppList{},
		client.InNamespace(w.g.cfg.Namespace), client.MatchingFields{"metadata.name": w.app.String()})
	if err != nil {
		return err
	}
	defer changes.Stop()
	for {
		// Read after the watch began, so that nothing falls between them.
		app, err := w.g.own(ctx, w.caller, w.app)
		if err != nil {
			return err
		}
		if now := statusOf(app); !proto.Equal(now, w.last) {
			if err := w.send(now); err != nil {
				return err
			}
			w.last = now
		}
		if ended, err := w.wait(ctx, changes.ResultChan()); err != nil || ended {
			return err
		}
	}
}

// wait returns when the app may have changed, or the watch has ended.
func (w *statusWatch) wait(ctx context.Context, changes <-chan watch.Event) (ended bool, err error) {
	for {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-w.beat:
			// Forgetting what was sent makes the next status a heartbeat.
			w.last = nil
			return false, w.tick()
		case e, ok := <-changes:
			if !ok || e.Type == watch.Error {
				return true, nil
			}
			if o, is := e.Object.(client.Object); is && o.GetName() == w.app.String() {
				return false, nil
			}
		}
	}
}
