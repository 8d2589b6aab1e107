// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"
	corev1 "k8s.io/api/core/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	logstorev1 "github.com/apocryph/apocryph/internal/gen/logstorev1"
	"github.com/apocryph/apocryph/internal/gen/logstorev1/logstorev1connect"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

const (
	// storeTime is how long a log store may take to say who it is.
	storeTime = 5 * time.Second
	// A log store that went away is looked for after reopenAfter, and reopenTries times in all, over half a minute: one that is replaced is
	// back by then.
	reopenAfter = 2 * time.Second
	reopenTries = 4
)

// logStores reaches the log store of each machine.
type logStores interface {
	// Addresses are those of all log stores, of ones that don't answer, too.
	Addresses(context.Context) ([]string, error)
	Read(ctx context.Context, address string, q *logstorev1.ReadRequest) (*connect.ServerStreamForClient[logstorev1.ReadResponse], error)
}

// LogStores are those whose addresses a name stands for.
type LogStores struct {
	// Scheme, Host and Port are where they are asked.
	Scheme, Host, Port string
	Client             *http.Client
	// Names looks up the host: as the process does, unless given.
	Names interface {
		LookupHost(context.Context, string) ([]string, error)
	}
}

// Addresses implements logStores.
func (l LogStores) Addresses(ctx context.Context) ([]string, error) {
	if l.Names == nil {
		l.Names = net.DefaultResolver
	}
	hosts, err := l.Names.LookupHost(ctx, l.Host)
	if err != nil {
		return nil, fmt.Errorf("looking up the log stores: %w", err)
	}
	for i := range hosts {
		if l.Port != "" {
			hosts[i] = net.JoinHostPort(hosts[i], l.Port)
		}
	}
	return hosts, nil
}

// Read implements logStores.
func (l LogStores) Read(ctx context.Context, address string, q *logstorev1.ReadRequest) (*connect.ServerStreamForClient[logstorev1.ReadResponse], error) {
	at := l.Scheme + "://" + address
	return logstorev1connect.NewLogstoreServiceClient(l.Client, at, connect.WithReadMaxBytes(maxMessage)).Read(ctx, q)
}

// kept is what the log stores have of an app.
type kept struct {
	machines []*keptOn
	// missing log stores did not answer.
	missing int
}

// keptOn is what one machine's has.
type keptOn struct {
	cancel    context.CancelFunc
	stream    *connect.ServerStreamForClient[logstorev1.ReadResponse]
	head      *logstorev1.Head
	lines     []*logstorev1.Line
	positions map[string]uint64
	// caughtUp says that what was kept has come; over, that the stream has ended before that.
	caughtUp, over bool
	// last is when the last line of each service was written.
	last map[string]int64
}

func (k *kept) has(service string) bool {
	return slices.ContainsFunc(k.machines, func(m *keptOn) bool { return slices.Contains(m.head.Services, service) })
}

func (k *kept) close() {
	for _, m := range k.machines {
		m.close()
	}
}

func (m *keptOn) close() {
	m.cancel()
	_ = m.stream.Close()
}

// openKept asks every log store. Those that don't answer are counted: what can't be read is no failure of what can.
func (t *tail) openKept(ctx context.Context) (*kept, error) {
	q := &logstorev1.ReadRequest{App: t.app, Service: t.service, Follow: t.follow, Since: t.since.UnixNano(), Tail: t.last}
	if t.previous {
		pods, err := t.list(ctx)
		if err != nil {
			return nil, err
		}
		for i := range pods {
			if status, ok := container(&pods[i]); ok && status.State.Running != nil {
				q.Without = append(q.Without, &logstorev1.Run{Pod: pods[i].Name, Restart: uint32(max(status.RestartCount, 0))})
			}
		}
	}
	k := &kept{}
	addresses, err := t.g.parts.LogStores.Addresses(ctx)
	if err != nil {
		t.g.parts.Log.WarnContext(ctx, "log stores not found", "error", err)
		k.missing++
		return k, nil
	}
	found := make([]*keptOn, len(addresses))
	var all sync.WaitGroup
	for i, address := range addresses {
		all.Go(func() {
			var err error
			if found[i], err = t.openOn(ctx, address, q); err != nil {
				t.g.parts.Log.WarnContext(ctx, "log store does not answer", "address", address, "error", err)
			}
		})
	}
	all.Wait()
	for _, m := range found {
		if m == nil {
			k.missing++
			continue
		}
		k.machines = append(k.machines, m)
	}
	slices.SortFunc(k.machines, func(a, b *keptOn) int { return cmp.Compare(a.head.Machine, b.head.Machine) })
	return k, nil
}

// openOn asks one log store and waits until it says which machine's it is.
func (t *tail) openOn(ctx context.Context, address string, q *logstorev1.ReadRequest) (*keptOn, error) {
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(storeTime, cancel)
	stream, err := t.g.parts.LogStores.Read(ctx, address, q)
	if err != nil {
		cancel()
		return nil, err
	}
	if !stream.Receive() || stream.Msg().Head == nil || !late.Stop() {
		cancel()
		return nil, errors.Join(stream.Err(), stream.Close(), errNoHead)
	}
	return &keptOn{cancel: cancel, stream: stream, head: stream.Msg().Head, positions: map[string]uint64{}, last: map[string]int64{}}, nil
}

