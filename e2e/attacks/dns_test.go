// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	nameServer    = "10.96.0.10:53"
	clusterDomain = ".svc.cluster.local"
)

// names asks cluster DNS about others.
func (w *world) names() []attempt {
	lookup := func(from func() place, kind string, name func(context.Context) (string, error)) func(context.Context) error {
		return func(ctx context.Context) error {
			n, err := name(ctx)
			if err != nil {
				return err
			}
			return w.does(from, "lookup", "server", nameServer, "name", n, "type", kind)(ctx)
		}
	}
	unknown := []string{"NameError", "Refused", "ServerFailure", "no answer"}
	name := func(p func() place) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return p().service + "." + p().namespace + clusterDomain, nil }
	}
	reverse := func(find func(context.Context) (string, error)) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			ip, err := find(ctx)
			var a, b, c, d int
			if err == nil {
				_, err = fmt.Sscanf(ip, "%d.%d.%d.%d", &a, &b, &c, &d)
			}
			return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", d, c, b, a), err
		}
	}
	whose := reverse(func(ctx context.Context) (string, error) { return w.clusterIP(ctx, w.target().namespace, "probe") })
	provider := func(context.Context) (string, error) { return "keeper.apocryph-system" + clusterDomain, nil }
	zone := strings.TrimPrefix(clusterDomain, ".svc.")
	return []attempt{
		{name: "it finds another app's service by name", try: lookup(w.probe, "A", name(w.target)), says: unknown, control: lookup(w.probe, "A", name(w.sibling))},
		{name: "it finds the provider's services by name", try: lookup(w.probe, "A", provider), says: unknown, control: lookup(w.open, "A", provider)},
		{name: "it learns by an address whose it is", try: lookup(w.probe, "PTR", whose), says: unknown, control: lookup(w.open, "PTR", whose)},
		{
			name: "it lists all names at once", try: w.does(w.probe, "transfer", "server", nameServer, "name", zone),
			says:    []string{"Refused", "ServerFailure", "NotImplemented", "NameError", "records"},
			control: w.does(w.probe, "lookup", "network", "tcp", "server", nameServer, "name", "sibling."+w.sibling().namespace+clusterDomain),
		},
		{name: "its questions keep others from an answer", try: w.drown, says: []string{"everybody was answered"}, control: lookup(w.target, "A", name(w.target))},
	}
}

// drown floods cluster DNS while the other app asks, too. It fails, as an attempt, if that app got every answer.
func (w *world) drown(ctx context.Context) error {
	flood, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() {
		said, err := w.ask(flood, w.probe(), "flood", "server", nameServer, "name", "nobody"+clusterDomain, "seconds", "4")
		if err == nil && strings.HasPrefix(said, "0 of") {
			err = errors.New("the flood got no answer at all: " + said)
		}
		done <- err
	}()
	for n := 0; ; n++ {
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("%w, or there was no flood: %w", errHappened, err)
			}
			if err := w.dnsStands(ctx); err != nil {
				return fmt.Errorf("%w: %w", errHappened, err)
			}
			return fmt.Errorf("everybody was answered, %d times", n)
		default:
		}
		own := "probe." + w.target().namespace + clusterDomain
		if _, err := w.ask(ctx, w.target(), "lookup", "server", nameServer, "name", own, "type", "A"); err != nil {
			return fmt.Errorf("%w: %w", errHappened, err)
		}
	}
}

// dnsStands says whether the name server never had to start again.
func (w *world) dnsStands(ctx context.Context) error {
	var pods corev1.PodList
	if err := w.Kube.List(ctx, &pods, client.InNamespace("kube-system"), client.MatchingLabels{"k8s-app": "kube-dns"}); err != nil {
		return err
	}
	for _, p := range pods.Items {
		for _, c := range p.Status.ContainerStatuses {
			if c.RestartCount > 0 || !c.Ready {
				return fmt.Errorf("%s: %d restarts", p.Name, c.RestartCount)
			}
		}
	}
	return nil
}
