// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// labelAlias and a name, on the pods that answer to it. Services select by it.
const labelAlias = "alias.apocryph.network/"

// siblings are the policies by which services reach each other: one for each network, and one for all services that name none. They
// select services by name rather than by labels of their own, so that joining a network restarts nobody.
func (d *desired) siblings() []client.Object {
	members := map[string][]string{}
	var unnamed []string
	for _, s := range d.manifest.GetServices() {
		if len(s.GetNetworks()) == 0 {
			unnamed = append(unnamed, s.GetName())
		}
		for _, a := range s.GetNetworks() {
			members[a.GetNetwork()] = append(members[a.GetNetwork()], s.GetName())
		}
	}
	var all []client.Object
	if len(unnamed) > 0 {
		all = append(all, d.among("within-app", unnamed))
	}
	for _, n := range d.manifest.GetNetworks() {
		if len(members[n.GetName()]) > 0 {
			all = append(all, d.among("network-"+n.GetName(), members[n.GetName()]))
		}
	}
	return all
}

// among lets services reach each other.
func (d *desired) among(name string, services []string) client.Object {
	pods := d.pods(services)
	peers := []networkingv1.NetworkPolicyPeer{{PodSelector: &pods}}
	return d.policy(name, networkingv1.NetworkPolicySpec{
		PodSelector: pods,
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
		Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: peers}},
		Egress:      []networkingv1.NetworkPolicyEgressRule{{To: peers}},
	})
}

// outward lists the services that reach the internet: all but those that are on internal networks only.
func (d *desired) outward() []string {
	var all []string
	for _, s := range d.manifest.GetServices() {
		if len(s.GetNetworks()) == 0 || slices.ContainsFunc(s.GetNetworks(), func(a *manifestv1.Attachment) bool { return !d.internal(a.GetNetwork()) }) {
			all = append(all, s.GetName())
		}
	}
	return all
}

func (d *desired) internal(network string) bool {
	return slices.ContainsFunc(d.manifest.GetNetworks(), func(n *manifestv1.Network) bool { return n.GetName() == network && n.GetInternal() })
}

// pods selects those of services; of all, without naming them. What carries volumes' content is of none.
func (d *desired) pods(services []string) metav1.LabelSelector {
	if len(services) == len(d.manifest.GetServices()) {
		return metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: v1alpha1.LabelService, Operator: metav1.LabelSelectorOpExists},
		}}
	}
	return metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: v1alpha1.LabelService, Operator: metav1.LabelSelectorOpIn, Values: services},
	}}
}

// aliases are the further names of a service, sorted, without its own.
func aliases(s *manifestv1.Service) []string {
	var all []string
	for _, a := range s.GetNetworks() {
		all = append(all, a.GetAliases()...)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(name string) bool { return name == s.GetName() })
}

// aliasServices are names that lead to one service or to several. One service's has its ports; what several share leads to their pods'
// addresses, on any port, as in Compose.
func (d *desired) aliasServices() []client.Object {
	answers := map[string][]*manifestv1.Service{}
	var names []string
	for _, s := range d.manifest.GetServices() {
		for _, name := range aliases(s) {
			answers[name] = append(answers[name], s)
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var all []client.Object
	for _, name := range slices.Compact(names) {
		var ports []*manifestv1.Port
		if len(answers[name]) == 1 {
			ports = answers[name][0].GetPorts()
		}
		svc := d.serviceOf(name, ports)
		svc.Spec.Selector = map[string]string{v1alpha1.LabelApp: d.id, labelAlias + name: ""}
		all = append(all, svc)
	}
	return all
}
