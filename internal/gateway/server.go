// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	keeperv1 "github.com/apocryph/apocryph/internal/gen/keeperv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

const nonceSize = 32

// server is the Gateway as the wire sees it: one method per call. Quote and Apply are in files of their own, as are the streams.
type server struct{ g *Gateway }

// Evidence passes a nonce to the keeper. It is the one call that needs no delegation: it comes before anything else.
func (s server) Evidence(ctx context.Context, r *providerv1.EvidenceRequest) (*providerv1.EvidenceResponse, error) {
	if len(r.Nonce) != nonceSize {
		return nil, refuse(providerv1.Reason_REASON_BAD_REQUEST, "a nonce has %d bytes, not %d", nonceSize, len(r.Nonce))
	}
	e, err := s.g.parts.Keeper.Evidence(ctx, &keeperv1.EvidenceRequest{Nonce: r.Nonce})
	if err != nil {
		return nil, inside("asking the keeper for evidence", err)
	}
	return &providerv1.EvidenceResponse{Evidence: e.Evidence}, nil
}

// inside keeps what another service answered from being taken for this one's answer.
func inside(doing string, err error) error { return errors.New(doing + ": " + err.Error()) }

// Status tells how an app is.
func (s server) Status(ctx context.Context, r *providerv1.StatusRequest) (*providerv1.StatusResponse, error) {
	c, id, err := s.g.allowedOn(ctx, orderv1.Operation_OPERATION_READ, r.App)
	if err != nil {
		return nil, err
	}
	app, err := s.g.own(ctx, c, id)
	if err != nil {
		return nil, err
	}
	return &providerv1.StatusResponse{Status: statusOf(app)}, nil
}

// List tells how the publisher's apps are, as far as the delegation covers them.
func (s server) List(ctx context.Context, _ *providerv1.ListRequest) (*providerv1.ListResponse, error) {
	c, err := s.g.allowed(ctx, orderv1.Operation_OPERATION_READ)
	if err != nil {
		return nil, err
	}
	var list v1alpha1.AppList
	err = s.g.parts.Cluster.List(ctx, &list, client.InNamespace(s.g.cfg.Namespace), client.MatchingLabels{labelPublisher: c.publisher()})
	if err != nil {
		return nil, fmt.Errorf("listing apps: %w", err)
	}
	resp := &providerv1.ListResponse{}
	for i := range list.Items {
		app := &list.Items[i]
		id, err := delegation.ParseAppID(app.Name)
		// The label found it; the spec says whose it is.
		if err != nil || app.Spec.Publisher != c.publisher() || c.delegation.Allows(orderv1.Operation_OPERATION_READ, id) != nil {
			continue
		}
		resp.Apps = append(resp.Apps, statusOf(app))
	}
	slices.SortFunc(resp.Apps, func(a, b *providerv1.AppStatus) int {
		return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), bytes.Compare(a.App, b.App))
	})
	return resp, nil
}

// Stop keeps the publisher's stop with the App; everything after it is the other services' doing.
func (s server) Stop(ctx context.Context, r *providerv1.StopRequest) (*providerv1.StopResponse, error) {
	g := s.g
	c, err := g.allowed(ctx, orderv1.Operation_OPERATION_STOP)
	if err != nil {
		return nil, err
	}
	st, err := g.verifyStatement(c, r.Statement, orderv1.Action_ACTION_STOP)
	if err != nil {
		return nil, err
	}
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(r.Statement)
	if err != nil {
		return nil, fmt.Errorf("encoding statement: %w", err)
	}
	for range writeAttempts {
		app, err := g.own(ctx, c, st.App)
		if err != nil {
			return nil, err
		}
		if done, err := checkStop(app, st, encoded); done || err != nil {
			return &providerv1.StopResponse{Status: statusOf(app)}, err
		}
		app.Spec.Stop, app.Spec.Sequence = encoded, int64(st.Sequence)
		err = g.parts.Cluster.Update(ctx, app)
		switch {
		case err == nil:
			g.parts.Log.InfoContext(ctx, "stop accepted", "app", app.Name, "sequence", app.Spec.Sequence)
			return &providerv1.StopResponse{Status: statusOf(app)}, nil
		case !kerrors.IsConflict(err):
			return nil, fmt.Errorf("writing stop: %w", err)
		}
	}
	return nil, fmt.Errorf("writing stop of %s: it changed %d times meanwhile", st.App, writeAttempts)
}

// checkStop: the stop is about what runs and newer than it. Done means that the very stop is there already.
func checkStop(app *v1alpha1.App, st delegation.Statement, encoded []byte) (done bool, err error) {
	switch {
	case bytes.Equal(app.Spec.Stop, encoded):
		return true, nil
	case ending(app):
		return false, refuse(providerv1.Reason_REASON_APP_ENDED, "app %s has ended already", st.App)
	case st.Sequence <= uint64(max(app.Spec.Sequence, 0)):
		return false, refuse(providerv1.Reason_REASON_STATEMENT_STALE, "statement %d comes after %d", st.Sequence, app.Spec.Sequence)
	case channel.ID(st.Channel).String() != app.Spec.Channel:
		return false, refuse(providerv1.Reason_REASON_CHANNEL_TERMS, "the app is paid by channel %s", app.Spec.Channel)
	}
	return false, nil
}

// ending reports whether an app will not come back.
func ending(app *v1alpha1.App) bool {
	return len(app.Spec.Stop) > 0 || app.Status.EndReason != "" || app.DeletionTimestamp != nil
}

