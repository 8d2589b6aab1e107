// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/doctor/probe"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/evidence"
	keeperv1 "github.com/apocryph/apocryph/internal/gen/keeperv1"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/kube/kubetest"
)

const (
	system  = "apocryph-system"
	probes  = "apocryph-system-doctor"
	machine = "m1"
	gasKey  = "0x00000000000000000000000000000000000000AA"
)

// world is a provider in which all is well, until a test breaks something. Pods become what the test's kubelet makes of them at once, so
// nothing ever has to be waited for; the clock moves when somebody waits all the same.
type world struct {
	t *testing.T
	d *Doctor
	c client.WithWatch

	mu      sync.Mutex
	now     time.Time
	created []client.Object
	// kubelet makes a pod's status by its probe; claims get the class and size of class.
	kubelet  map[string]func(*corev1.Pod)
	class    string
	capacity int64
	// machineTime is how far machines' clocks are ahead.
	machineTime time.Duration

	nodes    map[string]Node
	hashes   map[string]common.Hash
	balance  *big.Int
	apiTime  time.Duration
	apiAway  error
	evidence func(nonce []byte) ([]byte, error)
	lock     error
}

func newWorld(t *testing.T, edit ...func(*Config)) *world {
	t.Helper()
	w := &world{
		t: t, now: time.Unix(1_800_000_000, 0), class: "loop", capacity: 16 << 20, balance: big.NewInt(1e18),
		nodes:  map[string]Node{},
		hashes: map[string]common.Hash{},
	}
	for _, u := range []string{"http://a.example/secret", "http://b.example"} {
		w.nodes[u] = Node{ChainID: 1337, Contract: true, Number: 100, Time: w.now, Fee: big.NewInt(1e9)}
		w.hashes[u] = common.Hash{1}
	}
	w.kubelet = map[string]func(*corev1.Pod){
		probeListener: running,
		probeDialer: says(probe.NetworkReport{
			Allowed: probe.OK, EgressDenied: "timeout", IngressDenied: "timeout", Addresses: []string{"10.96.0.7"},
		}),
		probeUsers:  says(probe.SelfReport{UIDMap: "0 65536 65536"}),
		probeVolume: says(probe.VolumeReport{Taken: 14 << 20, Tried: 96 << 20, Refused: true}),
		probeTasks:  says(probe.TasksReport{Max: "max", Started: 50, Bound: 64, Limited: true}),
		probeImage:  pulls("localhost:5100/x: not found", "unexpected status: 400 Bad Request"),
	}
	sim := newSimulator(t)
	w.evidence = sim.answer(w.now)
	w.c = interceptor.NewClient(fake.NewClientBuilder().WithScheme(kube.Scheme()).WithStatusSubresource(&v1alpha1.Provider{}).WithObjects(
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: probes, Name: ServiceListener}, Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.7"}},
		node(machine),
		&v1alpha1.Provider{
			ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: v1alpha1.ProviderName}, Status: v1alpha1.ProviderStatus{GasAccount: gasKey},
		},
	).WithTypeConverters(kubetest.Converters(t, "Provider", "apocryph.network_providers.yaml")...).Build(), interceptor.Funcs{Create: w.create})
	cfg := Config{
		Namespace: system, Probes: probes, Image: "apocryphd:1", PullPolicy: corev1.PullIfNotPresent, ImagePrefix: "localhost:5100", UserNamespaces: true,
		VolumeBytes: 16 << 20, MaxPIDs: 64, Provider: simProvider, Domain: eip712.Domain{ChainID: 1337, Contract: simContract},
		RPC: []string{"http://a.example/secret", "http://b.example"}, MaxLag: 5, ClaimGas: 100_000, LeastClaims: 10, EnoughClaims: 500, Limit: time.Minute,
	}
	for _, e := range edit {
		e(&cfg)
	}
	d, err := New(cfg, Parts{
		Cluster: w.c, ServerTime: w.serverTime, Chain: w, Keeper: w, Hardware: sim, Lock: w, Now: w.clock, Wait: w.wait, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.d = d
	return w
}

func (w *world) create(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
	w.mu.Lock()
	w.created = append(w.created, o.DeepCopyObject().(client.Object))
	class, capacity := w.class, w.capacity
	w.mu.Unlock()
	switch o := o.(type) {
	case *corev1.Pod:
		if act := w.kubelet[o.Labels[LabelProbe]]; act != nil {
			act(o)
		}
		for _, c := range o.Status.ContainerStatuses {
			if c.State.Terminated != nil {
				c.State.Terminated.FinishedAt = metav1.NewTime(w.clock().Add(w.machineTime).Truncate(time.Second))
			}
		}
	case *corev1.PersistentVolumeClaim:
		if o.Spec.StorageClassName == nil && class != "" {
			o.Spec.StorageClassName = &class
		}
		if capacity > 0 {
			o.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, Capacity: corev1.ResourceList{
				corev1.ResourceStorage: quantity(capacity),
			}}
		}
	}
	return c.Create(ctx, o, opts...)
}

// clock and wait: time passes only when somebody waits.
func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) wait(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	w.now = w.now.Add(d)
	w.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.New("nobody waits in a test")
}

func (w *world) serverTime(context.Context) (time.Time, error) {
	return w.clock().Add(w.apiTime), w.apiAway
}

func (w *world) Hold(ctx context.Context, do func(context.Context)) error {
	if w.lock == nil {
		do(ctx)
	}
	return w.lock
}

