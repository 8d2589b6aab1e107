// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/ethereum/go-ethereum/common"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/doctor/probe"
	"github.com/apocryph/apocryph/internal/evidence"
)

func quantity(n int64) resource.Quantity { return *resource.NewQuantity(n, resource.BinarySI) }

// Each case breaks one thing. Every other check goes on saying what it says when all is well.
func TestExamine(t *testing.T) {
	well := map[string]Result{
		"NetworkPolicies": OK, "UserNamespaces": OK, "VolumeSizes": OK, "ImagePath": OK, "PIDLimits": OK, "DNS": OK, "Gas": OK, "Endpoints": OK,
		"Clock": OK, "TEE": Warn, "MachineClocks": OK,
	}
	says1 := func(name string, report any) func(*world) { return func(w *world) { w.kubelet[name] = says(report) } }
	network := probe.NetworkReport{Allowed: probe.OK, EgressDenied: "timeout", IngressDenied: "timeout", Addresses: []string{"10.96.0.7"}}
	leaky, nameless := network, network
	leaky.EgressDenied = probe.OK
	nameless.NameError, nameless.Addresses = "no such host", nil
	for name, test := range map[string]struct {
		with   func(*world)
		differ map[string]Result
		saw    string
	}{
		"all is well":                           {func(*world) {}, nil, ""},
		"a policy is not enforced":              {says1(probeDialer, leaky), map[string]Result{"NetworkPolicies": Fail}, "out of the sender"},
		"names are not found":                   {says1(probeDialer, nameless), map[string]Result{"DNS": Fail}, "no such host"},
		"the listener is on no machine":         {func(w *world) { w.kubelet[probeListener] = stays(corev1.ConditionFalse, "0/1 nodes are available", "") }, map[string]Result{"NetworkPolicies": Unseen, "DNS": Unseen, "MachineClocks": Unseen}, "0/1 nodes"},
		"the probe's own image can't be pulled": {func(w *world) { w.kubelet[probeTasks] = stays(corev1.ConditionTrue, "denied", "ErrImagePull") }, map[string]Result{"PIDLimits": Unseen}, "denied"},
		"the runtime knows no user namespaces":  {func(w *world) { w.kubelet[probeUsers] = stays(corev1.ConditionTrue, "idmap", "CreateContainerError") }, map[string]Result{"UserNamespaces": Fail}, "idmap"},
		"no machine for the user namespace":     {func(w *world) { w.kubelet[probeUsers] = stays(corev1.ConditionFalse, "taints", "") }, map[string]Result{"UserNamespaces": Unseen}, "taints"},
		"hostUsers is ignored":                  {says1(probeUsers, probe.SelfReport{UIDMap: "0 0 4294967295"}), map[string]Result{"UserNamespaces": Fail}, "machine's own"},
		"volumes take what they like":           {says1(probeVolume, probe.VolumeReport{Taken: 96 << 20, Tried: 96 << 20}), map[string]Result{"VolumeSizes": Fail}, "took 96.0 MiB"},
		"there is no default class":             {func(w *world) { w.class = "" }, map[string]Result{"VolumeSizes": Fail}, "no default class"},
		"no volume comes":                       {func(w *world) { w.capacity = 0 }, map[string]Result{"VolumeSizes": Unseen}, "no volume"},
		"the image store is away":               {func(w *world) { w.kubelet[probeImage] = pulls("connection refused", "connection refused") }, map[string]Result{"ImagePath": Fail}, "nothing answers"},
		"another registry is in its place":      {func(w *world) { w.kubelet[probeImage] = pulls("not found", "not found") }, map[string]Result{"ImagePath": Fail}, "another registry"},
		"kubelet says nothing about images":     {func(w *world) { w.kubelet[probeImage] = nil }, map[string]Result{"ImagePath": Unseen}, "says nothing"},
		"there is no limit of processes":        {says1(probeTasks, probe.TasksReport{Max: "max", Started: 64, Bound: 64}), map[string]Result{"PIDLimits": Fail}, "none was refused"},
		"a probe crashes":                       {func(w *world) { w.kubelet[probeTasks] = says("panic") }, map[string]Result{"PIDLimits": Unseen}, "panic"},
		"the gas account is empty":              {func(w *world) { w.balance.SetInt64(0) }, map[string]Result{"Gas": Fail}, "0 claims"},
		"the gas account runs low":              {func(w *world) { w.balance.SetInt64(100 * 1e14) }, map[string]Result{"Gas": Warn}, "100 claims"},
		"one endpoint is away":                  {func(w *world) { delete(w.nodes, "http://a.example/secret") }, map[string]Result{"Endpoints": Warn}, "a.example does not answer"},
		"the chain is away":                     {func(w *world) { clear(w.nodes) }, map[string]Result{"Endpoints": Unseen, "Gas": Unseen}, "connection refused"},
		"one endpoint has another history":      {func(w *world) { w.hashes["http://b.example"] = common.Hash{2} }, map[string]Result{"Endpoints": Fail}, "different blocks"},
		"another machine's clock is wrong":      {func(w *world) { w.machineTime = -2 * time.Minute }, map[string]Result{"MachineClocks": Fail}, "is 1m59s behind"},
		"a machine's clock is off by seconds":   {func(w *world) { w.machineTime = 30 * time.Second }, map[string]Result{"MachineClocks": Warn}, "30s ahead"},
		"no machine takes apps":                 {func(w *world) { w.cordon(machine) }, map[string]Result{"NetworkPolicies": Unseen, "DNS": Unseen, "UserNamespaces": Unseen, "ImagePath": Unseen, "PIDLimits": Unseen, "MachineClocks": Unseen}, "no machine takes apps"},
		"the doctor machine's clock is wrong":   {func(w *world) { w.apiTime = -2 * time.Minute }, map[string]Result{"Clock": Fail}, "2m0s behind"},
		"the API server's clock can't be asked": {func(w *world) { w.apiAway = errors.New("away") }, map[string]Result{"Clock": Unseen}, "away"},
		"the keeper is away":                    {func(w *world) { w.evidence = fails(connect.CodeUnavailable) }, map[string]Result{"TEE": Unseen}, "unavailable"},
		"the keeper does not know the doctor":   {func(w *world) { w.evidence = fails(connect.CodePermissionDenied) }, map[string]Result{"TEE": Unseen}, "permission"},
		"the TEE device gives no report":        {func(w *world) { w.evidence = fails(connect.CodeInternal) }, map[string]Result{"TEE": Fail}, "no evidence"},
		"evidence is garbage":                   {func(w *world) { w.evidence = func([]byte) ([]byte, error) { return []byte("?"), nil } }, map[string]Result{"TEE": Fail}, "malformed"},
		"evidence answers another nonce":        {otherNonce, map[string]Result{"TEE": Fail}, "nonce"},
		"evidence is of yesterday":              {func(w *world) { w.evidence = newSimulator(w.t).answer(w.now.Add(-24 * time.Hour)) }, map[string]Result{"TEE": Fail}, "stale"},
		"evidence is of another provider":       {claims(func(c *evidence.Claims) { c.Provider = common.Address{1} }), map[string]Result{"TEE": Fail}, "another provider"},
		"evidence is for another chain":         {claims(func(c *evidence.Claims) { c.ChainID = 1 }), map[string]Result{"TEE": Fail}, "chain"},
		"the invoicer has not said its account": {func(w *world) { w.forgetAccount() }, map[string]Result{"Gas": Unseen}, "has not said"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			test.with(w)
			found := w.examine()
			got, want := map[string]Result{}, map[string]Result{}
			var saw []string
			for name, r := range well {
				got[name], want[name] = found[name].Result, r
				if d, ok := test.differ[name]; ok {
					want[name] = d
					saw = append(saw, found[name].Saw)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			if text := strings.Join(saw, "\n"); !strings.Contains(text, test.saw) || strings.Contains(text, "secret") {
				t.Errorf("saw %q, want %q in it and no secret", text, test.saw)
			}
			if left := w.left(); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func fails(code connect.Code) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return nil, connect.NewError(code, errors.New(code.String())) }
}

func claims(edit func(*evidence.Claims)) func(*world) {
	return func(w *world) { w.evidence = newSimulator(w.t).answer(w.now, edit) }
}

func otherNonce(w *world) {
	honest := w.evidence
	w.evidence = func([]byte) ([]byte, error) { return honest(make([]byte, evidence.NonceSize)) }
}

func (w *world) forgetAccount() {
	p := &v1alpha1.Provider{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: v1alpha1.ProviderName}}
	if err := w.c.Delete(w.t.Context(), p); err != nil {
		w.t.Fatal(err)
	}
}

// What is made can use nothing of anybody's, ends by itself, and is found again by its label.
func TestWhatIsMade(t *testing.T) {
	w := newWorld(t)
	w.examine()
	var made []string
	for _, o := range w.created {
		made = append(made, o.GetLabels()[LabelProbe])
		if o.GetNamespace() != probes || o.GetLabels()[LabelProbe] == "" {
			t.Errorf("%T %s: namespace %q, labels %v", o, o.GetName(), o.GetNamespace(), o.GetLabels())
		}
		p, ok := o.(*corev1.Pod)
		if !ok {
			continue
		}
		s := p.Spec
		if s.ActiveDeadlineSeconds == nil || *s.ActiveDeadlineSeconds > 61 || s.RestartPolicy != corev1.RestartPolicyNever {
			t.Errorf("%s does not end by itself", p.Name)
		}
		if s.HostUsers == nil || *s.HostUsers || *s.EnableServiceLinks || s.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s is not confined as an app is", p.Name)
		}
		if *s.AutomountServiceAccountToken || s.ServiceAccountName != "" || s.HostNetwork || s.HostPID || !*s.SecurityContext.RunAsNonRoot {
			t.Errorf("%s has more than it needs", p.Name)
		}
		for _, c := range s.Containers {
			x := c.SecurityContext
			if !*x.ReadOnlyRootFilesystem || *x.AllowPrivilegeEscalation || !slices.Contains(x.Capabilities.Drop, "ALL") || len(x.Capabilities.Add) > 0 {
				t.Errorf("container %s of %s has more than it needs", c.Name, p.Name)
			}
			if c.Image != "apocryphd:1" && !strings.HasPrefix(c.Image, "localhost:5100/") {
				t.Errorf("container %s of %s runs %s", c.Name, p.Name, c.Image)
			}
			if c.Resources.Limits.Memory().IsZero() || c.Resources.Limits.Cpu().IsZero() {
				t.Errorf("container %s of %s has no limits", c.Name, p.Name)
			}
		}
		for _, v := range s.Volumes {
			if v.PersistentVolumeClaim == nil {
				t.Errorf("%s mounts %s", p.Name, v.Name)
			}
		}
	}
	slices.Sort(made)
	want := []string{probeDialer, probeImage, probeListener, probeTasks, probeUsers, probeVolume, probeVolume}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("made (-want +got):\n%s", diff)
	}
}

