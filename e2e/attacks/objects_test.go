// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"context"
	"errors"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
	"github.com/apocryph/apocryph/internal/kube"
)

// inFile tries app files. The control is the same file without the line.
func (w *world) inFile() []attempt {
	// Either it is refused, or the order says which harmless thing is made of it instead.
	deploy := func(line, says string) func(context.Context) error {
		return func(context.Context) error {
			own, top, _ := strings.Cut(line, "\n")
			file := "services:\n  probe:\n    image: " + attackerImage + "\n    ports: [\"8080\"]\n    " + own + "\n" + top
			r := w.person.Run("deploy", w.person.Write("hostile.yaml", file), "--name", "hostile", "--for", "1h", "--dry-run")
			if said := r.Stdout + r.Stderr; r.Code != 0 || strings.Contains(said, says) {
				return errors.New(said)
			}
			return nil
		}
	}
	control := sync.OnceValue(func() error { return deploy("labels: {a: b}", "instead")(context.Background()) })
	var all []attempt
	for name, c := range map[string]struct{ line, says string }{
		"a directory of the machine":          {`volumes: ["/var/lib/kubelet:/host"]`, "becomes a volume of"},
		"the container engine's socket":       {`volumes: ["/run/containerd/containerd.sock:/sock"]`, "volumes"},
		"a volume of another app":             {"volumes: [\"data:/data\"]\nvolumes: {data: {external: true}}\n", "a new volume is made"},
		"the machine's network":               {`network_mode: host`, "network_mode"},
		"the machine's processes":             {`pid: host`, "pid"},
		"the machine's shared memory":         {`ipc: host`, "ipc"},
		"the machine's users":                 {`userns_mode: host`, "userns_mode"},
		"the machine's cgroups":               {`cgroup_parent: /`, "cgroup_parent"},
		"all privileges":                      {`privileged: true`, "privileged"},
		"one more capability":                 {`cap_add: [NET_RAW]`, "cap_add"},
		"system calls without a filter":       {`security_opt: ["seccomp=unconfined"]`, "security_opt"},
		"a kernel setting":                    {`sysctls: {net.ipv4.ip_forward: 1}`, "sysctls"},
		"a device":                            {`devices: ["/dev/loop-control"]`, "devices"},
		"another runtime":                     {`runtime: io.containerd.runc.v2`, "runtime"},
		"the engine's interface":              {`use_api_socket: true`, "use_api_socket"},
		"a host name that another app has":    {"labels: {a: b}\nx-apocryph: {http: {service: probe, host: " + w.host + "}}\n", "taken"},
		"a host name of the provider's":       {"labels: {a: b}\nx-apocryph: {http: {service: probe, host: gateway}}\n", "reserved"},
		"the provider's whole domain":         {"labels: {a: b}\nx-apocryph: {http: {service: probe, host: \"*\"}}\n", "host"},
		"a host name below another app's":     {"labels: {a: b}\nx-apocryph: {http: {service: probe, host: a." + w.host + "}}\n", "host"},
		"a host name that looks like another": {"labels: {a: b}\nx-apocryph: {http: {service: probe, host: xn--ttacked-0oh}}\n", "host"},
	} {
		all = append(all, attempt{name: "it orders " + name, try: deploy(c.line, c.says), says: []string{c.says}, control: func(context.Context) error { return control() }})
	}
	return all
}

