// SPDX-License-Identifier: Apache-2.0

package meter_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/meter"
	"github.com/apocryph/apocryph/internal/metered"
)

// wire is what truly leaves of an app, and what its reporters come to say of it.
type wire struct {
	// door is the facade's pod, past those that were replaced; said is what each last wrote, by its source.
	door int
	sent map[string]int64
	said map[string]v1alpha1.TrafficCounter
	over bool // nobody asks any more
}

// net is a pod's network: the bytes that left by it, and how many of them its counter does not know of, as it began anew.
type net struct {
	source     string
	made       int64
	sent, lost int64
	closed     bool
}

// agent is a machine's: it has none, or one that sees all of the machine's pods whenever it looks.
type agent struct {
	there       bool
	dead        int64 // until when
	looks       int64 // when it looks next
	seen        int64 // when it last wrote, by the machine's clock; 0 if it never did
	first       int64 // when it first did
	said        []v1alpha1.TrafficCounter
	everMissing bool
}

// transmit has bytes leave, and reporters report.
func (w *world) transmit() {
	for _, p := range w.pods {
		if (p.at == preparing || p.at == working) && !p.host.lost && w.t >= p.host.asleep {
			p.send(w.Int64N(1000), w.t)
		}
	}
	for _, h := range w.hosts {
		if a := &h.agent; a.there && w.t >= a.looks && w.t >= a.dead && !h.lost && w.t >= h.cut && w.t >= h.asleep {
			a.looks = w.t + 1000 + w.Int64N(4000)
			a.report(w, h)
		}
	}
	if !w.wire.over {
		w.wire.sent[w.wire.source()] += w.Int64N(300)
		if w.IntN(5) == 0 {
			w.wire.report()
		}
	}
}

func (p *life) send(bytes, now int64) {
	if len(p.nets) == 0 || p.nets[len(p.nets)-1].closed {
		p.nets = append(p.nets, &net{source: fmt.Sprintf("net-%s-%d", p.api.UID, len(p.nets)), made: now})
	}
	p.nets[len(p.nets)-1].sent += bytes
}

// report is what an agent writes: all networks of the pods that are there.
func (a *agent) report(w *world, h *host) {
	if a.seen == 0 {
		a.first = w.t
	}
	a.said, a.seen = nil, w.t+h.clock
	for _, p := range w.pods {
		if p.host != h || !p.exists {
			continue
		}
		for _, n := range p.nets {
			n.closed = n.closed || p.at == over
			a.said = append(a.said, v1alpha1.TrafficCounter{App: "app", Source: n.source, PodUID: string(p.api.UID), Bytes: max(0, n.sent-n.lost), Closed: n.closed})
		}
	}
	w.Shuffle(len(a.said), func(i, j int) { a.said[i], a.said[j] = a.said[j], a.said[i] })
}

func (s *wire) source() string { return fmt.Sprintf("door-%d", s.door) }

func (s *wire) report() {
	s.said[s.source()] = v1alpha1.TrafficCounter{App: "app", Source: s.source(), Bytes: s.sent[s.source()]}
}

// close says the last word.
func (s *wire) close() {
	s.report()
	s.over = true
}

// wireEvent is what may happen to those who count.
func (m *model) wireEvent(h *host, p *life) {
	switch n := m.IntN(300); {
	case n < 3 && h.agent.there && m.t >= h.agent.dead && m.t < h.agent.looks: // for so short that nobody notices
		h.agent.dead = m.t + m.span(60)
	case n == 3 && h.agent.there && m.gaps:
		h.agent.dead, h.agent.everMissing = m.t+150_000+m.span(600), true
	case n < 6 && p != nil && len(p.nets) > 0: // its counter begins anew: until it has passed where it was, all is free
		last := p.nets[len(p.nets)-1]
		last.lost = last.sent
		p.short = true
	case n < 9 && p != nil && len(p.nets) > 0 && p.at == backingOff: // its network is made anew
		p.nets[len(p.nets)-1].closed = true
	case n == 9: // the facade is replaced, and says its last word
		m.wire.report()
		m.wire.door++
	case n < 15: // what an old one said is dropped once it is counted
		for source, c := range m.wire.said {
			counted := slices.ContainsFunc(m.account.Counters, func(k v1alpha1.Counted) bool { return k.Source == source && k.Bytes == c.Bytes })
			if source != m.wire.source() && (counted || c.Bytes == 0) {
				delete(m.wire.said, source)
			}
		}
	}
}

// reports are those that a meter has: what it read before, unless the account remembers something that is missing there.
func (m *model) reports(p *process, was v1alpha1.UsageStatus, whole bool) meter.Reports {
	all := p.readings > p.since
	stale := p.reports.Agents == nil || m.t-p.readAt > 60_000
	if stale || whole && (m.stopped || !all && !p.reports.Settle(was.Counters)) || m.IntN(10) == 0 {
		p.readings++
		p.reports, p.readAt = m.say(), m.t
	}
	r := p.reports
	r.Whole = p.readings > p.since
	return r
}

func (m *model) say() meter.Reports {
	r := meter.Reports{Agents: map[string]time.Time{}}
	for _, h := range m.hosts {
		if h.agent.seen != 0 {
			r.Counters = append(r.Counters, h.agent.said...)
			r.Agents[h.name(m.world)] = recorded(h.agent.seen).Time
		}
	}
	for _, c := range m.wire.said {
		r.Counters = append(r.Counters, c)
	}
	return r
}

// checkWire compares what is billed by now with what left.
func (m *model) checkWire() error {
	all, err := metered.Accrued(m.account)
	if err != nil {
		return err
	}
	// Each pod has as many pieces as thousandths of a vCPU.
	if pieces := all.Extended["example.org/piece"]; !pieces.Equal(all.CPU) {
		return fmt.Errorf("%s unit seconds are billed beside %s m·s", pieces, all.CPU)
	}
	egress := all.Egress.Big().Int64()
	if egress < m.egress {
		return fmt.Errorf("the bill of bytes went back from %d to %d", m.egress, egress)
	}
	m.egress = egress
	if most := m.left(func(*life) bool { return true }); egress > most {
		return fmt.Errorf("%d bytes are billed, %d left", egress, most)
	}
	return nil
}

// left is what left of some pods, and by the facade.
func (m *model) left(of func(*life) bool) int64 {
	n := int64(0)
	for _, p := range m.pods {
		if of(p) {
			for _, net := range p.nets {
				n += net.sent
			}
		}
	}
	for _, sent := range m.wire.sent {
		n += sent
	}
	return n
}

// compareWire looks whether every byte is billed that had somebody to count it all along.
func (m *model) compareWire() error {
	free := func(p *life) bool { return !p.host.agent.there }
	// An agent that looks in the very second of the end may not know a network that was made after it did.
	hasty := func(p *life) bool {
		return slices.ContainsFunc(p.nets, func(n *net) bool { return n != p.nets[0] && p.last-n.made < 2000 })
	}
	// A meter may not know for a minute that a machine has an agent now.
	early := func(p *life) bool { return p.last-p.host.agent.first < 62_000 }
	doubtful := func(p *life) bool {
		return p.loose || p.short || p.host.agent.everMissing || p.first < 0 || hasty(p) || early(p)
	}
	if m.loose || m.off {
		return nil
	}
	least := m.left(func(p *life) bool { return !free(p) && !doubtful(p) })
	most := m.left(func(p *life) bool { return !free(p) })
	if m.egress < least || m.egress > most {
		return fmt.Errorf("%d bytes are billed, want %d to %d", m.egress, least, most)
	}
	if least == most {
		m.exactBytes++
	}
	return nil
}
