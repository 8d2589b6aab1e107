// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	logstorev1 "github.com/apocryph/apocryph/internal/gen/logstorev1"
	"github.com/apocryph/apocryph/internal/gen/logstorev1/logstorev1connect"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

// noStores are of a provider without machines.
type noStores struct{}

func (noStores) Addresses(context.Context) ([]string, error) { return nil, nil }

func (noStores) Read(context.Context, string, *logstorev1.ReadRequest) (*connect.ServerStreamForClient[logstorev1.ReadResponse], error) {
	return nil, errors.New("there is none")
}

// store is a log store of one machine, with a script: what it answers to its first call, and to those after.
type store struct {
	machine  string
	services []string
	answers  [][]*logstorev1.ReadResponse
	// stays says that the last answer does not end.
	stays bool
	// then is another machine that answers in its place after the first call.
	then string

	mu    sync.Mutex
	asked []*logstorev1.ReadRequest
}

func (s *store) Read(ctx context.Context, q *logstorev1.ReadRequest, to *connect.ServerStream[logstorev1.ReadResponse]) error {
	s.mu.Lock()
	n := min(len(s.asked), len(s.answers)-1)
	s.asked = append(s.asked, q)
	s.mu.Unlock()
	machine := s.machine
	if n > 0 && s.then != "" {
		machine = s.then
	}
	if err := to.Send(&logstorev1.ReadResponse{Head: &logstorev1.Head{Machine: machine, Services: s.services}}); err != nil {
		return err
	}
	for _, m := range s.answers[n] {
		if err := to.Send(m); err != nil {
			return err
		}
	}
	if s.stays && n == len(s.answers)-1 {
		<-ctx.Done()
	}
	return nil
}

// storesOf serves log stores over real connections. A nil one is an address where nobody answers.
func storesOf(t *testing.T, stores ...*store) LogStores {
	t.Helper()
	all := stands{}
	for _, s := range stores {
		handler := http.NotFoundHandler()
		if s != nil {
			_, handler = logstorev1connect.NewLogstoreServiceHandler(s)
		}
		server := httptest.NewServer(handler)
		t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
		all = append(all, strings.TrimPrefix(server.URL, "http://"))
	}
	return LogStores{Names: all, Scheme: "http", Client: http.DefaultClient}
}

// stands is a name that stands for addresses.
type stands []string

func (s stands) LookupHost(context.Context, string) ([]string, error) { return s, nil }

func lines(machineLines ...string) *logstorev1.ReadResponse {
	r := &logstorev1.ReadResponse{Positions: map[string]uint64{}}
	for _, l := range machineLines {
		var second int64
		var service, text string
		_, _ = fmt.Sscan(l, &second, &service, &text)
		r.Lines = append(r.Lines, &logstorev1.Line{Service: service, Time: second * 1e9, Text: []byte(text), Notice: strings.HasPrefix(text, "(")})
		r.Positions[service] = uint64(second)
	}
	return r
}

var caughtUp = &logstorev1.ReadResponse{CaughtUp: true}

// shown is what a publisher gets.
func shown(l *providerv1.LogsResponse) string {
	if l.Notice != "" {
		return "notice: " + strings.TrimSpace(l.Service+" "+l.Notice)
	}
	return l.Service + " " + string(l.Line)
}

const someMissing = "notice: of some machines only what runs there now can be shown: what is kept there can't be read at present"

const givenUp = "notice: one of the machines can't keep or show all lines at present: what follows of it is what runs there now"