// asObject tries what somebody could who has the controller's rights, but for its good manners: objects in the app's namespace. The control
// is the same object in a namespace that is no app's. None is really made.
func (w *world) asObject() []attempt {
	container := func(edit func(*corev1.Container)) func(*corev1.PodSpec) {
		return func(s *corev1.PodSpec) { edit(&s.Containers[0]) }
	}
	security := func(edit func(*corev1.SecurityContext)) func(*corev1.PodSpec) {
		return container(func(c *corev1.Container) { edit(c.SecurityContext) })
	}
	mount := func(v corev1.VolumeSource) func(*corev1.PodSpec) {
		return func(s *corev1.PodSpec) { s.Volumes = append(s.Volumes, corev1.Volume{Name: "x", VolumeSource: v}) }
	}
	token := corev1.VolumeProjection{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}}
	hostPath := &corev1.HostPathVolumeSource{Path: "/"}
	var all []attempt
	for name, edit := range map[string]func(*corev1.PodSpec){
		"a directory of the machine":     mount(corev1.VolumeSource{HostPath: hostPath}),
		"a token":                        mount(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{token}}}),
		"a secret":                       mount(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "x"}}),
		"an account":                     func(s *corev1.PodSpec) { s.AutomountServiceAccountToken = new(true) },
		"the machine's network":          func(s *corev1.PodSpec) { s.HostNetwork, s.HostUsers = true, nil },
		"the machine's processes":        func(s *corev1.PodSpec) { s.HostPID, s.HostUsers = true, nil },
		"the machine's shared memory":    func(s *corev1.PodSpec) { s.HostIPC, s.HostUsers = true, nil },
		"the machine's users":            func(s *corev1.PodSpec) { s.HostUsers = new(true) },
		"a port of the machine":          container(func(c *corev1.Container) { c.Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: 80}} }),
		"all privileges":                 security(func(s *corev1.SecurityContext) { s.Privileged, s.AllowPrivilegeEscalation = new(true), nil }),
		"gaining privileges":             security(func(s *corev1.SecurityContext) { s.AllowPrivilegeEscalation = new(true) }),
		"one more capability":            security(func(s *corev1.SecurityContext) { s.Capabilities.Add = append(s.Capabilities.Add, "NET_RAW") }),
		"the ordinary capabilities":      security(func(s *corev1.SecurityContext) { s.Capabilities = nil }),
		"system calls without a filter":  security(func(s *corev1.SecurityContext) { s.SeccompProfile = unfiltered() }),
		"a pod's calls without a filter": func(s *corev1.PodSpec) { s.SecurityContext.SeccompProfile = unfiltered() },
		"a kernel setting": func(s *corev1.PodSpec) {
			s.SecurityContext.Sysctls = []corev1.Sysctl{{Name: "net.ipv4.tcp_syncookies", Value: "0"}}
		},
		"another runtime":                  func(s *corev1.PodSpec) { s.RuntimeClassName = new(runtimeClass) },
		"a higher priority":                func(s *corev1.PodSpec) { s.PriorityClassName = "system-node-critical" },
		"a machine of its choice":          func(s *corev1.PodSpec) { s.NodeName = "devnet" },
		"another app's image":              container(func(c *corev1.Container) { c.Image = strings.Replace(c.Image, w.attacker.App, w.victim.App, 1) }),
		"an image from a hostile registry": container(func(c *corev1.Container) { c.Image = "127.0.0.1:5000/evil@sha256:" + strings.Repeat("ab", 32) }),
		"the provider's own image": container(func(c *corev1.Container) {
			c.Image, c.Command = w.providerImage(), []string{"/usr/local/bin/apocryphd", "version"}
		}),
		"the provider's carrier as a service": container(func(c *corev1.Container) {
			c.Image, c.Command = w.providerImage(), []string{"/usr/local/bin/carrier"}
		}),
		"an image that can change": container(func(c *corev1.Container) { c.Image, _, _ = strings.Cut(c.Image, "@") }),
	} {
		try := func(namespace string) func(context.Context) error {
			return func(ctx context.Context) error { return w.orderDeployment(ctx, namespace, edit) }
		}
		if name == "an account" {
			name = "the rights of an account"
		}
		all = append(all, attempt{
			name: "its objects ask for " + name, try: try(v1alpha1.Namespace(w.attacker.App)), control: try(controlNamespace),
			says: []string{"ValidatingAdmissionPolicy 'apocryph-app-pods'"},
		})
	}
	return append(all, w.otherObjects()...)
}

// providerImage is what the provider's services run.
func (w *world) providerImage() string {
	var d appsv1.Deployment
	if err := w.Kube.Get(context.Background(), client.ObjectKey{Namespace: bed.SystemNamespace, Name: "controller"}, &d); err != nil {
		return "unknown: " + err.Error()
	}
	return d.Spec.Template.Spec.Containers[0].Image
}

