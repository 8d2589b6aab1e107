// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// pause waits before one looks again.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(200 * time.Millisecond):
		return nil
	}
}

const (
	mib = 1 << 20
	// evictionLimit is how long kubelet may take to notice: it looks every ten seconds at figures that are as old again.
	evictionLimit = 2 * time.Minute
)

// greed tries to use more than was ordered. All loads are bounded by the probe.
func (w *world) greed() []attempt {
	does := func(what string, pairs ...string) func(context.Context) error {
		return w.does(w.glutton, what, pairs...)
	}
	bytes := func(n int) string { return fmt.Sprint(n * mib) }
	return []attempt{
		{
			name: "it starts processes without end", says: []string{"resource temporarily unavailable"},
			try: does("fork", "count", "4000"), control: does("fork", "count", "100"),
		},
		{
			name: "it uses more memory than it ordered", says: []string{"killed"},
			try: does("memory", "bytes", bytes(400)), control: does("memory", "bytes", bytes(64)),
		},
		{
			name: "it fills the memory file system", says: []string{"no space left"},
			try: does("fill", "path", "/dev/shm/x", "bytes", bytes(400)), control: does("fill", "path", "/dev/shm/y", "bytes", bytes(1)),
		},
		{
			name: "it writes more to its volume than it ordered", says: []string{"no space left"},
			try: does("fill", "path", "/heap/x", "gone", "yes", "bytes", bytes(100)), control: does("fill", "path", "/heap/y", "gone", "yes", "bytes", bytes(10)),
		},
		{
			name: "it makes more files in its volume than that has room for", says: []string{"no space left"},
			try: does("litter", "path", "/heap/many", "count", "100000"), control: does("litter", "path", "/heap/few", "count", "1000"),
		},
		{
			name: "it fills the machine's table of connections", says: []string{"are in the table"},
			try: w.tracked(w.probe, true), control: w.tracked(w.open, false),
		},
		{
			name: "it writes more to its root file system than it ordered", says: []string{"Evicted"},
			try:     w.stays("fill", "path", "/big", "bytes", bytes(200)),
			control: w.keeps("fill", "path", "/small", "bytes", bytes(10)),
		},
		{
			name: "it writes more to its log than it ordered", says: []string{"Evicted", "rotated"},
			try:     w.logs(200 * mib),
			control: w.keeps("chatter", "bytes", bytes(1)),
		},
	}
}

// tracked begins more connections than rules.nft lets one app's pod have, and says how many of its connections the machine keeps track of.
func (w *world) tracked(from func() place, bounded bool) func(context.Context) error {
	const bound, count = 2048, 3000
	return func(ctx context.Context) error {
		own, err := w.address(ctx, from())
		if err != nil {
			return err
		}
		if _, err := w.ask(ctx, from(), "scatter", "to", mail+":9", "count", fmt.Sprint(count)); err != nil {
			return err
		}
		table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/nf_conntrack", w.outside.init))
		if err != nil {
			return err
		}
		n := 0
		for line := range strings.Lines(string(table)) {
			// Who began it comes first. What is closed is there for a while, but not counted: the kernel drops it first when the table is full.
			state, tuple, _ := strings.Cut(line, " src=")
			if strings.HasPrefix(tuple, own+" ") && !strings.HasSuffix(state, "TIME_WAIT") && !strings.HasSuffix(state, " CLOSE") {
				n++
			}
		}
		said := fmt.Errorf("%d are in the table after %d more", n, count)
		switch {
		case n == 0 || n > bound && bounded:
			return fmt.Errorf("%w: %w", errHappened, said)
		case bounded || n <= bound:
			return said
		}
		return nil
	}
}

