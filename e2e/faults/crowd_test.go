// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
)

const (
	// crowdApps are how many apps the crowd is, steadyPods how many pods of each are deleted and come again.
	crowdApps, steadyPods = 4, 8
	// crowdLimit is for all of its life but the end.
	crowdLimit = 8 * time.Minute
	// deleteEvery is how often a pod of the crowd is deleted, and pendingLimit how many may be under way.
	deleteEvery  = 250 * time.Millisecond
	pendingLimit = 12
)

// mostOfCrowd is what one of its apps reserves, with the surge of an update: of all services but the one with the volume.
func mostOfCrowd() reserved {
	return reserved{milliCPU: 100 + 2*10*(steadyPods+3), storageBytes: 64 << 20}
}

// crowdFile is an app of many small pods: a server with a volume, what stays, what crashes again and again, what runs once, and what overfills
// its own disk and is evicted for it, again and again.
func crowdFile(version string) string {
	small := "    cpus: 0.01\n    mem_limit: 32m\n    environment: {VERSION: \"" + version + "\"}\n"
	service := func(name, more string) string {
		return "  " + name + ":\n    image: " + bed.ProbeImage + "\n" + small + more
	}
	return bed.ProbeFileWith(
		service("steady", fmt.Sprintf("    deploy: {replicas: %d}\n", steadyPods)) +
			service("crash", "    command: [do, last, \"15\", \"1\"]\n") +
			service("once", "    command: [do, last, \"1\", \"0\"]\n    restart: \"no\"\n") +
			service("hog", "    command: [do, overfill, \"12\", \"24\"]\n    x-apocryph: {ephemeral: 8MiB}\n"))
}

// crowdFaults strike one after the other, the meter's own end twice.
func crowdFaults() []fault {
	return []fault{
		{kind: service, what: "meter"},
		{kind: machine, what: "kube-apiserver"},
		{kind: service, what: "keeper"},
		{kind: machine, what: "containerd"},
		{kind: service, what: "meter"},
		{kind: machine, what: "kubelet"},
		{kind: service, what: "invoicer"},
		{kind: machine, what: "kube-controller-manager"},
	}
}

// Many pods start and end in every way there is, while what counts them breaks: each app's bill is what the container runtime's records
// come to.
func TestEveryPodOfACrowdIsBilledAsItRan(t *testing.T) {
	if os.Getenv("APOCRYPH_CROWD_PODS") == "" {
		t.Skip("takes minutes, and as many processors as there are: run make bench B=billing, or set APOCRYPH_CROWD_PODS")
	}
	s := newScene(t)
	before, err := s.books(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := churn{least: time.Duration(setting(t, "APOCRYPH_CROWD_SECONDS", 0)) * time.Second, pods: int(setting(t, "APOCRYPH_CROWD_PODS", fewestPods))}
	var lives []*life
	for i := range crowdApps {
		lives = append(lives, s.newLife(t, s.people[i], fmt.Sprintf("crowd-%d", i)))
	}
	s.each(t, lives, func(l *life) error { return l.crowd(t.Context(), "1") })
	if t.Failed() {
		s.abandon(t, lives)
		return
	}
	s.churn(t, lives, c)
	s.each(t, lives, func(l *life) error { return l.stop(t.Context(), habit{}) })
	defer s.export(t, lives)
	s.judge(t, lives, before, mostOfCrowd())
}

// each does something for all lives at once.
func (s *scene) each(t *testing.T, lives []*life, do func(*life) error) {
	t.Helper()
	var all sync.WaitGroup
	for _, l := range lives {
		all.Go(func() {
			if err := do(l); err != nil {
				t.Errorf("%s (%s): %v", l.name, l.app.App, err)
			}
		})
	}
	all.Wait()
}

// crowd orders the life's app as one of many pods.
func (l *life) crowd(ctx context.Context, version string) error {
	path := filepath.Join(l.Home, l.name+"-"+version+".yaml")
	if err := os.WriteFile(path, []byte(crowdFile(version)), 0o600); err != nil {
		return err
	}
	args := []string{"deploy", path, "--name", l.name, "--for", "1h", "--wait", "90s", "--yes"}
	if l.app.App != "" { // of what is torn down again and again, nobody can say when it will be ready
		args[len(args)-2] = "1s"
		o := l.client(ctx, 0, nil, args...)
		if o.err != nil {
			return clear(o)
		}
		return nil
	}
	o, err := l.act(ctx, habit{}, args...)
	if err != nil {
		return err
	}
	return o.result(&l.app)
}

// churn is how many pods there are to be, and for how long at least.
type churn struct {
	pods  int
	least time.Duration
}

// churn lets faults strike, updates every app, and deletes pods, until there were enough of them.
func (s *scene) churn(t *testing.T, lives []*life, c churn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), crowdLimit+c.least)
	defer cancel()
	begin := time.Now()
	var striking sync.WaitGroup
	struck := make(chan struct{})
	striking.Go(func() {
		defer close(struck)
		faults := crowdFaults()
		for i, f := range faults {
			if i < len(lives) {
				if err := lives[i].crowd(ctx, "2"); err != nil {
					t.Errorf("%s: %v", lives[i].name, err)
				}
			}
			f.after = c.least / time.Duration(len(faults)+1)
			if err := s.suffer(ctx, f); err != nil {
				t.Errorf("%s: %v", f, err)
			}
		}
	})
	defer striking.Wait()
	every := max(deleteEvery, c.least/time.Duration(c.pods))
	r := rand.New(rand.NewPCG(setting(t, "APOCRYPH_FAULT_SEED", 1), 0)) //nolint:gosec // to be drawn again, not to be secret
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			t.Errorf("not enough pods within %s", crowdLimit+c.least)
			return
		case <-tick.C:
		}
		select {
		case <-struck:
			all, err := s.oracle.Verdict("", bed.Quantities{})
			if err != nil {
				t.Errorf("the oracle: %v", err)
				return
			}
			if pods, _ := all.Count(); pods >= c.pods && time.Since(begin) >= c.least {
				return
			}
		default:
		}
		if err := s.cull(ctx, lives, r); err != nil {
			t.Logf("nothing was deleted: %v", err) // by an API server that is away
		}
	}
}

