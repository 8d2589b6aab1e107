// SPDX-License-Identifier: Apache-2.0

package facade

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// route is where one app's requests go. It is immutable.
type route struct {
	app     string
	created time.Time
	host    string
	service string
	port    uint32
	phase   v1alpha1.Phase
	ready   bool
	// restarts changes whenever connections that are open to the app's pods may be dead.
	restarts  int32
	transport *http.Transport
}

// Table knows which app answers for which host. It is safe for concurrent use.
type Table struct {
	dial dialer
	// ending is closed when nobody is to wait any more.
	ending chan struct{}

	mu     sync.RWMutex
	apps   map[string]route // by app id
	hosts  map[string]route
	lines  map[string]*line // by app id
	held   int              // in all lines
	synced bool
}

// NewTable returns an empty table, which answers nothing until Synced.
func NewTable() *Table {
	return &Table{dial: patient((&net.Dialer{Timeout: dialTime}).DialContext), apps: map[string]route{}, hosts: map[string]route{}, lines: map[string]*line{}, ending: make(chan struct{})}
}

// Synced says that every app there is has been put once: from now on a host that is not in the table is unknown.
func (t *Table) Synced() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.synced = true
}

// Health answers 503 until Synced, so that nobody is sent to a facade that knows of no app yet, and 200 from then on.
func (t *Table) Health() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		t.mu.RLock()
		synced := t.synced
		t.mu.RUnlock()
		if !synced {
			unavailable(w, "the facade is starting")
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
}

// Put takes over what an App says now. One that ended, or answers no HTTP, is as good as deleted.
func (t *Table) Put(app *v1alpha1.App) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, had := t.apps[app.Name]
	next, ok := t.routeOf(app, old)
	if !ok {
		t.drop(app.Name)
		return
	}
	switch {
	case !had:
		next.transport = newTransport(t.dial)
	case old.ready != next.ready || old.restarts != next.restarts || old.port != next.port:
		// A connection to a pod that went away may hang rather than break.
		old.transport.CloseIdleConnections()
	}
	t.apps[app.Name] = next
	t.elect()
	t.call(app.Name)
}

// Delete forgets an app.
func (t *Table) Delete(app string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(app)
}

func (t *Table) drop(app string) {
	if old, ok := t.apps[app]; ok {
		old.transport.CloseIdleConnections()
		delete(t.apps, app)
		t.elect()
		t.call(app)
	}
}

// routeOf reads an App. A manifest that the keeper did not verify does not move the route that there was.
func (t *Table) routeOf(app *v1alpha1.App, old route) (route, bool) {
	r := route{
		app: app.Name, created: app.CreationTimestamp.Time, host: canonical(app.Spec.Host), phase: app.Status.Phase,
		service: old.service, port: old.port, transport: old.transport,
	}
	if app.Spec.Host == "" || app.Status.EndReason != "" {
		return route{}, false
	}
	verified := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionVerified)
	if verified != nil && verified.Status == "True" && verified.ObservedGeneration == app.Generation {
		m, err := manifest.Decode(app.Spec.Manifest)
		if err != nil {
			return route{}, false
		}
		r.service, r.port = m.GetHttp().GetService(), m.GetHttp().GetPort()
	}
	for _, s := range app.Status.Services {
		if s.Name == r.service && r.service != "" {
			r.ready, r.restarts = s.Ready > 0, s.Restarts
		}
	}
	return r, true
}

// elect gives each host to the oldest app that names it, so that nobody takes over a host that is in use.
func (t *Table) elect() {
	t.hosts = map[string]route{}
	for _, r := range t.apps {
		if first, taken := t.hosts[r.host]; !taken || older(r, first) {
			t.hosts[r.host] = r
		}
	}
}

func older(a, b route) bool {
	return cmp.Or(a.created.Compare(b.created), strings.Compare(a.app, b.app)) < 0
}

func (t *Table) find(host string) (r route, found, synced bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	r, found = t.hosts[canonical(host)]
	return r, found, t.synced
}

// canonical is a host name in lower case without port and final dot.
func canonical(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
