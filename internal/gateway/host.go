// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/fault"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

const (
	// Labels on Apps by which the gateway finds them; what it found is decided by the spec.
	labelPublisher = v1alpha1.Group + "/publisher"
	labelHost      = v1alpha1.Group + "/host"

	// idInHost is how much of the app id a default host has: 50 bits, so nobody guesses it before it is known.
	idInHost = 10
	maxLabel = 63
	punycode = "xn--"
)

// reservedHosts are labels that an app user could take for the provider's own.
func reservedHosts() []string {
	return []string{
		"account", "admin", "api", "apocryph", "app", "apps", "attest", "auth", "autoconfig", "autodiscover", "billing", "console",
		"dashboard", "facade", "gateway", "help", "imagestore", "internal", "keeper", "localhost", "login", "mail", "mta-sts", "ns", "ns1",
		"ns2", "oauth", "provider", "registry", "root", "secure", "smtp", "sso", "status", "support", "system", "webmail", "wpad", "www",
	}
}

func cutLabel(s string) (label, rest string, more bool) { return strings.Cut(s, ".") }

// checkHostForm: an explicit host is one plain label that an app may have.
func checkHostForm(m *manifestv1.Manifest) error {
	host := m.GetHttp().GetHost()
	switch {
	case host == "":
		return nil
	case !manifest.LooksLikeLabel(host) || strings.HasPrefix(host, punycode):
		err := refuse(providerv1.Reason_REASON_HOST_INVALID, "host %.80q is not one label of a-z, 0-9 and inner hyphens", host)
		return fault.Hint(err, "give only the first part of the name: the provider's domain is added")
	case slices.Contains(reservedHosts(), host):
		err := refuse(providerv1.Reason_REASON_HOST_TAKEN, "host %q is reserved", host)
		return fault.Hint(err, "choose another host, or none to get one")
	}
	return nil
}

// hostLabel is the explicit one, or one that starts with the app's name and can't be guessed.
func hostLabel(m *manifestv1.Manifest, id delegation.AppID) string {
	if m.GetHttp() == nil {
		return ""
	}
	if m.Http.Host != "" {
		return m.Http.Host
	}
	name := m.Name
	if strings.HasPrefix(name, punycode) {
		name = "app-" + name // else browsers would show what it decodes to
	}
	name = name[:min(len(name), maxLabel-idInHost-1)]
	return strings.TrimRight(name, "-") + "-" + id.String()[:idInHost]
}

func (g *Gateway) fullHost(label string) string {
	if label == "" {
		return ""
	}
	return label + "." + g.cfg.HostDomain
}

// checkHostFree: no other app has the host. The caller holds g.hosts for as long as the answer has to stay true.
func (g *Gateway) checkHostFree(ctx context.Context, id delegation.AppID, label string) error {
	if label == "" {
		return nil
	}
	var list v1alpha1.AppList
	if err := g.parts.Cluster.List(ctx, &list, client.InNamespace(g.cfg.Namespace), client.MatchingLabels{labelHost: label}); err != nil {
		return err
	}
	for i := range list.Items {
		app := &list.Items[i]
		if app.Name == id.String() || app.Spec.Host != g.fullHost(label) || app.Status.Phase == v1alpha1.PhaseEnded {
			continue
		}
		err := refuse(providerv1.Reason_REASON_HOST_TAKEN, "host %s is taken", g.fullHost(label))
		return fault.Hint(err, "choose another host, or none to get one")
	}
	return nil
}
