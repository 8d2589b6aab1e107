// SPDX-License-Identifier: Apache-2.0

package logstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"connectrpc.com/connect"

	"github.com/apocryph/apocryph/internal/delegation"
	logstorev1 "github.com/apocryph/apocryph/internal/gen/logstorev1"
	"github.com/apocryph/apocryph/internal/gen/logstorev1/logstorev1connect"
	"github.com/apocryph/apocryph/internal/manifest"
)

const (
	// maxReaders bounds the calls that read at once.
	maxReaders = 256
	// maxRequest bounds a request: places of many services, and runs of many pods.
	maxRequest = 1 << 20
	// maxCatching bounds the services whose kept lines are read at once, appCatching those of one app.
	maxCatching = 512
	appCatching = 128
	// messageText is about how much text goes into a message.
	messageText = 64 << 10
)

// Handler answers the gateway, which has checked whose app it is. Whoever may call it may read every app's lines.
func (s *Store) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(logstorev1connect.NewLogstoreServiceHandler(&server{s, make(chan struct{}, maxReaders)}, connect.WithReadMaxBytes(maxRequest)))
	return mux
}

type server struct {
	s       *Store
	readers chan struct{}
}

// Read implements the service.
func (v *server) Read(ctx context.Context, q *logstorev1.ReadRequest, to *connect.ServerStream[logstorev1.ReadResponse]) error {
	if _, err := delegation.ParseAppID(q.App); err != nil {
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	if q.Service != "" && !manifest.LooksLikeLabel(q.Service) {
		return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("%.80q is no service's name", q.Service))
	}
	select {
	case v.readers <- struct{}{}:
		defer func() { <-v.readers }()
	default:
		return connect.NewError(connect.CodeResourceExhausted, errors.New("too many readers at once"))
	}
	err := v.s.answer(ctx, q, to.Send)
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case errors.Is(err, errNotKept):
		return connect.NewError(connect.CodeUnavailable, err)
	case errors.Is(err, errBusy):
		return connect.NewError(connect.CodeResourceExhausted, err)
	}
	v.s.cfg.Log.ErrorContext(ctx, "reading failed", "app", q.App, "error", err)
	return connect.NewError(connect.CodeInternal, errors.New("reading failed"))
}

// answer is read, once a line that was written before the call is in what is kept. Who asks for another machine waits for nothing.
func (s *Store) answer(ctx context.Context, q *logstorev1.ReadRequest, send func(*logstorev1.ReadResponse) error) error {
	if !s.elsewhere(q) {
		if err := s.catchUp(ctx); err != nil {
			s.cfg.Log.WarnContext(ctx, "scan failed", "error", err)
		}
	}
	return s.read(ctx, q, send)
}

// elsewhere reports whether a request goes on at another machine.
func (s *Store) elsewhere(q *logstorev1.ReadRequest) bool {
	return len(q.Resume) > 0 && !slices.ContainsFunc(q.Resume, func(p *logstorev1.Place) bool { return p.Machine == s.cfg.Machine })
}

// reading is one call.
type reading struct {
	s       *Store
	q       *logstorev1.ReadRequest
	send    func(*logstorev1.ReadResponse) error
	resume  map[string]uint64
	cursors map[string]*cursor
}

func (s *Store) read(ctx context.Context, q *logstorev1.ReadRequest, send func(*logstorev1.ReadResponse) error) error {
	r := &reading{s: s, q: q, send: send, cursors: map[string]*cursor{}}
	for _, p := range q.Resume {
		if p.Machine == s.cfg.Machine {
			r.resume = p.Positions
			if r.resume == nil {
				r.resume = map[string]uint64{}
			}
		}
	}
	services, err := s.services(q.App)
	if err != nil {
		return err
	}
	head := &logstorev1.Head{Machine: s.cfg.Machine, Services: services}
	if err := send(&logstorev1.ReadResponse{Head: head}); err != nil || s.elsewhere(q) {
		return err
	}
	// Before anything is read, so that nothing is missed between this and the first wait.
	bell := s.bell(q.App)
	if r.resume == nil {
		err = r.kept(services)
	} else {
		err = r.news()
	}
	if err != nil {
		return err
	}
	if !s.keeps(q.App, q.Service) {
		return errNotKept
	}
	if err := send(&logstorev1.ReadResponse{CaughtUp: true, Positions: r.positions()}); err != nil {
		return err
	}
	for q.Follow {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-bell:
		}
		bell = s.bell(q.App)
		if err := r.news(); err != nil {
			return err
		}
		if !s.keeps(q.App, q.Service) {
			return errNotKept
		}
	}
	return nil
}

