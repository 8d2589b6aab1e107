// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// maxBlocked bounds what a tenant's own process can put into a status.
const maxBlocked = 400

// observed is what there is of an app in its namespace.
type observed struct {
	// order is the number of the statement that is in force.
	order       int64
	deployments []appsv1.Deployment
	replicaSets []appsv1.ReplicaSet
	// jobs are services that end, fills bring volumes their first content, carries move that of volumes that nobody mounts.
	jobs, fills, carries []batchv1.Job
	pods                 []corev1.Pod
	// carriers are where volumes' content can be moved.
	carriers []v1alpha1.Carrier
	// outdated services are not yet there as ordered, waiting ones have yet to start, held ones to be brought up to date; by service, the
	// latter with what they wait for.
	outdated      map[string]bool
	waiting, held map[string]string
	// claims are all there are, kept those of volumes that left the manifest, and awaited by name those that have yet to get their content.
	claims, kept []corev1.PersistentVolumeClaim
	awaited      map[string]bool
	// unread says that there is a namespace, but no right yet to look into it.
	unread bool
	// unfillable are services with a volume that could not get its content, reverted ones those whose new version did not come up.
	unfillable, reverted map[string]bool
	// refused is why the API server took something not, in its words, by service; "" stands for the app as a whole.
	refused map[string]string
}

// deployment returns the one of a service, or nil.
func (o *observed) deployment(service string) *appsv1.Deployment {
	for i := range o.deployments {
		if o.deployments[i].Name == service {
			return &o.deployments[i]
		}
	}
	return nil
}

// stopped reports whether no pod is left and none can come: every controller above them has acted on zero replicas.
func (o *observed) stopped() bool {
	if len(o.jobs)+len(o.fills)+len(o.carries) > 0 { // each is there until its last pod is gone
		return false
	}
	for _, d := range o.deployments {
		if replicas(d.Spec.Replicas) != 0 || d.Status.ObservedGeneration < d.Generation || d.Status.Replicas != 0 {
			return false
		}
	}
	for _, rs := range o.replicaSets {
		if replicas(rs.Spec.Replicas) != 0 || rs.Status.ObservedGeneration < rs.Generation || rs.Status.Replicas != 0 {
			return false
		}
	}
	for i := range o.pods {
		if !spent(&o.pods[i]) {
			return false
		}
	}
	return true
}

// spent pods have ended and their time is written down: evicted ones, say, which stay to be looked at until the namespace goes.
func spent(p *corev1.Pod) bool {
	return over(p) && !slices.Contains(p.Finalizers, v1alpha1.FinalizerMeter)
}

func over(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
}

// rolledOut reports whether every pod is of the newest template.
func (o *observed) rolledOut() bool {
	for _, d := range o.deployments {
		if d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas != d.Status.Replicas {
			return false
		}
	}
	return true
}

// report makes the controller's part of the status: all of it, because what an apply leaves out goes away.
func report(app *v1alpha1.App, m *manifestv1.Manifest, in intent, o *observed, cfg Config, now time.Time) v1alpha1.AppStatus {
	s := v1alpha1.AppStatus{
		ObservedGeneration: app.Generation,
		URL:                cfg.url(app),
		EndReason:          in.end,
		EndedAt:            app.Status.EndedAt,
	}
	serving, ready := true, in.build && in.replicas > 0
	for _, svc := range m.GetServices() {
		st := serviceStatus(svc, m, in, o)
		if ends(svc) { // whether it has done its work says nothing about whether the others answer
			ready = ready && !o.outdated[svc.GetName()] && st.Ready >= st.Wanted
		} else {
			serving = serving && st.Wanted > 0 && st.Ready >= st.Wanted
			ready = ready && len(o.held) == 0 && rolled(o.deployment(svc.GetName()), st.Wanted)
		}
		s.Services = append(s.Services, st)
		if svc.GetName() == m.GetHttp().GetService() {
			s.Replicas = current(o.deployment(svc.GetName()))
			s.Selector = v1alpha1.LabelApp + "=" + app.Name + "," + v1alpha1.LabelService + "=" + svc.GetName()
		}
	}
	s.Volumes, s.Carriers = volumes(m, o.claims), o.carriers
	r := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: in.reason, Message: in.message}
	s.Phase = phase(in, serving, made(app))
	switch {
	case in.end != "":
	case ready && o.refused == nil:
		r.Status, r.Reason = metav1.ConditionTrue, ReasonReady
	case in.reason == "":
		r.Reason, r.Message = blocked(s.Services, o)
	}
	stopped := metav1.Condition{Type: v1alpha1.ConditionStopped, Status: metav1.ConditionFalse, Reason: ReasonRunning}
	if in.end != "" {
		stopped.Reason = ReasonEnding
		if o.stopped() {
			stopped.Status, stopped.Reason = metav1.ConditionTrue, ReasonNoPods
		}
	}
	s.Conditions = conditions(app, now, r, stopped)
	return s
}

