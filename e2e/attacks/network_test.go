// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/e2e/bed"
)

// unreached is how a connection fails that a policy does not let through.
func unreached() []string { return []string{"refused", "timeout", "unreachable", "prohibited"} }

// where finds an endpoint.
type where func(context.Context) (string, error)

func at(endpoint string) where { return func(context.Context) (string, error) { return endpoint, nil } }

// network tries to reach what is none of a tenant's business. Where nothing is said, the control is a pod that no policy is for.
func (w *world) network() []attempt {
	inNamespace := func(port string, find func(context.Context) (string, error)) where {
		return func(ctx context.Context) (string, error) {
			ip, err := find(ctx)
			return net.JoinHostPort(ip, port), err
		}
	}
	pod := func(port, namespace, label, value string) where {
		return inNamespace(port, func(ctx context.Context) (string, error) {
			return w.systemPod(ctx, namespace, client.MatchingLabels{label: value})
		})
	}
	service := func(port, namespace, name string) where {
		return inNamespace(port, func(ctx context.Context) (string, error) { return w.clusterIP(ctx, namespace, name) })
	}
	machine := func(port string) where {
		return func(context.Context) (string, error) { return net.JoinHostPort(w.outside.node, port), nil }
	}
	component, dns := "app.kubernetes.io/component", "k8s-app"
	all := []attempt{
		w.unreachable("the API server, by its service", at("10.96.0.1:443")),
		w.unreachable("the API server, on the machine", machine("6443")),
		w.unreachable("kubelet", machine("10250")),
		w.unreachable("kubelet's port without authentication", machine("10255")),
		w.unreachable("kube-proxy", machine("10256")),
		w.unreachable("what enforces the policies", machine("20244")),
		w.unreachable("the provider's chain endpoint", machine("8545")),
		w.unreachable("the machine, by its end of the pod's own link", at("10.244.0.1:10250")),
		w.unreachable("the gateway's pod", pod("4001", bed.SystemNamespace, component, "gateway")),
		w.unreachable("the gateway, by its service", service("4001", bed.SystemNamespace, "gateway")),
		w.unreachable("the gateway, by the machine's port", machine("30400")),
		w.unreachable("the facade's pod", pod("8080", bed.SystemNamespace, component, "facade")),
		w.unreachable("the image store's pull port", pod("5000", bed.SystemNamespace, component, "imagestore")),
		w.unreachable("cluster DNS's health port", pod("8080", "kube-system", dns, "kube-dns")),
		w.unreachable("cluster DNS's readiness port", pod("8181", "kube-system", dns, "kube-dns")),
		w.unreachable("the metadata service", at(metadata+":80")),
	}
	for _, a := range neighbours() {
		all = append(all, w.unreachable("a neighbour of the provider's at "+a, at(a+":80")))
	}
	// These let nobody in but whom their own policies name, or have no way back to a pod: the control is the machine.
	for what, to := range map[string]where{
		"another app's pod": inNamespace("8080", func(ctx context.Context) (string, error) { return w.address(ctx, w.target()) }),
		"another app's service": inNamespace("8080", func(ctx context.Context) (string, error) {
			return w.clusterIP(ctx, w.target().namespace, "probe")
		}),
		"what the machine runs on": func(context.Context) (string, error) {
			return net.JoinHostPort(w.outside.host, strconv.Itoa(w.outside.port)), nil
		},
		"the image store's push port": service("7200", bed.SystemNamespace, "imagestore"),
		"the log store":               pod("7300", bed.SystemNamespace, component, "logstore"),
		"the keeper":                  service("7100", bed.SystemNamespace, "keeper"),
	} {
		a := w.unreachable(what, to)
		a.control = func(ctx context.Context) error {
			endpoint, err := to(ctx)
			return errors.Join(err, w.onMachine("network", "tcp", "to", endpoint)(ctx))
		}
		all = append(all, a)
	}
	return append(append(all, w.sideways()...), w.quick())
}