var errNoHead = errors.New("it does not say whose it is")

// from reports whether a pod's log is to be read from the API server, and from when on.
func (t *tail) from(k *kept, pod *corev1.Pod) (time.Time, bool) {
	t.mu.Lock()
	last, broken := t.machines[pod.Spec.NodeName]
	t.mu.Unlock()
	if broken {
		return time.Unix(0, max(last[pod.Labels[v1alpha1.LabelService]], t.since.UnixNano())), true
	}
	return t.since, !slices.ContainsFunc(k.machines, func(m *keptOn) bool { return m.head.Machine == pod.Spec.NodeName })
}

// sendKept sends what was kept when it was asked for, in the order of time.
func (t *tail) sendKept(ctx context.Context, k *kept) error {
	if k.missing > 0 {
		t.emit(ctx, notice("", "of some machines only what runs there now can be shown: what is kept there can't be read at present"))
	}
	for {
		var first *keptOn
		for _, m := range k.machines {
			m.fill()
			if len(m.lines) > 0 && (first == nil || m.lines[0].Time < first.lines[0].Time) {
				first = m
			}
		}
		if first == nil {
			break
		}
		l := first.lines[0]
		first.lines = first.lines[1:]
		if !t.emitKept(ctx, first, l) {
			return ctx.Err()
		}
	}
	for _, m := range k.machines {
		if m.over && ctx.Err() == nil {
			t.giveUp(ctx, m)
		}
	}
	return ctx.Err()
}

// emitKept hands a line on and notes that it was.
func (t *tail) emitKept(ctx context.Context, m *keptOn, l *logstorev1.Line) bool {
	if !l.Notice {
		m.last[l.Service] = max(m.last[l.Service], l.Time)
	}
	return t.emit(ctx, lineOf(l))
}

// giveUp leaves a machine's pods to the API server, from where the lines of each service ended: the log store is away, or can't keep what
// they write.
func (t *tail) giveUp(ctx context.Context, m *keptOn) {
	t.g.parts.Log.WarnContext(ctx, "log store broke off", "machine", m.head.Machine, "error", m.stream.Err())
	t.emit(ctx, notice("", "one of the machines can't keep or show all lines at present: what follows of it is what runs there now"))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.machines[m.head.Machine] = m.last
}

// fill waits until the machine's next line is there, or all that was kept has come.
func (m *keptOn) fill() {
	for len(m.lines) == 0 && !m.caughtUp && !m.over {
		if !m.stream.Receive() {
			m.over = true
			return
		}
		m.take(m.stream.Msg())
	}
}

func (m *keptOn) take(r *logstorev1.ReadResponse) {
	m.lines = append(m.lines, r.Lines...)
	m.caughtUp = m.caughtUp || r.CaughtUp
	for service, at := range r.Positions {
		m.positions[service] = at
	}
}

// followKept hands on what a log store sends, and looks for it again when it goes away, until ctx ends or it has to be given up.
func (t *tail) followKept(ctx context.Context, m *keptOn) {
	defer func() { m.close() }()
	for tries := 0; ; {
		for m.stream.Receive() {
			m.take(m.stream.Msg())
			for _, l := range m.lines {
				if !t.emitKept(ctx, m, l) {
					return
				}
			}
			m.lines = nil
		}
		if ctx.Err() != nil {
			return
		}
		if m.caughtUp { // one that has not was there in vain
			tries = 0
		}
		t.g.parts.Log.WarnContext(ctx, "log store went away", "machine", m.head.Machine, "error", m.stream.Err())
		m.close()
		next := t.reopen(ctx, m, &tries)
		if next == nil {
			if ctx.Err() == nil {
				t.giveUp(ctx, m)
			}
			return
		}
		m = next
	}
}

// reopen looks for a machine's log store, as often as is left, until it is there or ctx ends. Only a new one gets the positions.
func (t *tail) reopen(ctx context.Context, m *keptOn, tries *int) *keptOn {
	q := &logstorev1.ReadRequest{
		App: t.app, Service: t.service, Follow: true, Resume: []*logstorev1.Place{{Machine: m.head.Machine, Positions: m.positions}},
	}
	for *tries < reopenTries {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(t.g.reopenAfter << *tries):
		}
		*tries++
		addresses, err := t.g.parts.LogStores.Addresses(ctx)
		if err != nil {
			continue // it says so where it is asked first
		}
		for _, address := range addresses {
			next, err := t.openOn(ctx, address, q)
			if err != nil {
				continue
			}
			if next.head.Machine == m.head.Machine {
				next.positions, next.last = m.positions, m.last
				return next
			}
			next.close()
		}
	}
	return nil
}

func lineOf(l *logstorev1.Line) *providerv1.LogsResponse {
	if l.Notice {
		n := notice(l.Service, string(l.Text))
		n.Time = uint64(max(l.Time, 0))
		return n
	}
	return &providerv1.LogsResponse{Service: l.Service, Line: l.Text, Time: uint64(max(l.Time, 0)), Stderr: l.Stderr}
}

func notice(service, text string) *providerv1.LogsResponse {
	return &providerv1.LogsResponse{Service: service, Notice: text}
}
