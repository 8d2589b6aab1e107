// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"time"
)

// testCost measures what counting costs a packet on its way from a pod to the outside, on a machine full of pods, against none: the two
// alternate, so that whatever else the machine does is in both. It only runs when it is asked to, and judges nothing.
func (w *world) testCost() {
	if os.Getenv("APOCRYPH_EGRESS_COST") == "" {
		w.Skip("set APOCRYPH_EGRESS_COST to measure")
	}
	const rounds, packets, others = 15, 100_000, 110
	a := w.pod("a")
	w.in(w.outside, "nft", "add table ip sink; add chain ip sink in { type filter hook prerouting priority -300; }; add rule ip sink in udp dport 9 drop")
	remote := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(public), 9))
	var conn *net.UDPConn
	if err := inside(a.pid, func() (err error) {
		conn, err = net.DialUDP("udp", nil, remote)
		return err
	}); err != nil {
		w.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	measure := func() float64 {
		b := make([]byte, payload)
		start := time.Now()
		for range packets {
			_, _ = conn.Write(b)
		}
		return float64(time.Since(start).Nanoseconds()) / packets
	}
	var without, with, ratio []float64
	for range rounds {
		if err := w.agent.kernel.remove(); err != nil {
			w.Fatal(err)
		}
		none := measure()
		w.round()
		var more []tally
		for i := range others {
			more = append(more, tally{link: "other" + string(rune('a'+i/26)) + string(rune('a'+i%26)), box: "other", app: appID, uid: "other"})
		}
		if err := w.agent.kernel.change(nil, more); err != nil {
			w.Fatal(err)
		}
		some := measure()
		without, with, ratio = append(without, none), append(with, some), append(ratio, some/none)
	}
	for _, all := range [][]float64{without, with, ratio} {
		slices.Sort(all)
	}
	w.Logf("a packet takes %.0f ns without and %.0f ns with a counter, times %.3f (medians of %d; least %.0f and %.0f)",
		without[rounds/2], with[rounds/2], ratio[rounds/2], rounds, without[0], with[0])
}
