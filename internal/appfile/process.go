// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// program is what replaces the image's entrypoint and command. An empty entrypoint or command clears the image's own, and in a manifest
// only what is given in full can do that.
func (c *serviceCheck) program(s types.ServiceConfig, img *Image) (entrypoint, command []string) {
	given := func(words []string) bool { return len(words) > 1 || (len(words) == 1 && words[0] != "") }
	cleared := func(words []string) bool { return words != nil && !given(words) }
	if given(s.Entrypoint) {
		entrypoint = s.Entrypoint
	}
	if given(s.Command) {
		command = s.Command
	}
	if img == nil {
		return entrypoint, command
	}
	if cleared(s.Entrypoint) {
		if entrypoint = command; entrypoint == nil && !cleared(s.Command) {
			entrypoint = img.Cmd
		}
		if len(entrypoint) == 0 {
			c.problem("the entrypoint is empty, and so is the command", "write the program to run", "entrypoint")
		}
		return entrypoint, nil
	}
	if cleared(s.Command) && entrypoint == nil {
		if entrypoint = img.Entrypoint; len(entrypoint) == 0 {
			c.problem("the command is empty, and the image has no entrypoint", "write the program to run", "command")
		}
	}
	return entrypoint, command
}

// stopSignal checks that a service asks to be stopped as its image is: nothing else can be asked for in Kubernetes without a feature that is off
// where nobody turned it on. So the manifest never has to say one.
func (c *serviceCheck) stopSignal(s types.ServiceConfig, img *Image) {
	if s.StopSignal == "" {
		return
	}
	name := signalName(s.StopSignal)
	if !slices.Contains(manifest.Signals(), name) {
		c.problem(fmt.Sprintf("%q is no signal that can be sent", s.StopSignal), "use one of "+strings.Join(manifest.Signals(), ", "), "stop_signal")
		return
	}
	if img == nil || img.Unseen {
		c.note(fmt.Sprintf("the image has to ask for %s itself (STOPSIGNAL), which will be seen at deploy", name), "stop_signal")
		return
	}
	if own := signalName(cmpOr(img.StopSignal, "SIGTERM")); own != name {
		c.problem(fmt.Sprintf("not supported: image %s is stopped by %s, and no other signal can be chosen", s.Image, own),
			fmt.Sprintf("remove it, or build the image with STOPSIGNAL %s", name), "stop_signal")
	}
}

// signalName is as in SIGINT, of a name with or without SIG in either case, or of a number.
func signalName(text string) string {
	name := strings.ToUpper(text)
	if n, ok := map[string]string{"1": "HUP", "2": "INT", "3": "QUIT", "9": "KILL", "10": "USR1", "12": "USR2", "15": "TERM", "28": "WINCH"}[name]; ok {
		name = n
	}
	return "SIG" + strings.TrimPrefix(name, "SIG")
}

// grace is the time to stop in whole seconds, or 0 where nothing is said.
func (c *serviceCheck) grace(s types.ServiceConfig) uint32 {
	if s.StopGracePeriod == nil {
		return 0
	}
	d := time.Duration(*s.StopGracePeriod)
	if d < 0 || d > maxGrace {
		c.problem("the period is not within 0 s and 1 h", "write a duration as in 30s", "stop_grace_period")
		return 0
	}
	return uint32(max(1, (d+time.Second-1)/time.Second))
}

func (c *serviceCheck) hostname(s types.ServiceConfig) string {
	switch {
	case s.Hostname == "":
		return ""
	case !manifest.LooksLikeLabel(s.Hostname):
		c.note("no effect: a host name here has only lower-case letters, digits and inner hyphens", "hostname")
		return ""
	}
	return s.Hostname
}

// hosts are names for addresses outside of the app.
func (c *serviceCheck) hosts(s types.ServiceConfig) []*manifestv1.Host {
	var out []*manifestv1.Host
	for name, addresses := range s.ExtraHosts {
		for _, text := range addresses {
			if text == "host-gateway" {
				c.note("no effect: there is no machine of yours behind "+name, "extra_hosts")
				continue
			}
			a, err := netip.ParseAddr(strings.Trim(text, "[]"))
			if err != nil || a.Zone() != "" || !isHostName(name) {
				c.problem(fmt.Sprintf("%s at %s is no name at an address", name, text), "write NAME=ADDRESS, as in api=192.0.2.1", "extra_hosts")
				continue
			}
			out = append(out, &manifestv1.Host{Name: name, Address: a.String()})
		}
	}
	slices.SortFunc(out, func(a, b *manifestv1.Host) int {
		return strings.Compare(a.Name+" "+a.Address, b.Name+" "+b.Address)
	})
	out = slices.CompactFunc(out, func(a, b *manifestv1.Host) bool { return a.Name == b.Name && a.Address == b.Address })
	if len(out) > manifest.MaxHosts {
		c.problem(fmt.Sprintf("%d names, at most %d", len(out), manifest.MaxHosts), "resolve the others by DNS", "extra_hosts")
	}
	return out
}

func isHostName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for _, part := range strings.Split(name, ".") {
		if !manifest.LooksLikeLabel(strings.ToLower(part)) {
			return false
		}
	}
	return true
}
