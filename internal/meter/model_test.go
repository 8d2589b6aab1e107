// SPDX-License-Identifier: Apache-2.0

package meter_test

import (
	"fmt"
	"math/big"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/meter"
	"github.com/apocryph/apocryph/internal/metered"
)

// The meter is compared with a model that counts seconds one by one from what truly happened, over random lives of an app: pods that prepare, crash,
// are evicted, removed and collected, machines that are cut off, sleep and are lost, clocks that jump; meters that look seldom, see the same
// twice, are away, die before and after each write and get in each other's way. A failure names the life's seed. APOCRYPH_METER_LIVES says over how many,
// APOCRYPH_METER_SEED where to begin.
func TestTheModelAgrees(t *testing.T) {
	lives, seed := setting(t, "APOCRYPH_METER_LIVES", modelLives), setting(t, "APOCRYPH_METER_SEED", 0)
	if testing.Short() {
		lives = min(lives, 1000)
	}
	var done, pods, tight, bytes atomic.Uint64
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for !t.Failed() {
				n := done.Add(1)
				if n > lives {
					return
				}
				m := newModel(seed + n)
				if err := m.play(); err != nil {
					t.Errorf("APOCRYPH_METER_SEED=%d APOCRYPH_METER_LIVES=1: at %d.%03d s %v", seed+n-1, m.t/1000, m.t%1000, err)
				}
				pods.Add(uint64(len(m.pods)))
				tight.Add(uint64(m.exact))
				bytes.Add(uint64(m.exactBytes))
			}
		})
	}
	all.Wait()
	t.Logf("%d lives, %d of them to the byte, %d pods, %d of them to the second", lives, bytes.Load(), pods.Load(), tight.Load())
	if lives > 100 && !t.Failed() && bytes.Load() < lives/20 {
		t.Errorf("only %d of %d lives were compared to the byte", bytes.Load(), lives)
	}
	if lives > 100 && !t.Failed() && tight.Load() < pods.Load()/4 {
		t.Errorf("only %d of %d pods were compared to the second", tight.Load(), pods.Load())
	}
}

func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// model is a world with two meters, one of them usually idle, and the account they share.
type model struct {
	*world

	history history
	account v1alpha1.UsageStatus
	version int
	billed  map[types.UID]int64 // by UID, never less than before
	meters  [2]*process
	away    int64 // until when no meter runs
	// In some lives clocks jump, some machines are silent for long, or all sleep at once. Of the first and the last nobody but a meter knows: there
	// none forgets and none is away.
	jumps, gaps, naps bool
	stopped           bool
	exact             int
	egress            int64 // billed, never less than before
	exactBytes        int
}

// process is a meter between two crashes: what it has at hand of the app, and how much of the history it has heard.
type process struct {
	pulse           *meter.Pulse
	hears           int64
	reports         meter.Reports
	readAt          int64
	readings, since int // of reports, and how many there had been when the account was read
	account         *v1alpha1.UsageStatus
	version         int
	book            *meter.Book
	heard           int
	deaf            int64 // until when
}

func newModel(seed uint64) *model {
	m := &model{world: newWorld(seed), billed: map[types.UID]int64{}}
	for i := range m.meters {
		m.meters[i] = &process{}
		m.meters[i].forgets()
	}
	switch m.IntN(8) {
	case 0:
		m.jumps, m.off = true, true
	case 1, 2:
		m.gaps = true
	case 3:
		m.naps = true
	}
	return m
}

// play goes through a life to its end.
func (m *model) play() error {
	looks := 2 + m.IntN(20)
	for range 60 + m.IntN(300) {
		m.elapse()
		m.event()
		m.wireEvent(m.hosts[m.IntN(len(m.hosts))], m.somePod())
		if m.t >= m.away && m.IntN(looks) == 0 {
			if err := m.look(m.meters[0], true, true); err != nil {
				return err
			}
		}
		if m.t >= m.away && m.IntN(3) == 0 {
			if err := m.look(m.meters[0], true, false); err != nil {
				return err
			}
		}
	}
	return m.end()
}

// elapse lets a second go by for everybody.
func (m *model) elapse() {
	m.pass()
	if m.t < m.away {
		return
	}
	for _, p := range m.meters {
		if m.t >= p.hears {
			m.hear(p)
		}
	}
}

func (m *model) hear(p *process) {
	beats, ready := map[string]time.Time{}, map[string]time.Time{}
	for _, h := range m.hosts {
		if h.beat != 0 && !h.lost {
			beats[h.name(m.world)] = instant(h.beat)
			if h.ready != -1 {
				ready[h.name(m.world)] = instant(h.ready)
			}
		}
	}
	p.pulse.Hear(beats, ready, instant(m.t-m.slept), instant(m.t))
	p.hears = m.t + 5000
}

