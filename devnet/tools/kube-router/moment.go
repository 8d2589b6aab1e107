// SPDX-License-Identifier: Apache-2.0

package main

import (
	v1 "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// moment is the cluster as one sync sees it. It stands in for the store of the policies, of which kube-router lists all once, when a sync
// begins: with that list it fixes the pods that the same sync sees, in seen. A pod that comes later has no chain in it, and waits for the next.
//
// A pod is not seen either while its namespace is unknown, or is closed and lacks policies for it: the informers of pods and policies are two,
// and which of them is behind nobody knows. As policies only add to what others allow, some of them already allow less than all of them.
//
// It is only used by the one goroutine that syncs.
type moment struct {
	cache.Indexer // of the policies, as they are now

	pods, namespaces cache.Store
	closed           labels.Selector
	seen             cache.Indexer
}

func newMoment(pods, namespaces cache.Store, policies cache.Indexer, closed labels.Selector) *moment {
	return &moment{
		Indexer: policies, pods: pods, namespaces: namespaces, closed: closed,
		seen: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}),
	}
}

// seen is an informer with another store than its own.
type seen struct {
	cache.SharedIndexInformer
	store cache.Indexer
}

func (s *seen) GetIndexer() cache.Indexer { return s.store }

// List begins a moment.
func (m *moment) List() []any {
	policies := m.Indexer.List()
	var there []any
	for _, o := range m.pods.List() {
		if p := o.(*v1.Pod); addressed(p) && m.governed(p, policies) {
			there = append(there, p)
		}
	}
	if err := m.seen.Replace(there, ""); err != nil {
		klog.Fatalf("pods without a name: %v", err) // what is known of no pod holds for none
	}
	return policies
}

// addressed says whether a pod has an address of its own, and uses it.
func addressed(p *v1.Pod) bool {
	return p.Status.PodIP != "" && !p.Spec.HostNetwork && p.Status.Phase != v1.PodFailed && p.Status.Phase != v1.PodSucceeded
}

// governed says whether policies say all that a pod may do, or need not.
func (m *moment) governed(p *v1.Pod, policies []any) bool {
	closed, known := m.isClosed(p)
	return known && (!closed || selected(p, policies, networking.PolicyTypeIngress) && selected(p, policies, networking.PolicyTypeEgress))
}

func (m *moment) isClosed(p *v1.Pod) (closed, known bool) {
	o, known, err := m.namespaces.GetByKey(p.Namespace)
	if err != nil || !known {
		return false, false
	}
	return m.closed.Matches(labels.Set(o.(*v1.Namespace).Labels)), true
}

// selected says whether a policy is for a pod in one direction.
func selected(p *v1.Pod, policies []any, direction networking.PolicyType) bool {
	for _, o := range policies {
		policy := o.(*networking.NetworkPolicy)
		selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
		if err != nil || policy.Namespace != p.Namespace || !selector.Matches(labels.Set(p.Labels)) {
			continue
		}
		for _, t := range policy.Spec.PolicyTypes {
			if t == direction {
				return true
			}
		}
	}
	return false
}

// addresses are those of the moment's pods, and of those among them that are of closed namespaces.
func (m *moment) addresses() (all, tenants []string) {
	for _, o := range m.seen.List() {
		p := o.(*v1.Pod)
		all = append(all, p.Status.PodIP)
		if closed, _ := m.isClosed(p); closed {
			tenants = append(tenants, p.Status.PodIP)
		}
	}
	return all, tenants
}