// volumes are those that there are. What the manifest does not name is kept, and mounted by nobody.
func volumes(m *manifestv1.Manifest, claims []corev1.PersistentVolumeClaim) []v1alpha1.VolumeStatus {
	var all []v1alpha1.VolumeStatus
	for i := range claims {
		v := v1alpha1.VolumeStatus{Name: claims[i].Name, SizeBytes: claims[i].Spec.Resources.Requests.Storage().Value()}
		for _, s := range m.GetServices() {
			if slices.ContainsFunc(s.GetMounts(), func(mount *manifestv1.Mount) bool { return mount.GetVolume() == v.Name }) {
				v.Services = append(v.Services, s.GetName())
			}
		}
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b v1alpha1.VolumeStatus) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// phase is Ready while every service answers, also during an update or when the newest order was refused.
func phase(in intent, serving, made bool) v1alpha1.Phase {
	switch {
	case in.end != "":
		return v1alpha1.PhaseEnding
	case in.reason == ReasonUnfunded || in.reason == ReasonScaledDown:
		return v1alpha1.PhaseSuspended
	case !made:
		return v1alpha1.PhasePending
	case serving && in.replicas > 0:
		return v1alpha1.PhaseReady
	case in.replicas == 0:
		return v1alpha1.PhasePending
	}
	return v1alpha1.PhaseStarting
}

// conditions returns the given ones with the times of those in force whose status did not change.
func conditions(app *v1alpha1.App, now time.Time, own ...metav1.Condition) []metav1.Condition {
	for i := range own {
		own[i].ObservedGeneration = app.Generation
		own[i].LastTransitionTime = metav1.NewTime(now.Truncate(time.Second))
		if old := meta.FindStatusCondition(app.Status.Conditions, own[i].Type); old != nil && old.Status == own[i].Status {
			own[i].LastTransitionTime = old.LastTransitionTime
		}
	}
	return own
}

// blocked sums up for the Ready condition what keeps services. One that only waits for another is not blocked itself.
func blocked(services []v1alpha1.ServiceStatus, o *observed) (reason, message string) {
	if o.refused[""] != "" {
		return ReasonRefused, refusal(o.refused[""])
	}
	var all []string
	reason = ReasonStarting
	for _, s := range services {
		if s.Blocked != "" {
			all = append(all, s.Name+": "+s.Blocked)
			if o.waiting[s.Name] == "" && o.held[s.Name] == "" || o.unfillable[s.Name] {
				reason = ReasonBlocked
			}
		}
	}
	if len(o.reverted) > 0 {
		reason = ReasonTakenBack
	}
	if o.againstIt() {
		reason = ReasonRefused
	}
	return reason, cmp.Or(strings.Join(all, "; "), "waiting for pods to be ready")
}

func serviceStatus(svc *manifestv1.Service, m *manifestv1.Manifest, in intent, o *observed) v1alpha1.ServiceStatus {
	st := v1alpha1.ServiceStatus{Name: svc.GetName(), Wanted: in.replicas}
	if in.end != "" {
		st.Wanted = 0
	}
	var newest *corev1.Pod
	for i := range o.pods {
		p := &o.pods[i]
		if p.Labels[v1alpha1.LabelService] != svc.GetName() || !p.DeletionTimestamp.IsZero() {
			continue
		}
		if newest == nil || newest.CreationTimestamp.Before(&p.CreationTimestamp) {
			newest = p
		}
		for _, c := range p.Status.ContainerStatuses {
			st.Restarts += c.RestartCount
		}
		st.Crashing = cmp.Or(st.Crashing, crashing(p, svc.GetName()))
	}
	st.Blocked = cmp.Or(refusal(o.refused[svc.GetName()]), trim(cmp.Or(o.held[svc.GetName()], o.waiting[svc.GetName()])))
	if ends(svc) {
		jobStatus(&st, o.job(svc.GetName()), newest)
		return st
	}
	d := o.deployment(svc.GetName())
	if d != nil {
		st.Ready = d.Status.ReadyReplicas
	}
	if st.Blocked == "" && st.Wanted > 0 && (st.Ready == 0 || (d != nil && d.Status.UpdatedReplicas < d.Status.Replicas)) {
		st.Blocked = cmp.Or(failure(d), podBlocked(newest, m, svc).String())
	}
	return st
}

// rolled reports whether a service runs as ordered: the newest template, as often as wanted, and nothing else; and that it goes on to run, for
// as long as proving says.
func rolled(d *appsv1.Deployment, wanted int32) bool {
	return d != nil && d.Status.ObservedGeneration >= d.Generation && replicas(d.Spec.Replicas) == wanted &&
		d.Status.UpdatedReplicas == wanted && d.Status.AvailableReplicas >= wanted && d.Status.Replicas == wanted
}

func current(d *appsv1.Deployment) int32 {
	if d == nil {
		return 0
	}
	return d.Status.Replicas
}

func replicas(n *int32) int32 {
	if n == nil {
		return 1 // the API's default
	}
	return *n
}

// trim makes one bounded line of what may come from a tenant.
func trim(s string) string { return trimTo(maxBlocked, s) }

func trimTo(most int, s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
