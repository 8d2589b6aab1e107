// SPDX-License-Identifier: Apache-2.0

// Package attacks tries what a hostile tenant would, from inside real pods of an app that was deployed as any other, on a devnet that is up.
//
// Each attempt is a sentence, must fail, and must fail for the reason it states. Each has a control: the same attempt where it is allowed,
// which must work, so that none fails merely because it was made wrongly. What would lie outside of the cluster (a metadata service, a
// neighbour of the provider's network, a mail server) are stand-ins in a network namespace of the devnet, routed as the real ones would be:
// no packet goes to an address that is neither loopback's nor one that the devnet made.
package attacks

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
	"github.com/apocryph/apocryph/internal/kube"
)

// attempt is one thing that a hostile tenant tries.
type attempt struct {
	// name says it as what must not happen.
	name string
	// try must fail, not by errHappened, with an error that says one of these.
	try  func(context.Context) error
	says []string
	// control is the same where it is allowed: it must work.
	control func(context.Context) error
}

// errHappened is an attempt's success, when it has more to say than that it was one.
var errHappened = errors.New("it happened")

// world is two apps of two publishers, a namespace that nothing confines, and what lies outside.
type world struct {
	*bed.Devnet

	config *rest.Config
	http   *http.Client

	attacker, victim bed.Deployed
	host             string      // the victim's label below the provider's domain
	person           *bed.Person // the attacker
	wire             *bed.Wire   // the attacker, without the client's good manners
	images           images
	podSpec          *corev1.PodSpec // of the attacker's own pods
	outside          *outside
}

// place is where an attempt is made from: the only pod that a service of a namespace has.
type place struct{ namespace, service string }

func (w *world) probe() place   { return place{v1alpha1.Namespace(w.attacker.App), "probe"} }
func (w *world) sibling() place { return place{v1alpha1.Namespace(w.attacker.App), "sibling"} }
func (w *world) glutton() place { return place{v1alpha1.Namespace(w.attacker.App), "glutton"} }
func (w *world) hasty() place   { return place{v1alpha1.Namespace(w.attacker.App), "hasty"} }
func (w *world) target() place  { return place{v1alpha1.Namespace(w.victim.App), "probe"} }

const (
	attackerFile = `services:
  probe:
    image: attacks.test/attacker:1
    ports: ["8080:8080"]
    cpus: 0.2
    mem_limit: 128m
    volumes: ["data:/data"]
    x-apocryph: {ephemeral: 256MiB}
  sibling:
    image: attacks.test/attacker:1
    expose: ["8080", "25"]
    cpus: 0.1
    mem_limit: 64m
    environment: {PROBE_PORTS: "25"}
    x-apocryph: {ephemeral: 256MiB}
  glutton:
    image: attacks.test/attacker:1
    expose: ["8080"]
    cpus: 0.2
    mem_limit: 256m
    volumes: ["heap:/heap"]
    x-apocryph: {ephemeral: 64MiB}
  hasty:
    image: attacks.test/attacker:1
    expose: ["8080"]
    cpus: 0.2
    mem_limit: 64m
    environment: {PROBE_RUSH: "%s"}
    x-apocryph: {ephemeral: 64MiB}
volumes:
  data:
    x-apocryph: {size: 64MiB}
  heap:
    x-apocryph: {size: 64MiB}
`
	victimFile = `services:
  probe:
    image: attacks.test/victim:1
    ports: ["8080:8080"]
    cpus: 0.1
    mem_limit: 64m
    volumes: ["data:/data"]
    x-apocryph: {ephemeral: 64MiB}
volumes:
  data:
    x-apocryph: {size: 64MiB}
x-apocryph:
  http: {service: probe, host: %s}
`
)