// What a run that was killed left is gone before the next one makes anything; what is not the doctor's stays.
func TestACrashIsCleanedUp(t *testing.T) {
	w := newWorld(t)
	old := w.d.look()
	for _, o := range []interface {
		metav1.Object
	}{old.site("0", "").pod(probeListener), old.site("0", "").claim()} {
		switch o := o.(type) {
		case *corev1.Pod:
			o.Labels[LabelProbe] = "crashed"
			w.must(w.c.Create(t.Context(), o))
		case *corev1.PersistentVolumeClaim:
			w.must(w.c.Create(t.Context(), o))
		}
	}
	stranger := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: probes, Name: "stranger"}}
	w.must(w.c.Create(t.Context(), stranger))
	w.kubelet[probeUsers] = func(*corev1.Pod) {
		if left := w.left(); slices.ContainsFunc(left, func(n string) bool { return strings.Contains(n, old.run) }) {
			t.Errorf("a probe is made beside %v", left)
		}
	}
	w.examine("UserNamespaces")
	if diff := cmp.Diff([]string{"stranger"}, w.left()); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestQuestionsMakeNothing(t *testing.T) {
	w := newWorld(t)
	found := w.examine(namesOf(func(k Check) bool { return !k.Probes })...)
	if len(w.created) > 0 || len(found) != 5 {
		t.Errorf("%d checks made %v", len(found), w.created)
	}
}

