// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

func (c *serviceCheck) ports(s types.ServiceConfig) []*manifestv1.Port {
	var out []*manifestv1.Port
	for i, p := range s.Ports {
		protocol := cmpOr(p.Protocol, "tcp")
		if p.Target < 1 || p.Target > 65535 || (protocol != "tcp" && protocol != "udp") {
			c.problem(fmt.Sprintf("%d/%s is no port that can be served", p.Target, protocol), "use 1 to 65535 with tcp or udp", "ports", strconv.Itoa(i))
			continue
		}
		out = append(out, &manifestv1.Port{Number: p.Target, Protocol: protocol})
	}
	for i, e := range s.Expose {
		ps, ok := Ports(e)
		if !ok {
			c.problem(fmt.Sprintf("%q is no port", e), "write a number from 1 to 65535, a range, and /udp if it is", "expose", strconv.Itoa(i))
		}
		out = append(out, ps...)
	}
	return sortPorts(out)
}

// Ports reads 80, 80/udp, 80-82 or 80-82/tcp, as Compose and images write the ports that they expose.
func Ports(text string) ([]*manifestv1.Port, bool) {
	numbers, protocol, given := strings.Cut(text, "/")
	if !given {
		protocol = "tcp"
	}
	from, to, ranged := strings.Cut(numbers, "-")
	if !ranged {
		to = from
	}
	a, okA := asPort(from)
	b, okB := asPort(to)
	if !okA || !okB || a > b || b-a > 1000 || (protocol != "tcp" && protocol != "udp") {
		return nil, false
	}
	var out []*manifestv1.Port
	for n := a; n <= b; n++ {
		out = append(out, &manifestv1.Port{Number: n, Protocol: protocol})
	}
	return out, true
}

func sortPorts(ps []*manifestv1.Port) []*manifestv1.Port {
	slices.SortFunc(ps, func(a, b *manifestv1.Port) int {
		if a.Number != b.Number {
			return int(a.Number) - int(b.Number)
		}
		return strings.Compare(a.Protocol, b.Protocol)
	})
	return slices.CompactFunc(ps, func(a, b *manifestv1.Port) bool { return a.Number == b.Number && a.Protocol == b.Protocol })
}