func (r *reading) wants(service string) bool { return r.q.Service == "" || r.q.Service == service }

func (r *reading) positions() map[string]uint64 {
	all := map[string]uint64{}
	for service, c := range r.cursors {
		all[service] = c.position()
	}
	return all
}

// open makes a cursor with the request's filters.
func (r *reading) open(service string) *cursor {
	c := r.s.cursor(r.q.App, service)
	c.since = r.q.Since
	c.without = map[runKey]bool{}
	for _, run := range r.q.Without {
		c.without[runKey{run.Pod, run.Restart}] = true
	}
	return c
}

// kept sends what is there, in the order of time, and leaves the cursors where it ends.
func (r *reading) kept(services []string) error {
	services = slices.DeleteFunc(slices.Clone(services), func(service string) bool { return !r.wants(service) })
	if err := r.s.catching.begin(r.q.App, len(services)); err != nil {
		return err
	}
	defer r.s.catching.end(r.q.App, len(services))
	var all []*queue
	for _, service := range services {
		c := r.open(service)
		skip, err := r.skip(service)
		if err != nil {
			return err
		}
		r.cursors[service] = c
		all = append(all, &queue{c: c, skip: skip, last: !r.q.Follow})
	}
	out := batch{send: r.send}
	for {
		var first *queue
		for _, q := range all {
			if err := q.fill(); err != nil {
				return err
			}
			if len(q.lines) > 0 && (first == nil || q.lines[0].Time < first.lines[0].Time) {
				first = q
			}
		}
		if first == nil {
			return out.flush(nil)
		}
		if err := out.add(first.lines[0]); err != nil {
			return err
		}
		first.lines = first.lines[1:]
	}
}

// skip is how many lines of a service come before those that are wanted.
func (r *reading) skip(service string) (int, error) {
	if r.q.Tail == nil {
		return 0, nil
	}
	q := &queue{c: r.open(service), last: !r.q.Follow}
	count := 0
	for {
		if err := q.fill(); err != nil || len(q.lines) == 0 {
			return max(0, count-int(*r.q.Tail)), err
		}
		count, q.lines = count+len(q.lines), nil
	}
}

// news sends what came since, of services that came since, too.
func (r *reading) news() error {
	services, err := r.s.services(r.q.App)
	if err != nil {
		return err
	}
	for _, service := range services {
		if !r.wants(service) {
			continue
		}
		c := r.cursors[service]
		if c == nil {
			c = r.s.cursor(r.q.App, service)
			if at, ok := r.resume[service]; ok {
				if err := c.resume(at); err != nil {
					return err
				}
			}
			r.cursors[service] = c
		}
		// What holds for lines that were there does not for those that come.
		c.without, c.since = nil, 0
		if err := r.newsOf(c); err != nil {
			return err
		}
	}
	return nil
}

func (r *reading) newsOf(c *cursor) error {
	out := batch{send: r.send}
	for {
		lines, err := c.next()
		if err != nil {
			return err
		}
		if lines == nil {
			return out.flush(map[string]uint64{c.service: c.position()})
		}
		for _, l := range lines {
			if err := out.add(l); err != nil {
				return err
			}
		}
	}
}

// queue is a service's lines that were read and not yet sent.
type queue struct {
	c     *cursor
	skip  int
	last  bool
	lines []*logstorev1.Line
}

// fill makes sure that the next line is there, if there is one. A line without its end comes last, unless its end is waited for.
func (q *queue) fill() error {
	for len(q.lines) == 0 {
		lines, err := q.c.next()
		if err != nil {
			return err
		}
		if lines == nil && q.last {
			lines = q.c.rest()
			slices.SortFunc(lines, func(a, b *logstorev1.Line) int { return cmp.Compare(a.Time, b.Time) })
		}
		if len(lines) == 0 {
			return nil
		}
		n := min(q.skip, len(lines))
		q.skip, q.lines = q.skip-n, lines[n:]
	}
	return nil
}

// batch sends lines some at a time.
type batch struct {
	send  func(*logstorev1.ReadResponse) error
	lines []*logstorev1.Line
	text  int
}

func (b *batch) add(l *logstorev1.Line) error {
	b.lines = append(b.lines, l)
	if b.text += len(l.Text) + 64; b.text < messageText {
		return nil
	}
	return b.flush(nil)
}

func (b *batch) flush(positions map[string]uint64) error {
	if len(b.lines) == 0 {
		return nil
	}
	m := &logstorev1.ReadResponse{Lines: b.lines, Positions: maps.Clone(positions)}
	b.lines, b.text = nil, 0
	return b.send(m)
}