const runtimeClass = "attacks"

func unfiltered() *corev1.SeccompProfile {
	return &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined}
}

// otherObjects are those that are no pods.
func (w *world) otherObjects() []attempt {
	own, policy := v1alpha1.Namespace(w.attacker.App), "ValidatingAdmissionPolicy 'apocryph-app-services'"
	service := func(edit func(*corev1.ServiceSpec)) func(namespace string) client.Object {
		return func(namespace string) client.Object {
			s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "x"}}
			s.Spec.Ports = []corev1.ServicePort{{Port: 80}}
			s.Spec.Selector = map[string]string{v1alpha1.LabelApp: w.attacker.App}
			edit(&s.Spec)
			return s
		}
	}
	var all []attempt
	for name, c := range map[string]struct {
		make func(namespace string) client.Object
		says string
	}{
		"another app's address":      {service(func(s *corev1.ServiceSpec) { s.ExternalIPs = []string{mail} }), policy},
		"a name for somebody else":   {service(func(s *corev1.ServiceSpec) { s.Type, s.ExternalName = "ExternalName", "example.org" }), policy},
		"a service to others' pods":  {service(func(s *corev1.ServiceSpec) { s.Selector = nil }), policy},
		"a port of every machine":    {service(func(s *corev1.ServiceSpec) { s.Type = "NodePort" }), "apocryph-app-services"},
		"one more volume":            {claim, "exceeded quota"},
		"a one-shot on the machine":  {w.job, "ValidatingAdmissionPolicy 'apocryph-app-pods'"},
		"a pod without a controller": {func(namespace string) client.Object { return w.barePod(namespace) }, "is forbidden"},
	} {
		try := func(namespace string) func(context.Context) error {
			return func(ctx context.Context) error { return w.asController(ctx, c.make(namespace)) }
		}
		control := try(controlNamespace)
		if name == "a pod without a controller" { // nobody but the cluster's own controllers makes pods
			control = func(ctx context.Context) error {
				return w.Kube.Create(ctx, c.make(controlNamespace), client.DryRunAll)
			}
		}
		all = append(all, attempt{name: "its objects ask for " + name, try: try(own), says: []string{c.says}, control: control})
	}
	return all
}

func claim(namespace string) client.Object {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "more"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
}

// job is a service that ends, with a directory of the machine.
func (w *world) job(namespace string) client.Object {
	spec := *w.podSpec.DeepCopy()
	spec.RestartPolicy = corev1.RestartPolicyNever
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "x", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}})
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "x"},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Finalizers: []string{v1alpha1.FinalizerMeter}}, Spec: spec,
		}},
	}
}

func (w *world) barePod(namespace string) client.Object {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "bare"}, Spec: *w.podSpec.DeepCopy()}
}

// orderDeployment tries a Deployment like the app's own, but for an edit.
func (w *world) orderDeployment(ctx context.Context, namespace string, edit func(*corev1.PodSpec)) error {
	spec := w.podSpec.DeepCopy()
	edit(spec)
	labels := map[string]string{"attack": "object", v1alpha1.LabelService: "x"} // as a service has them
	return w.asController(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "x"},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Finalizers: []string{v1alpha1.FinalizerMeter}}, Spec: *spec,
			},
		},
	})
}

// asController tries to make an object with the controller's rights; in the control's namespace, where it has none, with all.
func (w *world) asController(ctx context.Context, o client.Object) error {
	if o.GetNamespace() == controlNamespace {
		return w.Kube.Create(ctx, o, client.DryRunAll)
	}
	config := rest.CopyConfig(w.config)
	config.Impersonate.UserName = "system:serviceaccount:" + bed.SystemNamespace + ":controller"
	c, err := kube.Client(config)
	if err != nil {
		return err
	}
	return c.Create(ctx, o, client.DryRunAll)
}

// readTemplate keeps the template of the attacker's own pods.
func (w *world) readTemplate(ctx context.Context) error {
	d := &appsv1.Deployment{}
	err := w.Kube.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace(w.attacker.App), Name: "sibling"}, d)
	w.podSpec = &d.Spec.Template.Spec
	return err
}
