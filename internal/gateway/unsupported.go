// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

// checkSupported refuses what manifests can say and this version does not do yet: nothing that was ordered is left out silently.
func checkSupported(m *manifestv1.Manifest) error {
	for _, s := range m.GetServices() {
		for what, asked := range map[string]bool{
			"depends_on":            len(s.GetDependsOn()) > 0,
			"a health check":        s.GetHealth() != nil,
			"a service that ends":   s.GetRestart() != manifestv1.Restart_RESTART_UNSPECIFIED,
			"networks":              len(s.GetNetworks()) > 0,
			"files":                 len(s.GetFiles()) > 0,
			"directories in memory": len(s.GetMemoryMounts()) > 0 || s.GetSharedMemoryBytes() > 0,
			"a stop signal":         s.GetStopSignal() != "",
			"further groups":        len(s.GetGroups()) > 0,
			"an init process":       s.GetInit(),
			"a host name":           s.GetHostname() != "",
			"names for hosts":       len(s.GetHosts()) > 0,
		} {
			if asked {
				return refuse(providerv1.Reason_REASON_MANIFEST_INVALID, "service %s asks for %s, which this provider does not do yet", s.GetName(), what)
			}
		}
	}
	return nil
}