func TestKeptLogs(t *testing.T) {
	on := func(machine string, p *corev1.Pod) *corev1.Pod { p.Spec.NodeName = machine; return p }
	for name, c := range map[string]struct {
		stores  []*store
		request *providerv1.LogsRequest
		want    []string
		asked   string
	}{
		"of several machines by time": {
			[]*store{
				{machine: "a", answers: [][]*logstorev1.ReadResponse{{lines("1 web one"), lines("4 db four"), caughtUp}}},
				{machine: "b", answers: [][]*logstorev1.ReadResponse{{lines("2 web two", "3 web three"), lines("5 old five"), caughtUp}}},
			},
			&providerv1.LogsRequest{},
			[]string{"web one", "web two", "web three", "db four", "old five"},
			`since:0`,
		},
		"what is left out is said where it is": {
			[]*store{{machine: "a", answers: [][]*logstorev1.ReadResponse{{lines("1 web one", "2 web (gap)", "3 web three"), caughtUp}}}, {machine: "b", answers: [][]*logstorev1.ReadResponse{{caughtUp}}}},
			&providerv1.LogsRequest{},
			[]string{"web one", "notice: web (gap)", "web three"}, "",
		},
		"of a machine that does not answer, what runs": {
			[]*store{{machine: "a", answers: [][]*logstorev1.ReadResponse{{lines("1 web one"), caughtUp}}}, nil},
			&providerv1.LogsRequest{},
			[]string{someMissing, "web one", "web running on b"}, "",
		},
		"of a machine that breaks off, what runs from there on": {
			[]*store{
				{machine: "a", answers: [][]*logstorev1.ReadResponse{{caughtUp}}},
				{machine: "b", answers: [][]*logstorev1.ReadResponse{{lines("1 web one")}}},
			},
			&providerv1.LogsRequest{},
			[]string{"web one", givenUp, "web running on b"}, "",
		},
		"of runs that have ended": {
			[]*store{{machine: "a", answers: [][]*logstorev1.ReadResponse{{lines("1 web one"), caughtUp}}}, {machine: "b", answers: [][]*logstorev1.ReadResponse{{caughtUp}}}},
			&providerv1.LogsRequest{Previous: true, Tail: new(uint32(7)), Since: 9},
			[]string{"web one"},
			`since:9000000000 tail:7 without:{pod:"web-1" restart:2} without:{pod:"web-2"}`,
		},
		"of a service that is gone": {
			[]*store{{machine: "a", services: []string{"old"}, answers: [][]*logstorev1.ReadResponse{{lines("1 old one"), caughtUp}}}, {machine: "b", answers: [][]*logstorev1.ReadResponse{{caughtUp}}}},
			&providerv1.LogsRequest{Service: "old"},
			[]string{"old one"},
			`service:"old" since:0`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.accept(nil)
			w.create(on("a", pod(w, "web-1", "web", 2)))
			w.create(on("b", pod(w, "web-2", "web", 0)))
			w.g.parts.Pods = &script{lines: map[string][]string{"web-1": {"6 running on a"}, "web-2": {"7 running on b"}}}
			w.g.parts.LogStores = storesOf(t, c.stores...)
			var got []string
			err := w.logs(t.Context(), c.request, func(l *providerv1.LogsResponse) error {
				got = append(got, shown(l))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			asked := strings.ReplaceAll(fmt.Sprint(c.stores[0].asked[0]), "  ", " ")
			want := fmt.Sprintf("app:%q ", w.app(w.publisher).String()) + c.asked
			if c.asked != "" && asked != strings.TrimSuffix(strings.TrimSuffix(want, "since:0"), " ") {
				t.Errorf("asked %s, want %s", asked, want)
			}
		})
	}
}

// Whoever follows does not notice that a log store was restarted.
func TestAFollowerOutlivesALogStore(t *testing.T) {
	w := newWorld(t)
	w.accept(nil)
	s := &store{machine: "a", stays: true, answers: [][]*logstorev1.ReadResponse{{lines("1 web one"), caughtUp, lines("2 web two")}, {lines("3 web three")}}}
	other := &store{machine: "b", stays: true, answers: [][]*logstorev1.ReadResponse{{caughtUp}}}
	w.g.parts.LogStores = storesOf(t, s, other)
	w.g.reopenAfter = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	err := w.logs(ctx, &providerv1.LogsRequest{Follow: true}, func(l *providerv1.LogsResponse) error {
		if len(l.Line) > 0 {
			got = append(got, shown(l))
		}
		if len(got) == 3 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"web one", "web two", "web three"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) != 2 || len(s.asked[1].Resume) != 1 || s.asked[1].Resume[0].Machine != "a" || s.asked[1].Resume[0].Positions["web"] != 2 {
		t.Errorf("asked %v", s.asked)
	}
}

// What a log store can't keep, or one that stays away, is read from the pods, of each service from its last line on.
func TestAFollowerIsNotLeftWithoutLines(t *testing.T) {
	kept := []*logstorev1.ReadResponse{lines("2 db started", "9 web one"), caughtUp}
	for name, s := range map[string]*store{
		"of a log store that can't keep them": {machine: "a", answers: [][]*logstorev1.ReadResponse{kept, nil}},
		"of a machine that has none any more": {machine: "a", then: "b", answers: [][]*logstorev1.ReadResponse{kept, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.accept(nil)
			for _, p := range []*corev1.Pod{pod(w, "db-1", "db", 0), pod(w, "web-1", "web", 0)} {
				p.Spec.NodeName = "a"
				w.create(p)
			}
			w.g.parts.Pods = &script{lines: map[string][]string{
				"db-1": {"1 long ago", "5 since then", "6 and then"}, "web-1": {"8 long ago", "10 two"},
			}}
			w.g.parts.LogStores = storesOf(t, s)
			w.g.reopenAfter = time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var got []string
			err := w.logs(ctx, &providerv1.LogsRequest{Follow: true, Tail: new(uint32(1))}, func(l *providerv1.LogsResponse) error {
				if len(l.Line) > 0 || l.Notice != "" {
					got = append(got, shown(l))
				}
				if len(got) == 6 {
					cancel()
				}
				return nil
			})
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			slices.Sort(got[min(3, len(got)):]) // pods are read side by side
			if diff := cmp.Diff([]string{"db started", "web one", givenUp, "db and then", "db since then", "web two"}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.asked) != 1+reopenTries {
				t.Errorf("it was asked %d times", len(s.asked))
			}
		})
	}
}

func TestPreviousRunsAreNotFollowed(t *testing.T) {
	w := newWorld(t)
	w.accept(nil)
	err := w.logs(t.Context(), &providerv1.LogsRequest{Previous: true, Follow: true}, nil)
	if reasonOf(err) != providerv1.Reason_REASON_BAD_REQUEST {
		t.Errorf("got %v", err)
	}
}