// stays does something, and fails once the pod is evicted for it.
func (w *world) stays(what string, pairs ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, evictionLimit)
		defer cancel()
		before, err := w.pod(ctx, w.glutton())
		if err != nil {
			return fmt.Errorf("%w: %w", errHappened, err)
		}
		_, _ = w.ask(ctx, w.glutton(), what, pairs...)
		for {
			p := &corev1.Pod{}
			if err := w.Kube.Get(ctx, client.ObjectKeyFromObject(before), p); err != nil {
				return fmt.Errorf("%w: the pod is %s: %w", errHappened, p.Status.Phase, err)
			}
			if p.Status.Phase == corev1.PodFailed {
				if err := w.comesBack(ctx); err != nil {
					return fmt.Errorf("%w: nothing came back: %w", errHappened, err)
				}
				return fmt.Errorf("%s: %s", p.Status.Reason, p.Status.Message)
			}
			if err := pause(ctx); err != nil {
				return fmt.Errorf("%w: the pod is still %s", errHappened, p.Status.Phase)
			}
		}
	}
}

// comesBack waits for the pod that takes an evicted one's place.
func (w *world) comesBack(ctx context.Context) error {
	for {
		if _, err := w.ask(ctx, w.glutton(), "loopback"); err == nil {
			return nil
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// keeps does something that is within bounds: it works and the pod stays.
func (w *world) keeps(what string, pairs ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := w.comesBack(ctx); err != nil {
			return err
		}
		before, err := w.pod(ctx, w.glutton())
		if err != nil {
			return err
		}
		if _, err := w.ask(ctx, w.glutton(), what, pairs...); err != nil {
			return err
		}
		after, err := w.pod(ctx, w.glutton())
		if err == nil && after.UID != before.UID {
			err = fmt.Errorf("pod %s was replaced", before.Name)
		}
		return err
	}
}

// neighbour asks the other app all the while, and counts.
type neighbour struct {
	stop   context.CancelFunc
	done   sync.WaitGroup
	took   []time.Duration
	failed []string
}

func (w *world) watch(t *testing.T) *neighbour {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	n := &neighbour{stop: stop}
	n.done.Go(func() {
		for ctx.Err() == nil {
			start := time.Now()
			code, body, err := w.Get(ctx, w.victim.URL)
			if ctx.Err() != nil {
				return
			}
			n.took = append(n.took, time.Since(start))
			if err != nil || code != 200 {
				n.failed = append(n.failed, fmt.Sprintf("%d %v %s", code, err, strings.TrimSpace(body)))
			}
			if pause(ctx) != nil {
				return
			}
		}
	})
	return n
}

// end says how the neighbour fared: no request of its users may have failed.
func (n *neighbour) end(t *testing.T) {
	t.Helper()
	n.stop()
	n.done.Wait()
	slices.Sort(n.took)
	if len(n.took) == 0 {
		t.Fatal("the neighbour was never asked")
	}
	t.Logf("the neighbour's users: %d requests, %d failed, median %s, 99%% %s, longest %s",
		len(n.took), len(n.failed), n.took[len(n.took)/2], n.took[len(n.took)*99/100], n.took[len(n.took)-1])
	for _, f := range n.failed {
		t.Error("a request to the neighbour failed: " + f)
	}
}

// logs says so much that kubelet has to do something about it: rotate until the rest is within the order, or evict.
func (w *world) logs(n int) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, evictionLimit)
		defer cancel()
		before, err := w.pod(ctx, w.glutton())
		if err != nil {
			return fmt.Errorf("%w: %w", errHappened, err)
		}
		_, _ = w.ask(ctx, w.glutton(), "chatter", "bytes", fmt.Sprint(n))
		for {
			p := &corev1.Pod{}
			if err := w.Kube.Get(ctx, client.ObjectKeyFromObject(before), p); err == nil && p.Status.Phase == corev1.PodFailed {
				return fmt.Errorf("%s: %s", p.Status.Reason, p.Status.Message)
			}
			size, err := w.outside.sizeOf("var/log/pods", string(before.UID))
			if err == nil && size < 64*mib {
				return fmt.Errorf("rotated: %d MiB are left of %d", size/mib, n/mib)
			}
			if err := pause(ctx); err != nil {
				return fmt.Errorf("%w: the pod is still %s, its log %d MiB", errHappened, p.Status.Phase, size/mib)
			}
		}
	}
}
