// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	taskevents "github.com/containerd/containerd/api/events"
	containers "github.com/containerd/containerd/api/services/containers/v1"
	events "github.com/containerd/containerd/api/services/events/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	// hotEvery is how soon a record is read again that does not say yet what an event did; coolEvery is how often all are that are not final.
	hotEvery, coolEvery = 25 * time.Millisecond, time.Second
	// backEvery is how soon a runtime that broke off is asked again: what it removes meanwhile is lost.
	backEvery = 10 * time.Millisecond
	// criNamespace is where the CRI service keeps its containers.
	criNamespace = "k8s.io"
)

// runtime reads a containerd.
type runtime struct {
	book   *book
	conn   *grpc.ClientConn
	events events.EventsClient
	all    containers.ContainersClient
	cri    cri.RuntimeServiceClient
}

func dial(socket string, b *book) (*runtime, error) {
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1.2, MaxDelay: 100 * time.Millisecond},
		MinConnectTimeout: time.Second,
	}))
	if err != nil {
		return nil, fmt.Errorf("containerd at %s: %w", socket, err)
	}
	return &runtime{b, conn, events.NewEventsClient(conn), containers.NewContainersClient(conn), cri.NewRuntimeServiceClient(conn)}, nil
}

// run follows the runtime until ctx ends, however often it ends and comes back.
func (r *runtime) run(ctx context.Context) {
	defer func() { _ = r.conn.Close() }()
	for ctx.Err() == nil {
		if err := r.follow(ctx); err != nil && ctx.Err() == nil {
			r.book.broke(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(backEvery):
		}
	}
}

// follow takes in events, and reads records, until either breaks off.
func (r *runtime) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := r.events.Subscribe(ctx, &events.SubscribeRequest{Filters: []string{"namespace==" + criNamespace}}, grpc.WaitForReady(true))
	if err != nil {
		cancel()
		return err
	}
	broken := make(chan error, 2)
	var both sync.WaitGroup
	both.Go(func() { broken <- r.listen(ctx, stream) })
	both.Go(func() { broken <- r.read(ctx) })
	err = <-broken
	cancel()
	both.Wait()
	return err
}

// listen takes in events.
func (r *runtime) listen(ctx context.Context, stream events.Events_SubscribeClient) error {
	for {
		e, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := r.event(ctx, e); err != nil {
			return err
		}
	}
}

func (r *runtime) event(ctx context.Context, e *types.Envelope) error {
	var start taskevents.TaskStart
	var exit taskevents.TaskExit
	var create taskevents.ContainerCreate
	var remove taskevents.ContainerDelete
	switch e.Topic {
	case "/containers/create":
		if err := proto.Unmarshal(e.Event.Value, &create); err != nil {
			return err
		}
		return r.created(ctx, create.ID)
	case "/tasks/start":
		if err := proto.Unmarshal(e.Event.Value, &start); err != nil {
			return err
		}
		r.book.event(start.ContainerID, false, e.Timestamp.AsTime())
		return r.look(ctx, start.ContainerID)
	case "/tasks/exit":
		if err := proto.Unmarshal(e.Event.Value, &exit); err != nil || exit.ID != exit.ContainerID {
			return err // what was run in a container beside it has a name of its own
		}
		r.book.event(exit.ContainerID, true, exit.ExitedAt.AsTime())
		return r.look(ctx, exit.ContainerID)
	case "/containers/delete":
		if err := proto.Unmarshal(e.Event.Value, &remove); err != nil {
			return err
		}
		r.book.removed(remove.ID)
	}
	return nil
}

// created asks containerd itself whose a container is, because the CRI service knows it a moment later only.
func (r *runtime) created(ctx context.Context, id string) error {
	answer, err := r.all.Get(metadata.AppendToOutgoingContext(ctx, "containerd-namespace", criNamespace), &containers.GetContainerRequest{ID: id})
	if status.Code(err) == codes.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if labels := answer.Container.Labels; labels["io.cri-containerd.kind"] == "container" {
		r.book.created(id, labels)
	}
	return nil
}

// read reads the records that are not final again and again.
func (r *runtime) read(ctx context.Context) error {
	hot, cool := time.NewTicker(hotEvery), time.NewTicker(coolEvery)
	defer hot.Stop()
	defer cool.Stop()
	for all := true; ; {
		if all {
			if err := r.list(ctx); err != nil {
				return err
			}
			r.book.listens(true, time.Now())
		}
		for _, id := range r.book.unsettled(!all) {
			if err := r.look(ctx, id); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-hot.C:
			all = false
		case <-cool.C:
			all = true
		}
	}
}

// list finds the containers of which no event was heard.
func (r *runtime) list(ctx context.Context) error {
	answer, err := r.cri.ListContainers(ctx, &cri.ListContainersRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	for _, c := range answer.Containers {
		r.book.created(c.Id, c.Labels)
	}
	return nil
}

// look reads the record of a container. A pod's sandbox has none.
func (r *runtime) look(ctx context.Context, id string) error {
	if !r.book.knows(id) {
		return nil
	}
	answer, err := r.cri.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: id}, grpc.WaitForReady(true))
	if status.Code(err) == codes.NotFound {
		return r.missing(ctx, id)
	}
	if err != nil {
		return err
	}
	s := answer.Status
	r.book.record(id, s.Labels, s.StartedAt, s.FinishedAt, s.State == cri.ContainerState_CONTAINER_EXITED)
	return nil
}

// missing tells a container that the CRI service has forgotten from one that it does not know yet.
func (r *runtime) missing(ctx context.Context, id string) error {
	_, err := r.all.Get(metadata.AppendToOutgoingContext(ctx, "containerd-namespace", criNamespace), &containers.GetContainerRequest{ID: id})
	if status.Code(err) == codes.NotFound {
		r.book.removed(id)
		return nil
	}
	return err
}
