// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/doctor/probe"
)

const (
	// patience is how long a probe may take to say something, pulled image and all.
	patience  = 90 * time.Second
	pollEvery = 500 * time.Millisecond
	// sweepTime bounds the removal, which goes on when the run is over or told to stop.
	sweepTime = 30 * time.Second
)

// stuck says that a probe did not come to an end.
type stuck struct {
	// refused says that a machine took the pod and would not start it, which is about the machine; else nothing is known.
	refused bool
	why     string
}

func (s *stuck) Error() string { return s.why }

// sweep removes everything that any run made: the lock is ours, so there is no other run.
func (d *Doctor) sweep(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepTime)
	defer cancel()
	for {
		left, err := d.remove(ctx)
		switch {
		case err == nil && left == 0:
			return
		case err != nil:
			d.parts.Log.WarnContext(ctx, "removing probes", "error", err)
		}
		if d.parts.Wait(ctx, pollEvery) != nil {
			d.parts.Log.WarnContext(ctx, "probes are left; the next run removes them", "left", left)
			return
		}
	}
}

// remove deletes what has the label and says how much there was.
func (d *Doctor) remove(ctx context.Context) (int, error) {
	which := []client.ListOption{client.InNamespace(d.cfg.Probes), client.HasLabels{LabelProbe}}
	var pods corev1.PodList
	var claims corev1.PersistentVolumeClaimList
	if err := errors.Join(d.parts.Cluster.List(ctx, &pods, which...), d.parts.Cluster.List(ctx, &claims, which...)); err != nil {
		return 0, err
	}
	var errs []error
	gone := func(o client.Object) {
		if o.GetDeletionTimestamp() == nil {
			errs = append(errs, client.IgnoreNotFound(d.parts.Cluster.Delete(ctx, o)))
		}
	}
	for i := range pods.Items {
		gone(&pods.Items[i])
	}
	for i := range claims.Items {
		gone(&claims.Items[i])
	}
	return len(pods.Items) + len(claims.Items), errors.Join(errs...)
}

// until polls a pod until done says so, for as long as a probe may take.
func (l *looker) until(ctx context.Context, pod *corev1.Pod, done func(*corev1.Pod) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		ok, err := done(pod)
		if ok || err != nil {
			return err
		}
		if l.parts.Wait(ctx, pollEvery*time.Duration(max(1, len(l.sites)))) != nil {
			return l.diagnose(context.WithoutCancel(ctx), pod)
		}
		if err := l.parts.Cluster.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil && ctx.Err() == nil {
			return fmt.Errorf("looking at the probe: %w", err)
		}
	}
}

// diagnose says why a pod did not come as far as it should have.
func (l *looker) diagnose(ctx context.Context, pod *corev1.Pod) error {
	ctx, cancel := context.WithTimeout(ctx, sweepTime)
	defer cancel()
	scheduled := false
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled {
			scheduled = c.Status == corev1.ConditionTrue
			if !scheduled {
				return &stuck{why: fmt.Sprintf("no machine takes pod %s: %s", pod.Name, c.Message)}
			}
		}
	}
	for _, s := range pod.Status.ContainerStatuses {
		w := s.State.Waiting
		if w == nil || w.Reason == "ContainerCreating" || w.Reason == "PodInitializing" {
			continue
		}
		pull := w.Reason == "ErrImagePull" || w.Reason == "ImagePullBackOff" || w.Reason == "ErrImageNeverPull"
		return &stuck{refused: scheduled && !pull, why: fmt.Sprintf("%s: %s", w.Reason, w.Message)}
	}
	if reason, message := l.warning(ctx, pod); reason != "" {
		return &stuck{refused: scheduled && reason == "FailedCreatePodSandBox", why: fmt.Sprintf("%s: %s", reason, message)}
	}
	return &stuck{why: fmt.Sprintf("pod %s is %s and says nothing", pod.Name, pod.Status.Phase)}
}

// warning is the last one about an object.
func (l *looker) warning(ctx context.Context, about client.Object) (reason, message string) {
	var events corev1.EventList
	if l.parts.Cluster.List(ctx, &events, client.InNamespace(about.GetNamespace())) != nil {
		return "", ""
	}
	for _, e := range events.Items { // oldest first, as the API server lists by name, which ends in the time
		if e.InvolvedObject.Name == about.GetName() && e.InvolvedObject.UID == about.GetUID() && e.Type == corev1.EventTypeWarning {
			reason, message = e.Reason, e.Message
		}
	}
	return reason, message
}

// report makes a pod and reads what it says.
func (l *looker) report(ctx context.Context, pod *corev1.Pod, into any) error {
	_, err := l.lastWords(ctx, pod, into)
	return err
}

// lastWords is report, with when the machine says that the pod ended.
func (l *looker) lastWords(ctx context.Context, pod *corev1.Pod, into any) (ended time.Time, err error) {
	if err := l.parts.Cluster.Create(ctx, pod); err != nil {
		return ended, fmt.Errorf("making a probe: %w", err)
	}
	err = l.until(ctx, pod, func(p *corev1.Pod) (bool, error) {
		for _, s := range p.Status.ContainerStatuses {
			t := s.State.Terminated
			if t == nil {
				continue
			}
			if err := json.Unmarshal([]byte(t.Message), into); err != nil || t.ExitCode != 0 {
				return false, &stuck{
					refused: t.Reason == "StartError" || t.Reason == "ContainerCannotRun",
					why:     fmt.Sprintf("%s, exit code %d: %.300q", t.Reason, t.ExitCode, t.Message),
				}
			}
			ended = t.FinishedAt.Time
			return true, nil
		}
		if p.Status.Phase == corev1.PodFailed {
			return false, &stuck{why: fmt.Sprintf("pod %s: %s %s", p.Name, p.Status.Reason, p.Status.Message)}
		}
		return false, nil
	})
	return ended, err
}