func newWorld(t *testing.T) *world {
	t.Helper()
	salt := bed.Random(t)
	w := &world{Devnet: bed.Connect(t), host: "attacked-" + hex.EncodeToString(salt[:4])}
	var err error
	if w.config, err = kube.Config(w.Env["KUBECONFIG"]); err != nil {
		t.Fatal(err)
	}
	if w.http, err = rest.HTTPClientFor(w.config); err != nil {
		t.Fatal(err)
	}
	w.images = makeImages(t)
	layout := bed.Layout(t, w.images.byName())

	victim := w.NewPerson(t, true, layout)
	victim.MustJSON(&w.victim, "deploy", victim.Write("compose.yaml", fmt.Sprintf(victimFile, w.host)), "--name", "victim", "--for", "1h", "--yes")
	t.Cleanup(func() { victim.Run("stop", "victim", "--yes") })
	w.outside = newOutside(t, w)

	w.person = w.NewPerson(t, true, layout)
	file := w.person.Write("compose.yaml", fmt.Sprintf(attackerFile, strings.Join(w.forbidden(t), " ")))
	w.person.MustJSON(&w.attacker, "deploy", file, "--name", "attacker", "--for", "1h", "--yes")
	t.Cleanup(func() { w.person.Run("stop", "attacker", "--yes") })
	if err := w.readTemplate(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wire = w.NewWire(t)
	w.free(t)
	return w
}

// image is the name by which kubelet pulls an app's image.
func (w *world) image(t *testing.T, app string, img v1.Image) string {
	t.Helper()
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return "localhost:5100/" + app + "/probe@" + digest.String()
}

// pod is the running pod of a place.
func (w *world) pod(ctx context.Context, at place) (*corev1.Pod, error) {
	var pods corev1.PodList
	err := w.Kube.List(ctx, &pods, client.InNamespace(at.namespace), client.MatchingLabels{v1alpha1.LabelService: at.service})
	if err != nil {
		return nil, err
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		if p.DeletionTimestamp == nil && p.Status.Phase == corev1.PodRunning && p.Status.PodIP != "" {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%s/%s: none of %d pods runs", at.namespace, at.service, len(pods.Items))
}

// address is that of a place's pod.
func (w *world) address(ctx context.Context, at place) (string, error) {
	p, err := w.pod(ctx, at)
	if err != nil {
		return "", err
	}
	return p.Status.PodIP, nil
}

// clusterIP is that of a Service.
func (w *world) clusterIP(ctx context.Context, namespace, name string) (string, error) {
	s := &corev1.Service{}
	err := w.Kube.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, s)
	return s.Spec.ClusterIP, err
}

// ask has the probe at a place try something: pairs are what the attempt needs to know. It goes by way of the API server, which reaches
// pods that no app user does.
func (w *world) ask(ctx context.Context, at place, what string, pairs ...string) (string, error) {
	p, err := w.pod(ctx, at)
	if err != nil {
		return "", err
	}
	return askAt(ctx, w.http, w.proxy(p), what, pairs...)
}

// proxy is by way of the API server.
func (w *world) proxy(p *corev1.Pod) string {
	return fmt.Sprintf("%s/api/v1/namespaces/%s/pods/%s:8080/proxy", w.config.Host, p.Namespace, p.Name)
}

// askAt is ask of a probe that answers at a URL.
func askAt(ctx context.Context, hc *http.Client, base, what string, pairs ...string) (string, error) {
	body, err := fetch(ctx, hc, base, what, pairs...)
	if err != nil {
		return "", err
	}
	var went struct{ Said, Error string }
	if err := json.Unmarshal(body, &went); err != nil {
		return "", fmt.Errorf("asking the probe for %s: %s", what, body)
	}
	if went.Error != "" {
		return "", errors.New(went.Error)
	}
	return went.Said, nil
}

func fetch(ctx context.Context, hc *http.Client, base, what string, pairs ...string) ([]byte, error) {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/"+what+"?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	res, err := hc.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	return io.ReadAll(res.Body)
}

// does is ask as an attempt.
func (w *world) does(at func() place, what string, pairs ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := w.ask(ctx, at(), what, pairs...)
		return err
	}
}

// run makes attempts.
func run(t *testing.T, all []attempt) {
	for _, a := range all {
		t.Run(a.name, func(t *testing.T) {
			start := time.Now()
			if err := a.control(t.Context()); err != nil {
				t.Errorf("control: %v", err)
			}
			err := a.try(t.Context())
			if err == nil || errors.Is(err, errHappened) {
				t.Fatalf("it happened: %v", err)
			}
			for _, says := range a.says {
				if strings.Contains(err.Error(), says) {
					t.Logf("%.1fs, refused: %v", time.Since(start).Seconds(), err)
					return
				}
			}
			t.Errorf("it failed with %q, which says none of %q", err, a.says)
		})
	}
}