// event is what may happen next.
func (m *model) event() {
	h := m.hosts[m.IntN(len(m.hosts))]
	var p *life
	if len(m.pods) > 0 {
		p = m.pods[m.IntN(len(m.pods))]
	}
	switch n := m.IntN(400); {
	case n < 20:
		m.create()
	case n < 24:
		m.provision()
	case n < 30 && p != nil:
		m.remove(p)
	case n < 33 && p != nil:
		m.evict(p)
	case n == 33 && p != nil && !p.loose: // somebody takes the finalizer
		p.loose, p.api.Finalizers = true, nil
		p.settle()
	case n < 36 && len(m.claims) > 0:
		m.removeClaim(m.claims[m.IntN(len(m.claims))])
	case n < 42:
		m.silence(h, m.span(35-h.late/1000), false) // Kubernetes takes no notice
	case n < 44 && m.gaps:
		m.loose = true
		m.silence(h, 150_000+m.span(1000), m.IntN(2) == 0)
	case n == 44 && m.naps && m.t > 60_000:
		m.loose = true
		for _, p := range m.meters {
			m.hear(p)
		}
		m.suspend(150_000 + m.span(1000))
	case n == 45 && m.gaps && len(h.silences) == 0: // else nobody may be left to tell that it slept
		m.loose = true
		m.lose(h)
	case n == 46:
		m.collect()
	case n < 49 && !m.jumps && !m.naps:
		m.away = m.t + m.span(400)
		if m.IntN(3) > 0 { // else it can't read for so long
			m.forget()
		}
	case n < 65 && m.jumps && m.t > 60_000: // once every heartbeat was heard
		if h.clock < 5000 && h.clock > -5000 && !h.jumped {
			h.jumped = true
			h.clock += (int64(m.IntN(2))*2 - 1) * (5_000_000 + m.span(3000)) // beyond this life
		} else if h.jumped {
			h.clock = 0
		}
	}
}

// somePod is one, or nil if there are none.
func (m *model) somePod() *life {
	if len(m.pods) == 0 {
		return nil
	}
	return m.pods[m.IntN(len(m.pods))]
}

// forget is what a meter does that is started anew.
func (m *model) forget() {
	for _, p := range m.meters {
		p.forgets()
	}
}

// idle lets a moment go by in which other things happen.
func (m *model) idle() {
	for range m.IntN(3) - 1 {
		m.elapse()
	}
}

// dies reports whether the meter dies now.
func (m *model) dies(p *process) bool {
	if m.stopped || m.IntN(12) > 0 {
		return false
	}
	if !m.jumps && !m.naps && m.IntN(2) == 0 {
		p.forgets()
	}
	return true
}

// look keeps the account once, as the meter does: of all there is or of news. It reads the account before what it is about, writes it before it
// releases, and only if nobody else wrote meanwhile.
func (m *model) look(p *process, alone, whole bool) error {
	if whole {
		m.read(p)
	} else if p.account == nil || p.heard < 0 {
		return nil
	}
	m.idle()
	heard, fresh := p.pulse.Latest(instant(m.t - m.slept))
	if !fresh {
		return nil
	}
	m.idle()
	var o meter.Observed
	m.listen(p)
	if whole {
		o = m.observe(p)
	} else {
		o = p.book.News()
	}
	was := *p.account
	o.Heard, o.Stopped, o.Reports = heard, m.stopped, m.reports(p, was, whole)
	looked := m.t
	is, release, err := meter.Next(was, o, instant(looked))
	if err != nil {
		return err
	}
	if alone && m.IntN(10) == 0 { // another meter is quicker
		if err := m.look(m.meters[1], false, m.IntN(2) == 0); err != nil {
			return err
		}
	}
	m.idle()
	if m.dies(p) {
		p.account = nil
		return nil
	}
	if meter.Moved(was, is) || (whole && !equality.Semantic.DeepEqual(was, is)) {
		if m.version != p.version { // conflict
			p.account = nil
			return nil
		}
		if err := m.write(is, looked); err != nil {
			return err
		}
		p.version = m.version
	}
	p.account = &is
	p.book.Again(o, is, release)
	return m.release(p, release)
}

// release takes finalizers off, one after the other.
func (m *model) release(p *process, uids []types.UID) error {
	for _, id := range uids {
		m.idle()
		if m.dies(p) {
			return nil
		}
		for _, l := range m.pods {
			if l.api.UID == id && l.exists {
				// Of a machine that is silent for long, or seems so by its clock, the phase is believed that it told before the end.
				if l.at != over && l.at != unbound && !l.deleted && (l.early == 0 || !m.loose && !m.off) {
					return fmt.Errorf("pod %s is released while it lives", id)
				}
				l.api.Finalizers = nil
				l.settle()
			}
		}
		for _, c := range m.claims {
			if c.api.UID == id {
				c.exists = c.gone < 0
			}
		}
	}
	return nil
}

