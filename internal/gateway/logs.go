// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/fault"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

const (
	// maxLine bounds one line; the rest of a longer one is dropped.
	maxLine = 16 << 10
	// lookForPods is how soon a new pod's lines begin to arrive.
	lookForPods = time.Second
)

// ClusterLogs reads pods' logs from the API server.
type ClusterLogs struct{ Client kubernetes.Interface }

// Stream opens a log.
func (c ClusterLogs) Stream(ctx context.Context, namespace, pod string, o *corev1.PodLogOptions) (io.ReadCloser, error) {
	return c.Client.CoreV1().Pods(namespace).GetLogs(pod, o).Stream(ctx)
}

// logStream is one call of Logs.
type logStream struct {
	stream
	request *providerv1.LogsRequest
	send    func(*providerv1.LogsResponse) error
}

// run sends lines until all are sent or, following, until the delegation ends or the caller leaves.
func (s logStream) run(ctx context.Context) error {
	app, err := s.g.own(ctx, s.caller, s.app)
	if err != nil {
		return err
	}
	if s.request.Previous && s.request.Follow {
		return refuse(providerv1.Reason_REASON_BAD_REQUEST, "runs that have ended write no more: previous and follow exclude each other")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := &tail{
		g: s.g, app: app.Name, namespace: v1alpha1.Namespace(app.Name), service: s.request.Service, follow: s.request.Follow,
		previous: s.request.Previous, last: s.request.Tail, since: time.Unix(int64(min(s.request.Since, 1<<33)), 0),
		lines: make(chan *providerv1.LogsResponse), done: make(chan struct{}), pods: map[types.UID]*podTail{}, machines: map[string]map[string]int64{},
	}
	// Before the first line, so that a service that never was is an answer and no empty log.
	k, err := t.openKept(ctx)
	if err != nil {
		return err
	}
	defer k.close()
	if err := checkService(app, s.request.Service, k); err != nil {
		return err
	}
	var read error
	go func() {
		defer close(t.done)
		read = t.run(ctx, k)
	}()
	err = s.pump(ctx, t)
	cancel()
	<-t.done
	if err != nil {
		return err
	}
	return read
}

// checkService: the service is in the manifest, or something is kept of it.
func checkService(app *v1alpha1.App, service string, k *kept) error {
	if service == "" || k.has(service) {
		return nil
	}
	m, err := manifest.Decode(app.Spec.Manifest)
	if err != nil {
		return fmt.Errorf("reading the app's manifest: %w", err)
	}
	for _, s := range m.Services {
		if s.Name == service {
			return nil
		}
	}
	err = refuse(providerv1.Reason_REASON_BAD_REQUEST, "the app has no service %.80q, and nothing is kept of one", service)
	return fault.Hint(err, "see its services with: apocryph status")
}

// pump is the one goroutine that sends. It returns nil when all is read.
func (s logStream) pump(ctx context.Context, t *tail) error {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.done:
			return nil
		case <-beat.C:
			if err := s.tick(); err != nil {
				return err
			}
			if err := s.send(&providerv1.LogsResponse{}); err != nil {
				return err
			}
		case line := <-t.lines:
			if err := s.send(line); err != nil {
				return err
			}
			s.g.parts.Sent.Add(t.app, int64(len(line.Line)))
		}
	}
}

// tail reads what is kept of an app, then, of machines whose log stores don't answer, the logs of its pods as they come and go.
type tail struct {
	g         *Gateway
	app       string
	namespace string
	service   string
	follow    bool
	// previous leaves out runs that have not ended, last all but the last lines.
	previous bool
	last     *uint32
	since    time.Time
	lines    chan *providerv1.LogsResponse
	done     chan struct{}
	readers  sync.WaitGroup

	mu   sync.Mutex
	pods map[types.UID]*podTail
	// machines are those whose log stores were given up: by service, when the last line that they sent was written. A pod of another is
	// left to its log store.
	machines map[string]map[string]int64
}

// podTail is how far a pod was read.
type podTail struct {
	last    time.Time
	reading bool
	// goesOn says that lines before its first were sent from what is kept: all that follow are wanted.
	goesOn bool
	// ended is the container whose log came to its end.
	ended string
}

// run returns when all is read or ctx ends; no reader is left then.
func (t *tail) run(ctx context.Context, k *kept) error {
	defer t.readers.Wait()
	if err := t.sendKept(ctx, k); err != nil {
		return err
	}
	if t.follow {
		for _, m := range k.machines {
			if !m.over {
				t.readers.Go(func() { t.followKept(ctx, m) })
			}
		}
	}
	look := time.NewTicker(lookForPods)
	defer look.Stop()
	for {
		pods, err := t.list(ctx)
		if err != nil {
			return err
		}
		for i := range pods {
			if from, ours := t.from(k, &pods[i]); ours {
				t.start(ctx, &pods[i], from)
			}
		}
		if !t.follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
	}
}

