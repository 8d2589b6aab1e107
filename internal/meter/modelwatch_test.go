// SPDX-License-Identifier: Apache-2.0

package meter_test

import (
	"context"
	"strconv"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/internal/meter"
)

// history is all that watches tell of an app, in order, and what each object last was.
type history struct {
	events []watch.Event
	last   map[types.UID]client.Object
}

// note has the history take in what changed.
func (m *model) note() {
	for _, p := range m.pods {
		m.history.note(&p.api, p.exists)
	}
	for _, c := range m.claims {
		m.history.note(&c.api, c.exists)
	}
}

func (h *history) note(obj client.Object, exists bool) {
	if h.last == nil {
		h.last = map[types.UID]client.Object{}
	}
	last, known := h.last[obj.GetUID()]
	if known == exists && (!exists || equality.Semantic.DeepEqual(last, obj)) {
		return
	}
	obj.SetResourceVersion(h.version(1))
	is, _ := obj.DeepCopyObject().(client.Object)
	e := watch.Event{Type: watch.Modified, Object: is}
	if exists {
		h.last[obj.GetUID()] = is
	} else {
		delete(h.last, obj.GetUID())
		e.Type = watch.Deleted
	}
	h.events = append(h.events, e)
}

// version is the resource version of the event that comes after so many more; that of the last is a list's.
func (h *history) version(more int) string { return strconv.Itoa(100 + len(h.events) + more) }

// listen has a meter hear some of what happened since it last did. Watches may be as late as they like.
func (m *model) listen(p *process) {
	if p.heard < 0 || m.t < p.deaf { // it has not begun to, or the connection stands still
		return
	}
	if m.IntN(60) == 0 {
		p.deaf = m.t + m.span(150)
	}
	m.note()
	until := p.heard + m.IntN(len(m.history.events)-p.heard+1)
	for _, e := range m.history.events[p.heard:until] {
		p.book.Hear(e)
	}
	p.heard = until
}

// observe lists everything, which takes some time.
func (m *model) observe(p *process) meter.Observed {
	var o meter.Observed
	m.note()
	pods, heard := m.history.version(0), len(m.history.events)
	for _, l := range m.pods {
		if l.exists {
			o.Pods = append(o.Pods, *l.api.DeepCopy())
		}
	}
	m.idle()
	m.note()
	claims := m.history.version(0)
	for _, c := range m.claims {
		if c.exists {
			o.Claims = append(o.Claims, *c.api.DeepCopy())
		}
	}
	if p.heard < 0 { // it listens from here on
		p.heard = heard
	}
	p.book.Listed(pods, claims)
	return o
}

// read reads the account.
func (m *model) read(p *process) {
	was := m.account.DeepCopy()
	if p.account == nil || !meter.Follows(*was, *p.account) {
		p.since = p.readings
	}
	p.account, p.version = was, m.version
}

// forgets is what a meter does that is started anew.
func (p *process) forgets() {
	*p = process{pulse: &meter.Pulse{}, book: meter.NewBook(context.Background(), ""), heard: -1}
}