// write stores an account and looks whether it may be so.
func (m *model) write(is v1alpha1.UsageStatus, looked int64) error {
	was := m.account
	m.account, m.version = is, m.version+1
	for _, in := range is.Open {
		m.know(types.UID(in.UID), looked)
	}
	for _, id := range is.ClosedUIDs {
		m.know(types.UID(id), looked)
	}
	if was.AccruedTo != nil && is.AccruedTo.Time.Before(was.AccruedTo.Time) {
		return fmt.Errorf("accruedTo went back from %s to %s", was.AccruedTo, is.AccruedTo)
	}
	seconds, err := m.seconds()
	if err != nil {
		return err
	}
	for id, n := range seconds {
		if n < m.billed[id] {
			return fmt.Errorf("the bill of %s went back from %d to %d s", id, m.billed[id], n)
		}
		m.billed[id] = n
	}
	for _, p := range m.pods {
		if n := m.billed[p.api.UID]; n*1000 > m.used(p) {
			return fmt.Errorf("pod %s is billed for %d s, it had %d ms", p.api.UID, n, m.used(p))
		}
	}
	for _, c := range m.claims {
		if n, most := m.billed[c.api.UID], m.kept(c); n*1000 > most && !m.off {
			return fmt.Errorf("volume %s is billed for %d s, it had %d ms", c.api.UID, n, most)
		}
	}
	return m.checkWire()
}

// know notes what the account has.
func (m *model) know(id types.UID, looked int64) {
	for _, p := range m.pods {
		p.known = p.known || p.api.UID == id
	}
	for _, c := range m.claims {
		if c.api.UID == id && c.opened < 0 {
			c.opened = looked
		}
	}
}

// seconds are what may be billed now, by UID.
func (m *model) seconds() (map[types.UID]int64, error) {
	all, err := metered.Accrued(m.account)
	if err != nil {
		return nil, err
	}
	out := map[types.UID]int64{}
	for first, q := range map[rune]*big.Int{'0': all.CPU.Big(), 'v': all.Storage.Big()} {
		for n := 0; q.Sign() > 0; n++ {
			digit := new(big.Int)
			q.QuoRem(q, big.NewInt(10_000), digit)
			out[uid(first, n)] = digit.Int64()
		}
	}
	return out, nil
}

// used is how long a pod has had its reservation, in milliseconds: all the time from its first start until its last end, but for long sleep.
func (m *model) used(p *life) int64 {
	if p.first < 0 {
		return 0
	}
	last := m.t
	if p.at == backingOff || p.at == prepared || p.at == over {
		last = p.last
	}
	had := last - p.first
	for _, s := range p.host.silences {
		had -= max(0, min(last, s[1])-max(p.first, s[0]))
	}
	return had
}

// kept is how long a volume has been there.
func (m *model) kept(c *disk) int64 {
	if c.gone >= 0 {
		return c.gone - c.bound
	}
	return m.t - c.bound
}

// end heals what can be healed, removes everything, and compares.
func (m *model) end() error {
	m.away = 0
	for _, h := range m.hosts {
		if h.clock > 5000 || h.clock < -5000 {
			h.clock = 0
		}
	}
	healed := m.t + 2_000_000
	for _, p := range m.pods {
		m.remove(p)
	}
	for _, c := range m.claims {
		m.removeClaim(c)
	}
	m.stopped = true
	m.wire.close()
	for !m.account.Final {
		if m.t > healed {
			return fmt.Errorf("the account does not become final: %+v", m.account)
		}
		m.elapse()
		m.collect()
		if err := m.look(m.meters[0], true, true); err != nil {
			return err
		}
	}
	return m.compare()
}

// compare counts the seconds of each life one by one.
func (m *model) compare() error {
	if err := m.compareWire(); err != nil {
		return err
	}
	for _, p := range m.pods {
		if p.exists && slices.Contains(p.api.Finalizers, v1alpha1.FinalizerMeter) {
			return fmt.Errorf("pod %s is still held", p.api.UID)
		}
		if m.loose || m.off || p.loose || p.first < 0 {
			continue
		}
		m.exact++
		want := int64(0)
		for s := (p.first+p.host.clock)/1000 + 1; s+1 <= (p.last+p.host.clock)/1000; s++ {
			want++
		}
		if got := m.billed[p.api.UID]; got != want {
			return fmt.Errorf("pod %s, from %d to %d ms, is billed for %d s, want %d", p.api.UID, p.first, p.last, got, want)
		}
	}
	for _, c := range m.claims {
		if m.loose || m.off || c.opened < 0 {
			continue
		}
		want := max(0, c.gone/1000-(c.opened+999)/1000)
		if got := m.billed[c.api.UID]; got != want {
			return fmt.Errorf("volume %s, from %d to %d ms, is billed for %d s, want %d", c.api.UID, c.opened, c.gone, got, want)
		}
	}
	return nil
}
