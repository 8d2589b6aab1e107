// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cloudnativelabs/kube-router/v2/pkg/utils"
	v1 "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
)

const label = "apocryph.network/app"

// cluster is what the informers know.
type cluster struct{ pods, namespaces, policies cache.Indexer }

func newCluster(objects ...any) *cluster {
	c := &cluster{}
	for _, i := range []*cache.Indexer{&c.pods, &c.namespaces, &c.policies} {
		*i = cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	}
	c.add(objects...)
	return c
}

func (c *cluster) add(objects ...any) {
	for _, o := range objects {
		to := c.pods
		switch o.(type) {
		case *v1.Namespace:
			to = c.namespaces
		case *networking.NetworkPolicy:
			to = c.policies
		}
		if err := to.Add(o); err != nil {
			panic(err)
		}
	}
}

func (c *cluster) moment() *moment {
	closed, err := labels.Parse(label)
	if err != nil {
		panic(err)
	}
	return newMoment(c.pods, c.namespaces, c.policies, closed)
}

func pod(namespace, ip string) *v1.Pod {
	return &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p" + ip, Labels: map[string]string{"service": "web"}},
		Status:     v1.PodStatus{PodIP: ip, Phase: v1.PodRunning},
	}
}

func namespace(name string, labels ...string) *v1.Namespace {
	ns := &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
	for _, l := range labels {
		ns.Labels[l] = "x"
	}
	return ns
}

func policy(namespace string, service string, types ...networking.PolicyType) *networking.NetworkPolicy {
	p := &networking.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "n" + service}}
	p.Spec.PolicyTypes = types
	if service != "" {
		p.Spec.PodSelector.MatchLabels = map[string]string{"service": service}
	}
	return p
}

func TestAPodIsSeenOnceItsPoliciesAre(t *testing.T) {
	in, out := networking.PolicyTypeIngress, networking.PolicyTypeEgress
	changed := func(change func(*v1.Pod)) *v1.Pod {
		p := pod("open", "10.0.0.1")
		change(p)
		return p
	}
	for name, tt := range map[string]struct {
		objects []any
		seen    bool
	}{
		"an open namespace needs no policy":                   {[]any{namespace("open"), pod("open", "10.0.0.1")}, true},
		"a namespace that is not known might be closed":       {[]any{pod("open", "10.0.0.1")}, false},
		"a closed namespace without a policy":                 {[]any{namespace("app", label), pod("app", "10.0.0.1")}, false},
		"a policy for one direction only":                     {[]any{namespace("app", label), pod("app", "10.0.0.1"), policy("app", "", out)}, false},
		"a policy for both":                                   {[]any{namespace("app", label), pod("app", "10.0.0.1"), policy("app", "", in, out)}, true},
		"two policies, one for each":                          {[]any{namespace("app", label), pod("app", "10.0.0.1"), policy("app", "", in), policy("app", "web", out)}, true},
		"a policy for other pods":                             {[]any{namespace("app", label), pod("app", "10.0.0.1"), policy("app", "db", in, out)}, false},
		"a policy of another namespace":                       {[]any{namespace("app", label), pod("app", "10.0.0.1"), policy("other", "", in, out)}, false},
		"a pod without an address":                            {[]any{namespace("open"), changed(func(p *v1.Pod) { p.Status.PodIP = "" })}, false},
		"a pod that ended, whose address is somebody else's":  {[]any{namespace("open"), changed(func(p *v1.Pod) { p.Status.Phase = v1.PodFailed })}, false},
		"a pod that is done":                                  {[]any{namespace("open"), changed(func(p *v1.Pod) { p.Status.Phase = v1.PodSucceeded })}, false},
		"a pod on the machine's network has the machine's":    {[]any{namespace("open"), changed(func(p *v1.Pod) { p.Spec.HostNetwork = true })}, false},
		"a pod that waits for its containers has its address": {[]any{namespace("open"), changed(func(p *v1.Pod) { p.Status.Phase = v1.PodPending })}, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newCluster(tt.objects...).moment()
			m.List()
			if got := len(m.seen.List()) == 1; got != tt.seen {
				t.Errorf("seen: %t, want %t", got, tt.seen)
			}
		})
	}
}

// What kube-router lists after the policies is what was there when it listed them.
func TestAMomentDoesNotChange(t *testing.T) {
	c := newCluster(namespace("open"), pod("open", "10.0.0.1"))
	m := c.moment()
	m.List()
	c.add(pod("open", "10.0.0.2"))
	if n := len(m.seen.List()); n != 1 {
		t.Errorf("%d pods are seen of the one that was there", n)
	}
	if in, err := m.seen.Index(cache.NamespaceIndex, pod("open", "")); err != nil || len(in) != 1 {
		t.Errorf("by namespace %d pods are seen, %v", len(in), err)
	}
	m.List()
	if n := len(m.seen.List()); n != 2 {
		t.Errorf("%d pods are seen in the next moment", n)
	}
}

// steps is a handler of sets that writes down what comes when.
type steps struct {
	utils.IPSetHandler

	said []string
}

func (s *steps) Restore() error { s.said = append(s.said, "chains change"); return nil }
func (s *steps) Save() error    { s.said = append(s.said, "chains changed"); return nil }

func TestTheGateOpensLastAndShutsFirst(t *testing.T) {
	c := newCluster(namespace("open"), namespace("app", label), policy("app", "", networking.PolicyTypeIngress, networking.PolicyTypeEgress), pod("open", "10.0.0.1"))
	s := &steps{}
	g := &gate{IPSetHandler: s, moment: c.moment(), nft: func(script string) error {
		elements := slices.DeleteFunc(strings.Split(script, "\n"), func(l string) bool { return !strings.HasPrefix(l, "add") })
		s.said = append(s.said, strings.ReplaceAll(strings.Join(elements, ";"), "add element inet devnet ", ""))
		return nil
	}}
	sync := func(want ...string) {
		t.Helper()
		s.said = nil
		g.moment.List()
		if err := errors.Join(g.Restore(), g.Save()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.said, want) {
			t.Errorf("said %q, want %q", s.said, want)
		}
	}
	sync("", "chains change", "governed { 10.0.0.1 }", "chains changed") // what an earlier process left is shut
	sync("chains change", "chains changed")
	c.add(pod("app", "10.0.0.2"))
	sync("chains change", "governed { 10.0.0.1 };governed { 10.0.0.2 };tenants { 10.0.0.2 }", "chains changed")
	if err := c.pods.Delete(pod("open", "10.0.0.1")); err != nil {
		t.Fatal(err)
	}
	sync("governed { 10.0.0.2 };tenants { 10.0.0.2 }", "chains change", "chains changed")
}

func TestAGateThatCanNotBeMovedEndsTheSync(t *testing.T) {
	g := &gate{IPSetHandler: &steps{}, moment: newCluster().moment(), nft: func(string) error { return errors.New("no table") }}
	if g.Restore() == nil || g.Save() == nil {
		t.Error("the sync went on")
	}
}