func TestALockThatIsNotToBeHad(t *testing.T) {
	w := newWorld(t)
	w.lock = ErrHeld
	if found, err := w.d.Examine(t.Context(), Look{}); !errors.Is(err, ErrHeld) || found != nil || len(w.created) > 0 {
		t.Errorf("found %v, made %v, %v", found, w.created, err)
	}
}

func TestConfig(t *testing.T) {
	good := newWorld(t).d.cfg
	for name, test := range map[string]struct {
		edit func(*Config)
		want error
	}{
		"a good one":                 {func(*Config) {}, nil},
		"probes beside the services": {func(c *Config) { c.Probes = c.Namespace }, ErrConfig},
		"no image":                   {func(c *Config) { c.Image = "" }, ErrConfig},
		"no limit":                   {func(c *Config) { c.Limit = 0 }, ErrConfig},
		"no volume":                  {func(c *Config) { c.VolumeBytes = 0 }, ErrConfig},
		"an advisory check":          {func(c *Config) { c.Advisory = []string{"Gas"} }, nil},
		"one that there is none of":  {func(c *Config) { c.Advisory = []string{"Weather"} }, ErrCheck},
	} {
		c := good
		test.edit(&c)
		if _, err := New(c, Parts{}); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	if _, err := newWorld(t).d.Examine(context.Background(), Look{Checks: []string{"Weather"}}); !errors.Is(err, ErrCheck) {
		t.Errorf("examining what there is no check for: %v", err)
	}
}

// Every check says what to do, and its name can be a condition's type.
func TestChecksAreComplete(t *testing.T) {
	seen := map[string]bool{v1alpha1.ConditionFit: true}
	for _, k := range Checks() {
		if seen[k.Name] || k.Asks == "" || k.Do == "" || (k.look == nil) == (k.at == nil) || strings.ContainsAny(k.Name, " -.") {
			t.Errorf("check %+v", k)
		}
		seen[k.Name] = true
	}
}

// The rules that let a new pod out run behind the pod: who does not answer at first is asked again, and not for ever.
func TestWhoDoesNotAnswerIsAskedAgain(t *testing.T) {
	for name, test := range map[string]struct {
		after int
		want  Result
	}{"at once": {0, OK}, "at the last try": {asks - 1, OK}, "too late": {asks, Unseen}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.RPC = c.RPC[:1] })
			w.d.parts.Wait = func(context.Context, time.Duration) error { return nil }
			honest, tries := w.evidence, 0
			w.evidence = func(nonce []byte) ([]byte, error) {
				if tries++; tries <= test.after {
					return fails(connect.CodeUnavailable)(nonce)
				}
				return honest(nonce)
			}
			got := w.examine("TEE")["TEE"].Result
			if (got == Unseen) != (test.want == Unseen) {
				t.Errorf("%s after %d tries", got, tries)
			}
		})
	}
}
