// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/outside"
	"github.com/apocryph/apocryph/internal/usage"
)

// annotationDigest on what the controller makes is the digest of what it was made from: a Deployment's service, or the manifest. While it
// is unchanged the object is not rendered again.
const annotationDigest = "apocryph.network/digest"

// surge is how many pods of a service may run beside the wanted one, while it is replaced. The quote's cap counts the same.
const surge = 1

// Desired returns everything that an app needs, in the order in which to make it: namespace, rights, limits, network, volumes, services.
// It is pure and always gives the same for the same input.
func Desired(app *v1alpha1.App, m *manifestv1.Manifest, cfg Config) ([]client.Object, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	d := &desired{id: app.Name, digest: app.Spec.ManifestHash, manifest: m, cfg: cfg}
	objects := []client.Object{d.namespace()}
	objects = append(objects, d.bindings()...)
	objects = append(objects, d.quota())
	objects = append(objects, d.policies()...)
	for _, v := range m.GetVolumes() {
		objects = append(objects, d.claim(v))
	}
	for _, s := range m.GetServices() {
		digest, err := d.serviceDigest(s)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", s.GetName(), err)
		}
		if files := d.files(s); files != nil {
			objects = append(objects, files)
		}
		objects = append(objects, d.service(s))
		if ends(s) {
			objects = append(objects, d.job(s, digest))
		} else {
			objects = append(objects, d.deployment(s, digest))
		}
	}
	return append(objects, d.aliasServices()...), nil
}

// desired is one call of Desired.
type desired struct {
	id       string
	digest   string
	manifest *manifestv1.Manifest
	cfg      Config
}

func (d *desired) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace:   v1alpha1.Namespace(d.id),
		Name:        name,
		Labels:      map[string]string{v1alpha1.LabelApp: d.id},
		Annotations: map[string]string{annotationDigest: d.digest},
	}
}

func (d *desired) namespace() client.Object {
	meta := d.meta(v1alpha1.Namespace(d.id))
	meta.Namespace = ""
	for mode, level := range map[string]string{"enforce": "baseline", "warn": "restricted"} {
		meta.Labels["pod-security.kubernetes.io/"+mode] = level
		meta.Labels["pod-security.kubernetes.io/"+mode+"-version"] = "latest"
	}
	return &corev1.Namespace{TypeMeta: kind("v1", "Namespace"), ObjectMeta: meta}
}

// bindings give the services that work in tenants' namespaces their rights there, and nowhere else.
func (d *desired) bindings() []client.Object {
	var all []client.Object
	for _, b := range []struct{ role, account string }{
		{RoleController, accountController},
		{RoleGateway, accountGateway},
		{RoleMeter, accountMeter},
	} {
		all = append(all, d.binding(b.role, b.account))
	}
	return all
}

func (d *desired) binding(role string, accounts ...string) *rbacv1.RoleBinding {
	b := &rbacv1.RoleBinding{
		TypeMeta:   kind("rbac.authorization.k8s.io/v1", "RoleBinding"),
		ObjectMeta: d.meta(role),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
	}
	for _, account := range accounts {
		b.Subjects = append(b.Subjects, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: d.cfg.Namespace, Name: account})
	}
	return b
}

// quota is exactly what the manifest needs with every service replaced at once.
func (d *desired) quota() client.Object {
	pods, volumes := manifest.Rate(d.manifest)
	var all usage.Rate
	for range 1 + surge {
		all = all.Add(pods)
	}
	n := int64(len(d.manifest.GetServices()))
	names := n + int64(len(d.aliasServices()))
	hard := corev1.ResourceList{
		corev1.ResourcePods:                   *resource.NewQuantity(n*(1+surge), resource.DecimalSI),
		corev1.ResourceServices:               *resource.NewQuantity(names*(1+surge), resource.DecimalSI), // old ones go after new ones came
		corev1.ResourceServicesNodePorts:      *resource.NewQuantity(0, resource.DecimalSI),
		corev1.ResourceServicesLoadBalancers:  *resource.NewQuantity(0, resource.DecimalSI),
		corev1.ResourcePersistentVolumeClaims: *resource.NewQuantity(int64(len(d.manifest.GetVolumes())), resource.DecimalSI),
		corev1.ResourceRequestsStorage:        *resource.NewQuantity(volumes.StorageBytes, resource.BinarySI),
	}
	for name, q := range map[corev1.ResourceName]*resource.Quantity{
		"cpu":               resource.NewMilliQuantity(all.MilliCPU, resource.DecimalSI),
		"memory":            resource.NewQuantity(all.MemoryBytes, resource.BinarySI),
		"ephemeral-storage": resource.NewQuantity(all.EphemeralBytes, resource.BinarySI),
	} {
		hard["requests."+name] = *q
		hard["limits."+name] = *q
	}
	for name, n := range all.Extended {
		// Kubernetes has no quota for the limits of these, which are always the requests.
		hard[corev1.ResourceName("requests."+name)] = *resource.NewQuantity(n, resource.DecimalSI)
	}
	d.roomForCarrier(hard)
	return &corev1.ResourceQuota{
		TypeMeta:   kind("v1", "ResourceQuota"),
		ObjectMeta: d.meta(quotaName),
		Spec:       corev1.ResourceQuotaSpec{Hard: hard},
	}
}