func (s *site) users(ctx context.Context) (userFacts, error) {
	var f userFacts
	err := s.report(ctx, s.userPod(), &f.report)
	if s := new(stuck); errors.As(err, &s) && s.refused {
		return userFacts{refused: s.why}, nil
	}
	return f, err
}

func (s *site) tasks(ctx context.Context) (taskFacts, error) {
	f := taskFacts{most: s.cfg.MaxPIDs}
	return f, s.report(ctx, s.pod(probeTasks, "tasks", fmt.Sprintf("--bound=%d", s.cfg.MaxPIDs)), &f.report)
}

// listen starts the machine's listener and says where it is.
func (s *site) listen(ctx context.Context) (string, error) {
	listener := s.pod(probeListener, "listen")
	if err := s.parts.Cluster.Create(ctx, listener); err != nil {
		return "", fmt.Errorf("making a probe: %w", err)
	}
	err := s.until(ctx, listener, func(p *corev1.Pod) (bool, error) {
		return p.Status.Phase == corev1.PodRunning && p.Status.PodIP != "", nil
	})
	return listener.Status.PodIP, err
}

// dialled makes a round of the dialers. Three checks read what they say.
func (s *site) dialled(ctx context.Context) (f networkFacts, err error) {
	ip, err := s.listener(ctx)
	if err != nil {
		return f, err
	}
	f.began = s.parts.Now()
	f.ended, err = s.lastWords(ctx, s.dialer("near", ip), &f.near)
	f.seen = s.parts.Now()
	if err != nil || s.peer == nil {
		return f, err
	}
	if ip, err = s.peer.listener(ctx); err != nil {
		return f, nil //nolint:nilerr // said where it belongs: by the other machine's own check
	}
	f.peer, f.far = s.peer.machine, new(probe.NetworkReport)
	return f, s.report(ctx, s.dialer("far", ip), f.far)
}

func (s *site) end(ctx context.Context) (endFacts, error) {
	f, err := s.network(ctx)
	return endFacts{f.began, f.seen, f.ended}, err
}

func (s *site) names(ctx context.Context) (nameFacts, error) {
	var service corev1.Service
	if err := s.parts.Cluster.Get(ctx, client.ObjectKey{Namespace: s.cfg.Probes, Name: ServiceListener}, &service); err != nil {
		return nameFacts{}, fmt.Errorf("looking for the Service that the chart makes: %w", err)
	}
	f, err := s.network(ctx)
	return nameFacts{report: f.near, want: service.Spec.ClusterIP}, err
}

func (s *site) volume(ctx context.Context) (volumeFacts, error) {
	claim := s.claim()
	if err := s.parts.Cluster.Create(ctx, claim); err != nil {
		return volumeFacts{}, fmt.Errorf("making a claim: %w", err)
	}
	if claim.Spec.StorageClassName == nil {
		return volumeFacts{refused: "the cluster has no default class, and none is configured"}, nil
	}
	f := volumeFacts{class: *claim.Spec.StorageClassName}
	err := s.report(ctx, s.volumePod(), &f.report)
	// Looked at whatever became of the pod: a claim that nobody fills is why.
	if e := s.parts.Cluster.Get(ctx, client.ObjectKeyFromObject(claim), claim); e != nil {
		return f, errors.Join(err, e)
	}
	if claim.Status.Phase != corev1.ClaimBound {
		if reason, message := s.warning(ctx, claim); reason == "ProvisioningFailed" {
			return volumeFacts{class: f.class, refused: message}, nil
		}
		return f, errors.Join(fmt.Errorf("no volume for a claim of class %q so far", f.class), err)
	}
	size := claim.Status.Capacity[corev1.ResourceStorage]
	f.size = max(size.Value(), s.cfg.VolumeBytes)
	return f, err
}

func (s *site) image(ctx context.Context) (imageFacts, error) {
	f := imageFacts{prefix: s.cfg.ImagePrefix}
	pod := s.imagePod()
	if err := s.parts.Cluster.Create(ctx, pod); err != nil {
		return f, fmt.Errorf("making a probe: %w", err)
	}
	return f, s.until(ctx, pod, func(p *corev1.Pod) (bool, error) {
		for _, s := range p.Status.ContainerStatuses {
			w := s.State.Waiting
			if w == nil || w.Reason != "ErrImagePull" && w.Reason != "ImagePullBackOff" {
				continue
			}
			switch s.Name {
			case containerAbsent:
				f.absent = w.Message
			case containerRefused:
				f.refused = w.Message
			}
		}
		return f.absent != "" && f.refused != "", nil
	})
}

// provider reads the Provider, or makes it where there is none so far.
func (d *Doctor) provider(ctx context.Context) (*v1alpha1.Provider, error) {
	p := &v1alpha1.Provider{ObjectMeta: metav1.ObjectMeta{Namespace: d.cfg.Namespace, Name: v1alpha1.ProviderName}}
	err := d.parts.Cluster.Get(ctx, client.ObjectKeyFromObject(p), p)
	if kerrors.IsNotFound(err) {
		if err = d.parts.Cluster.Create(ctx, p); kerrors.IsAlreadyExists(err) {
			err = d.parts.Cluster.Get(ctx, client.ObjectKeyFromObject(p), p)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the Provider: %w", err)
	}
	return p, nil
}