// cull deletes one of the pods that run, in some way.
func (s *scene) cull(ctx context.Context, lives []*life, r *rand.Rand) error {
	var running []corev1.Pod
	pending := 0
	for _, l := range lives {
		var list corev1.PodList
		if err := s.Kube.List(ctx, &list, client.InNamespace(v1alpha1.Namespace(l.app.App))); err != nil {
			return err
		}
		for _, p := range list.Items {
			switch {
			case p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp.IsZero():
				running = append(running, p)
			case p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed:
				pending++
			}
		}
	}
	if pending >= pendingLimit || len(running) == 0 {
		return nil
	}
	p := &running[r.IntN(len(running))]
	var err error
	switch r.IntN(4) {
	case 0:
		err = s.Kube.SubResource("eviction").Create(ctx, p, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace}})
	case 1:
		err = s.Kube.Delete(ctx, p)
	case 2:
		err = s.Kube.Delete(ctx, p, client.GracePeriodSeconds(1))
	case 3:
		err = s.Kube.Delete(ctx, p, client.GracePeriodSeconds(0))
	}
	if apierrors.IsNotFound(err) {
		err = nil // it went by itself
	}
	return err
}

// export writes what was billed and what the runtime says to the file that APOCRYPH_CROWD_RECORDS names: bench/billing compares others with it.
func (s *scene) export(t *testing.T, lives []*life) {
	t.Helper()
	path := os.Getenv("APOCRYPH_CROWD_RECORDS")
	if path == "" {
		return
	}
	type quantity map[string]*big.Int
	type bill struct {
		App, Namespace string
		Billed, Prices quantity
		Claimed        string
		Verdict        bed.Verdict
	}
	named := func(q quantities) quantity {
		return quantity{"cpu": q.cpu, "memory": q.memory, "ephemeral": q.ephemeral, "storage": q.storage}
	}
	var bills []bill
	var errs []error
	for _, l := range lives {
		f, err := l.collect(t.Context(), s.chain)
		errs = append(errs, err)
		for _, a := range f.apps {
			b := bill{App: a.id, Namespace: v1alpha1.Namespace(a.id), Billed: named(a.used), Prices: named(a.prices), Verdict: a.runtime}
			for _, c := range f.channels {
				b.Claimed = c.claimed.String()
			}
			bills = append(bills, b)
		}
	}
	content, err := json.Marshal(bills)
	if err := errors.Join(append(errs, err, os.WriteFile(path, content, 0o600))...); err != nil {
		t.Error(err)
	}
}