const quotaName = "app"

// policies deny everything but: among the services of a network, cluster DNS, the internet except for mail, and the facade to the http port.
func (d *desired) policies() []client.Object {
	both := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	egress := []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
	all := append([]client.Object{d.policy("default-deny", networkingv1.NetworkPolicySpec{PolicyTypes: both})}, d.siblings()...)
	all = append(all, d.policy("dns", networkingv1.NetworkPolicySpec{
		PodSelector: d.pods(d.services()),
		PolicyTypes: egress,
		Egress: []networkingv1.NetworkPolicyEgressRule{{
			To: []networkingv1.NetworkPolicyPeer{peer("kube-system", map[string]string{"k8s-app": "kube-dns"})},
			// Policies see the server's own port, behind the Service; a server without privileges often has 5353.
			Ports: []networkingv1.NetworkPolicyPort{
				port(corev1.ProtocolUDP, 53), port(corev1.ProtocolTCP, 53), port(corev1.ProtocolUDP, 5353), port(corev1.ProtocolTCP, 5353),
			},
		}},
	}))
	if out := d.outward(); len(out) > 0 {
		all = append(all, d.policy("internet", networkingv1.NetworkPolicySpec{
			PodSelector: d.pods(out),
			PolicyTypes: egress,
			Egress:      []networkingv1.NetworkPolicyEgressRule{{To: internet(d.cfg.DenyEgress), Ports: notMail()}},
		}))
	}
	if h := d.manifest.GetHttp(); h != nil {
		all = append(all, d.policy("facade", networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelService: h.GetService()}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{
				From:  []networkingv1.NetworkPolicyPeer{peer(d.cfg.Namespace, map[string]string{labelComponent: componentFacade})},
				Ports: []networkingv1.NetworkPolicyPort{port(corev1.ProtocolTCP, h.GetPort())},
			}},
		}))
	}
	return all
}

func (d *desired) services() []string {
	var names []string
	for _, s := range d.manifest.GetServices() {
		names = append(names, s.GetName())
	}
	return names
}

func (d *desired) policy(name string, spec networkingv1.NetworkPolicySpec) client.Object {
	return &networkingv1.NetworkPolicy{
		TypeMeta: kind("networking.k8s.io/v1", "NetworkPolicy"), ObjectMeta: d.meta(name), Spec: spec,
	}
}

func peer(namespace string, pods map[string]string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
		PodSelector:       &metav1.LabelSelector{MatchLabels: pods},
	}
}

func port(protocol corev1.Protocol, number uint32) networkingv1.NetworkPolicyPort {
	n := intstr.FromInt32(int32(number))
	return networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &n}
}

// notMail is every port but that at which mail servers take mail from strangers: one tenant that sends spam costs all of them the
// provider's good name. Mail is submitted at ports 465 and 587, after logging in.
func notMail() []networkingv1.NetworkPolicyPort {
	const smtp, last = 25, 65535
	return []networkingv1.NetworkPolicyPort{
		ports(corev1.ProtocolTCP, 1, smtp-1), ports(corev1.ProtocolTCP, smtp+1, last), ports(corev1.ProtocolUDP, 1, last),
	}
}

func ports(protocol corev1.Protocol, first uint32, last int32) networkingv1.NetworkPolicyPort {
	p := port(protocol, first)
	p.EndPort = &last
	return p
}

// internet is every address that lies outside: what apps send there is what is counted, too.
func internet(deny []string) []networkingv1.NetworkPolicyPeer {
	own, _ := outside.Parse(deny) // checked by Config.check
	var peers []networkingv1.NetworkPolicyPeer
	for _, b := range outside.Blocks(own) {
		block := &networkingv1.IPBlock{CIDR: b.Whole.String()}
		for _, p := range b.Except {
			block.Except = append(block.Except, p.String())
		}
		peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: block})
	}
	return peers
}

func (d *desired) claim(v *manifestv1.Volume) client.Object {
	meta := d.meta(v.GetName())
	meta.Labels[v1alpha1.LabelVolume] = v.GetName()
	meta.Annotations[annotationContent] = contentAwaited
	meta.Finalizers = []string{v1alpha1.FinalizerMeter}
	claim := &corev1.PersistentVolumeClaim{
		TypeMeta:   kind("v1", "PersistentVolumeClaim"),
		ObjectMeta: meta,
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{d.accessMode(v.GetName())},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceStorage: *resource.NewQuantity(int64(v.GetSizeBytes()), resource.BinarySI),
			}},
		},
	}
	if d.cfg.StorageClass != "" {
		claim.Spec.StorageClassName = &d.cfg.StorageClass
	}
	return claim
}

func (d *desired) accessMode(volume string) corev1.PersistentVolumeAccessMode {
	if d.cfg.AccessMode != "" {
		return d.cfg.AccessMode
	}
	users := 0
	for _, s := range d.manifest.GetServices() {
		for _, mount := range s.GetMounts() {
			if mount.GetVolume() == volume {
				users++
				break
			}
		}
	}
	if users > 1 {
		return corev1.ReadWriteOnce
	}
	return corev1.ReadWriteOncePod
}

func kind(apiVersion, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}
}
