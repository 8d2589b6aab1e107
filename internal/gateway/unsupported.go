// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"slices"

	"github.com/apocryph/apocryph/internal/fault"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

// checkSupported refuses what manifests can say and this version does not do: nothing that was ordered is left out silently.
func checkSupported(m *manifestv1.Manifest) error {
	named := map[string]alias{}
	for _, s := range m.GetServices() {
		if signal := s.GetStopSignal(); signal != "" {
			// Kubernetes' stopSignal is an alpha feature, off wherever nobody turned it on, and dropped silently there.
			err := refuse(providerv1.Reason_REASON_MANIFEST_INVALID, "service %s asks to be stopped by %s, and this provider stops services by the signal that their image names", s.GetName(), signal)
			return fault.Hint(err, "leave out stop_signal, or build the image with STOPSIGNAL "+signal)
		}
		for _, a := range aliasesOf(s) {
			first, taken := named[a.name]
			if taken && !slices.Equal(first.networks, a.networks) {
				err := refuse(providerv1.Reason_REASON_MANIFEST_INVALID, "services %s and %s are both called %s, on different networks, and this provider has one meaning for a name in an app", first.service, a.service, a.name)
				return fault.Hint(err, "give them different aliases, or put both onto the same networks under this one")
			}
			named[a.name] = a
		}
	}
	return nil
}

// alias is a further name of a service, and the networks on which it is called so.
type alias struct {
	name, service string
	networks      []string
}

func aliasesOf(s *manifestv1.Service) []alias {
	var all []alias
	for _, at := range s.GetNetworks() {
		for _, name := range at.GetAliases() {
			i := slices.IndexFunc(all, func(a alias) bool { return a.name == name })
			if i < 0 {
				all, i = append(all, alias{name: name, service: s.GetName()}), len(all)
			}
			all[i].networks = append(all[i].networks, at.GetNetwork())
		}
	}
	return all
}