func (t *tail) list(ctx context.Context) ([]corev1.Pod, error) {
	var list corev1.PodList
	labels := client.MatchingLabels{}
	if t.service != "" {
		labels[v1alpha1.LabelService] = t.service
	}
	err := t.g.parts.Cluster.List(ctx, &list, client.InNamespace(t.namespace), labels)
	// Before the namespace is made, and after it is gone, the gateway has no right in it.
	if kerrors.IsForbidden(err) || kerrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return list.Items, nil
}

// start begins to read a pod's log if there is something new in it: in order when not following, else all pods side by side.
func (t *tail) start(ctx context.Context, pod *corev1.Pod, from time.Time) {
	status, ok := container(pod)
	if !ok {
		return
	}
	t.mu.Lock()
	p := t.pods[pod.UID]
	if p == nil {
		p = &podTail{last: from, goesOn: from.After(t.since)}
		t.pods[pod.UID] = p
	}
	busy := p.reading || (p.ended == status.ContainerID && status.State.Running == nil)
	p.reading = !busy || p.reading
	t.mu.Unlock()
	if busy {
		return
	}
	first := p.ended == ""
	read := func() {
		if first && status.RestartCount > 0 {
			t.read(ctx, pod, p, true)
		}
		if !t.previous || status.State.Running == nil {
			t.read(ctx, pod, p, false)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		p.reading, p.ended = false, status.ContainerID
	}
	if !t.follow {
		read()
		return
	}
	t.readers.Go(read)
}

// container is the state of a pod's one container, if it ever ran.
func container(pod *corev1.Pod) (corev1.ContainerStatus, bool) {
	service := pod.Labels[v1alpha1.LabelService]
	for _, s := range pod.Status.ContainerStatuses {
		if s.Name == service {
			return s, s.State.Running != nil || s.State.Terminated != nil || s.RestartCount > 0
		}
	}
	return corev1.ContainerStatus{}, false
}

// read reads the log of a pod's container, or of the one before it, to its end. An error ends it like the end does: a pod that goes away
// meanwhile is no failure, and one that stays is tried again.
func (t *tail) read(ctx context.Context, pod *corev1.Pod, p *podTail, previous bool) {
	service := pod.Labels[v1alpha1.LabelService]
	o := &corev1.PodLogOptions{Container: service, Follow: t.follow && !previous, Timestamps: true, Previous: previous}
	if t.last != nil && !p.goesOn {
		o.TailLines = new(int64(*t.last))
	}
	if p.last.Unix() > 0 {
		o.SinceTime = &metav1.Time{Time: p.last}
	}
	r, err := t.g.parts.Pods.Stream(ctx, t.namespace, pod.Name, o)
	if err != nil {
		t.g.parts.Log.DebugContext(ctx, "log not readable", "pod", pod.Name, "error", err)
		return
	}
	defer func() { _ = r.Close() }()
	buffered := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := readLine(buffered)
		if err != nil {
			return
		}
		at, text := splitLine(line)
		// SinceTime has seconds only: what was sent before comes again.
		if !at.IsZero() && !at.After(p.last) {
			continue
		}
		if !at.IsZero() {
			p.last = at
		}
		if !t.emit(ctx, &providerv1.LogsResponse{Service: service, Line: text, Time: unixNano(at)}) {
			return
		}
	}
}

// emit hands a line on, unless ctx ends.
func (t *tail) emit(ctx context.Context, line *providerv1.LogsResponse) bool {
	select {
	case t.lines <- line:
		return true
	case <-ctx.Done():
		return false
	}
}

// readLine returns a line without its end, cut at the buffer's size. The last one may lack its end.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	line = bytes.Clone(line)
	cut := errors.Is(err, bufio.ErrBufferFull)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = r.ReadSlice('\n')
	}
	switch {
	case err != nil && (len(line) == 0 || !errors.Is(err, io.EOF)):
		return nil, err
	case cut:
		return append(line, "…"...), nil
	}
	return bytes.TrimSuffix(line, []byte("\n")), nil
}

// splitLine takes the time off that the API server put before a line.
func splitLine(line []byte) (time.Time, []byte) {
	stamp, text, ok := bytes.Cut(line, []byte(" "))
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil {
		return time.Time{}, line
	}
	if !ok {
		return at, nil
	}
	return at, text
}

func unixNano(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(t.UnixNano(), 0))
}
