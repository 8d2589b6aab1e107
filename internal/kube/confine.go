// SPDX-License-Identifier: Apache-2.0

package kube

import corev1 "k8s.io/api/core/v1"

// Confine makes a pod what every pod of an app is, whatever its manifest says: without a token of the API server, without variables that name
// other Services, under the runtime's seccomp profile, and in a user namespace where the provider has them. The doctor's probes are confined by
// the same, so that they see what an app would.
func Confine(p *corev1.PodSpec, userNamespaces bool) {
	p.AutomountServiceAccountToken = new(false)
	p.EnableServiceLinks = new(false)
	if p.SecurityContext == nil {
		p.SecurityContext = &corev1.PodSecurityContext{}
	}
	p.SecurityContext.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	if userNamespaces {
		p.HostUsers = new(false)
	}
}