func (w *world) Node(_ context.Context, url string) (Node, error) {
	n, ok := w.nodes[url]
	if !ok {
		return n, errors.New(`Post "` + url + `": connection refused`)
	}
	return n, nil
}

func (w *world) HashAt(_ context.Context, url string, _ uint64) (common.Hash, error) {
	return w.hashes[url], nil
}

func (w *world) Balance(_ context.Context, _ string, account common.Address) (*big.Int, error) {
	if account != common.HexToAddress(gasKey) {
		w.t.Errorf("asked for the balance of %s", account)
	}
	return w.balance, nil
}

func (w *world) Evidence(_ context.Context, r *keeperv1.EvidenceRequest) (*keeperv1.EvidenceResponse, error) {
	b, err := w.evidence(r.Nonce)
	return &keeperv1.EvidenceResponse{Evidence: b}, err
}

// examine returns findings by name.
func (w *world) examine(names ...string) map[string]Finding {
	w.t.Helper()
	return w.examineAt(Look{Checks: names})
}

func (w *world) examineAt(look Look) map[string]Finding {
	w.t.Helper()
	found, err := w.d.Examine(w.t.Context(), look)
	if err != nil {
		w.t.Fatal(err)
	}
	by := map[string]Finding{}
	for _, f := range found {
		by[f.Name] = f
	}
	return by
}

func node(name string) *corev1.Node { return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}} }

// cordon has a machine take no more apps.
func (w *world) cordon(name string) {
	w.t.Helper()
	n := node(name)
	if err := w.c.Get(w.t.Context(), client.ObjectKeyFromObject(n), n); err != nil {
		w.t.Fatal(err)
	}
	n.Spec.Unschedulable = true
	if err := w.c.Update(w.t.Context(), n); err != nil {
		w.t.Fatal(err)
	}
}

// left is what is in the probes' namespace.
func (w *world) left() []string {
	w.t.Helper()
	var pods corev1.PodList
	var claims corev1.PersistentVolumeClaimList
	if err := errors.Join(w.c.List(w.t.Context(), &pods), w.c.List(w.t.Context(), &claims)); err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, p := range pods.Items {
		names = append(names, p.Name)
	}
	for _, c := range claims.Items {
		names = append(names, c.Name)
	}
	return names
}

func (w *world) provider() v1alpha1.ProviderStatus {
	w.t.Helper()
	var p v1alpha1.Provider
	if err := w.c.Get(w.t.Context(), client.ObjectKey{Namespace: system, Name: v1alpha1.ProviderName}, &p); err != nil {
		w.t.Fatal(err)
	}
	return p.Status
}

func running(p *corev1.Pod) {
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.244.0.9"}
}

// says ends a pod with a report.
func says(report any) func(*corev1.Pod) {
	b, _ := json.Marshal(report)
	return func(p *corev1.Pod) {
		p.Status = corev1.PodStatus{Phase: corev1.PodSucceeded, ContainerStatuses: []corev1.ContainerStatus{{
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: string(b), Reason: "Completed"}},
		}}}
	}
}

// pulls is how kubelet fails to pull the images of the image probe.
func pulls(absent, refused string) func(*corev1.Pod) {
	waiting := func(name, message string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: message},
		}}
	}
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{waiting(containerAbsent, absent), waiting(containerRefused, refused)}
	}
}

// stays leaves a pod with a condition and a container that waits.
func stays(scheduled corev1.ConditionStatus, message, reason string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: scheduled, Message: message,
		}}}
		if reason != "" {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{
				Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message},
			}}}
		}
	}
}

// simulator is a TEE whose reports are hashes: what is tried here is what the doctor makes of them.
type simulator struct{ report []byte }

var (
	simProvider = common.Address{7}
	simContract = common.Address{8}
)

func newSimulator(t *testing.T) *simulator {
	t.Helper()
	return &simulator{report: slices.Concat(make([]byte, measurementAt), []byte(strings.Repeat("m", evidence.MeasurementSize)))}
}

// Attest implements the device.
func (s *simulator) Attest(_ context.Context, data [evidence.ReportDataSize]byte) (evidence.Attestation, error) {
	return evidence.Attestation{Kind: evidence.KindSimulator, Report: slices.Concat(s.report, data[:]), Certs: [][]byte{[]byte("chip"), []byte("root")}}, nil
}

// Check implements evidence.Hardware.
func (s *simulator) Check(a evidence.Attestation, wanted evidence.Wanted, _ time.Time) (m [evidence.MeasurementSize]byte, err error) {
	copy(m[:], a.Report[measurementAt:])
	switch {
	case string(a.Report[len(s.report):]) != string(wanted.ReportData[:]):
		return m, evidence.ErrClaims
	case wanted.Root == nil || *wanted.Root != sha256.Sum256([]byte("root")):
		return m, evidence.ErrReport
	case !slices.ContainsFunc(wanted.Measurements, func(x evidence.Measurement) bool { return x.Value == m }):
		return m, evidence.ErrMeasurement
	}
	return m, nil
}

// answer is a keeper's, with a session made at now and claims after edit.
func (s *simulator) answer(now time.Time, edit ...func(*evidence.Claims)) func([]byte) ([]byte, error) {
	c := evidence.Claims{
		Role: evidence.RoleProvider, Provider: simProvider, ChainID: 1337, Contract: simContract, Peer: "peer", Signer: common.Address{9},
	}
	for _, e := range edit {
		e(&c)
	}
	return func(nonce []byte) ([]byte, error) {
		session, err := evidence.NewSession(context.Background(), s, c, now)
		if err != nil {
			return nil, err
		}
		return session.Answer(nonce)
	}
}