// statusOf is an App as its publisher sees it. What was reported about an older order is not passed off as being about this one.
func statusOf(app *v1alpha1.App) *providerv1.AppStatus {
	s := &providerv1.AppStatus{
		Name:      app.Spec.Name,
		Phase:     phaseOf(app),
		Url:       app.Status.URL,
		CreatedAt: uint64(max(app.CreationTimestamp.Unix(), 0)),
		EndReason: string(app.Status.EndReason),
	}
	if id, err := delegation.ParseAppID(app.Name); err == nil {
		s.App = id[:]
	}
	if id, err := channel.ParseID(app.Spec.Channel); err == nil {
		s.Channel = id[:]
	}
	if h, err := channel.ParseID("0x" + app.Spec.ManifestHash); err == nil {
		s.ManifestHash = h[:]
	}
	for _, v := range app.Status.Volumes {
		s.Volumes = append(s.Volumes, &providerv1.VolumeStatus{Name: v.Name, SizeBytes: uint64(max(v.SizeBytes, 0)), Services: v.Services})
	}
	s.Former = formerOf(app)
	for _, c := range app.Status.Conditions {
		s.Conditions = append(s.Conditions, conditionOf(app, c))
	}
	for _, svc := range app.Status.Services {
		s.Services = append(s.Services, &providerv1.ServiceStatus{
			Name:     svc.Name,
			Ready:    uint32(max(svc.Ready, 0)),
			Wanted:   uint32(max(svc.Wanted, 0)),
			Restarts: uint32(max(svc.Restarts, 0)),
			Blocked:  svc.Blocked,
		})
	}
	return s
}

// formerOf are the channels before the one that the spec names. Until the invoicer follows that one, the last of them still pays.
func formerOf(app *v1alpha1.App) []*providerv1.FormerChannel {
	var all []*providerv1.FormerChannel
	for i, f := range app.Spec.Former {
		id, err := channel.ParseID(f.Channel)
		if err != nil {
			continue
		}
		c := &providerv1.FormerChannel{Channel: id[:]}
		c.Pays = i == len(app.Spec.Former)-1 && app.Status.Funds != nil && app.Status.Funds.Channel != app.Spec.Channel
		for _, seen := range app.Status.Former {
			if seen.Channel == f.Channel {
				c.Closed, c.Claimed, c.Refunded = seen.Closed, seen.Claimed, seen.Refunded
			}
		}
		all = append(all, c)
	}
	return all
}

func conditionOf(app *v1alpha1.App, c metav1.Condition) *providerv1.Condition {
	p := &providerv1.Condition{
		Type: c.Type, Status: string(c.Status), Reason: c.Reason, Message: c.Message,
		ChangedAt: uint64(max(c.LastTransitionTime.Unix(), 0)),
	}
	aboutOrder := c.Type == v1alpha1.ConditionVerified || c.Type == v1alpha1.ConditionReady
	if aboutOrder && c.ObservedGeneration < app.Generation {
		p.Status, p.Reason, p.Message = string(metav1.ConditionUnknown), "Pending", "the newest order is not yet looked at"
	}
	return p
}

func phaseOf(app *v1alpha1.App) providerv1.Phase {
	switch {
	case app.Status.Phase == v1alpha1.PhaseEnded:
		return providerv1.Phase_PHASE_ENDED
	case ending(app):
		return providerv1.Phase_PHASE_ENDING
	case app.Status.ObservedGeneration < app.Generation:
		return providerv1.Phase_PHASE_PENDING
	}
	switch app.Status.Phase {
	case v1alpha1.PhaseStarting:
		return providerv1.Phase_PHASE_STARTING
	case v1alpha1.PhaseReady:
		return providerv1.Phase_PHASE_READY
	case v1alpha1.PhaseSuspended:
		return providerv1.Phase_PHASE_SUSPENDED
	case v1alpha1.PhaseEnding:
		return providerv1.Phase_PHASE_ENDING
	case v1alpha1.PhasePending, v1alpha1.PhaseEnded:
	}
	return providerv1.Phase_PHASE_PENDING
}

// Watch sends an app's status now, at each change, and at each heartbeat.
func (s server) Watch(ctx context.Context, r *providerv1.WatchRequest, to *connect.ServerStream[providerv1.WatchResponse]) error {
	c, id, err := s.g.allowedOn(ctx, orderv1.Operation_OPERATION_READ, r.App)
	if err != nil {
		return err
	}
	return s.g.watch(ctx, c, id, func(status *providerv1.AppStatus) error {
		return to.Send(&providerv1.WatchResponse{Status: status})
	})
}

// Logs sends the lines that an app's containers wrote.
func (s server) Logs(ctx context.Context, r *providerv1.LogsRequest, to *connect.ServerStream[providerv1.LogsResponse]) error {
	c, id, err := s.g.allowedOn(ctx, orderv1.Operation_OPERATION_LOGS, r.App)
	if err != nil {
		return err
	}
	return logStream{stream{s.g, c, id, orderv1.Operation_OPERATION_LOGS}, r, to.Send}.run(ctx)
}

// Events sends what happened to an app.
func (s server) Events(ctx context.Context, r *providerv1.EventsRequest, to *connect.ServerStream[providerv1.EventsResponse]) error {
	c, id, err := s.g.allowedOn(ctx, orderv1.Operation_OPERATION_READ, r.App)
	if err != nil {
		return err
	}
	return eventStream{stream{s.g, c, id, orderv1.Operation_OPERATION_READ}, r, to.Send, map[string]uint32{}}.run(ctx)
}