// unreachable is an attempt to connect.
func (w *world) unreachable(what string, to where) attempt {
	dial := func(from func() place) func(context.Context) error {
		return func(ctx context.Context) error {
			endpoint, err := to(ctx)
			if err != nil {
				return fmt.Errorf("finding %s: %w", what, err)
			}
			return w.does(from, "dial", "network", "tcp", "to", endpoint)(ctx)
		}
	}
	return attempt{name: "it reaches " + what, try: dial(w.probe), says: unreached(), control: dial(w.open)}
}

// sideways are the less direct ways.
func (w *world) sideways() []attempt {
	return []attempt{
		{
			name:    "it sends mail",
			try:     w.does(w.probe, "dial", "network", "tcp", "to", mail+":25"),
			says:    unreached(),
			control: w.does(w.probe, "dial", "network", "tcp", "to", mail+":80"),
		},
		{
			name: "it reaches the machine by the link's IPv6 address",
			try: func(ctx context.Context) error {
				_, theirs, err := w.linkLocal(ctx)
				if err != nil {
					return err
				}
				return w.does(w.probe, "dial", "network", "tcp", "to", "["+theirs+"%eth0]:10250")(ctx)
			},
			says: unreached(),
			control: func(ctx context.Context) error {
				ours, _, err := w.linkLocal(ctx)
				if err != nil {
					return err
				}
				return w.does(w.probe, "dial", "network", "tcp", "to", "["+ours+"%eth0]:8080")(ctx)
			},
		},
		{
			name:    "it reaches the machine's loopback by naming a device",
			try:     w.does(w.probe, "dial", "network", "tcp", "to", "127.0.0.1:5100", "device", "eth0"),
			says:    unreached(),
			control: w.does(w.probe, "dial", "network", "tcp", "to", "sibling:8080", "device", "eth0"),
		},
	}
}

// linkLocal are the IPv6 addresses that both ends of the attacker's link have, if they have any.
func (w *world) linkLocal(ctx context.Context) (ours, theirs string, err error) {
	mac, err := w.ask(ctx, w.probe(), "read", "path", "/sys/class/net/eth0/address")
	if err != nil {
		return "", "", err
	}
	peer, err := w.ask(ctx, w.probe(), "read", "path", "/sys/class/net/eth0/iflink")
	if err != nil {
		return "", "", err
	}
	other, err := w.outside.macOf(ctx, strings.TrimSpace(peer))
	if err != nil {
		return "", "", err
	}
	if ours, err = fromMAC(mac); err != nil {
		return "", "", err
	}
	theirs, err = fromMAC(other)
	return ours, theirs, err
}

// fromMAC is the address that the kernel gives a link.
func fromMAC(mac string) (string, error) {
	m, err := net.ParseMAC(strings.TrimSpace(mac))
	if err != nil {
		return "", err
	}
	ip := net.IP{0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]}
	return ip.String(), nil
}

// identity tries to be somebody else on the network.
func (w *world) identity() []attempt {
	denied := []string{"operation not permitted"}
	system := func(from func() place, what string) func(context.Context) error {
		return func(ctx context.Context) error {
			victim, err := w.address(ctx, w.target())
			if err != nil {
				return err
			}
			own, err := w.address(ctx, from())
			if err != nil {
				return err
			}
			if from() == w.open() {
				victim = own // the control disturbs nobody
			}
			return w.does(from, "system", "what", what, "from", victim, "to", own)(ctx)
		}
	}
	var all []attempt
	for what, name := range map[string]string{
		"raw socket":    "it makes raw sockets",
		"packet socket": "it reads and writes frames",
		"forged source": "it sends a packet in another app's name",
		"forged ARP":    "it tells the link that another app's address is its own",
	} {
		all = append(all, attempt{name: name, try: system(w.probe, what), says: denied, control: system(w.open, what)})
	}
	borrow := func(owner func() place) func(context.Context) error {
		return func(ctx context.Context) error {
			from, err := w.address(ctx, owner())
			if err != nil {
				return err
			}
			to, err := w.address(ctx, w.sibling())
			if err != nil {
				return err
			}
			return w.does(w.probe, "borrow", "from", from+":0", "to", to+":9")(ctx)
		}
	}
	return append(all, attempt{
		name: "it borrows another app's address", try: borrow(w.target), says: []string{"invalid argument", "network is unreachable"}, control: borrow(w.probe),
	})
}
