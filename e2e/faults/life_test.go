// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
	"github.com/apocryph/apocryph/internal/tariff"
)

// errAnswer says that an app answers, and something else than it should.
var errAnswer = errors.New("not what the app should say")

// life is one run: an app of a publisher.
type life struct {
	*publisher

	oracle *bed.Oracle

	name  string
	app   bed.Deployed
	begin time.Time
	// block is one before the run, balance what the wallet had then.
	block   uint64
	balance tariff.Amount
	// lines is how much the last command of each part reported.
	lines map[part]int
	// kept is what the app's volume must hold.
	kept string
}

// file is an app file for the probe that says which version it is, and for a second service, which an update replaces with surge.
func (l *life) file(version string) (string, error) {
	env := "    environment: {VERSION: \"" + version + "\"}\n"
	content := bed.ProbeFileWith("  beside:\n    image: " + bed.ProbeImage + "\n    cpus: 0.01\n    mem_limit: 32m\n" + env)
	content = strings.Replace(content, "    cpus: 0.1\n", "    cpus: 0.1\n"+env, 1)
	path := filepath.Join(l.Home, l.name+"-"+version+".yaml")
	return path, os.WriteFile(path, []byte(content), 0o600)
}

// do is a part of the life.
func (l *life) do(ctx context.Context, at part, h habit) error {
	switch at {
	case deploying:
		return l.deploy(ctx, at, h, "1")
	case updating:
		return l.deploy(ctx, at, h, "2")
	case stopping:
		return l.stop(ctx, h)
	case running:
	}
	return l.use(ctx, "used")
}

func (l *life) deploy(ctx context.Context, at part, h habit, version string) error {
	file, err := l.file(version)
	if err != nil {
		return err
	}
	o, err := l.act(ctx, h, "deploy", file, "--name", l.name, "--for", "1h", "--wait", "90s", "--yes")
	if err != nil {
		return err
	}
	l.lines[at] = len(o.lines)
	var app bed.Deployed
	if err := o.result(&app); err != nil {
		return err
	}
	if l.app.App != "" && app != l.app {
		return fmt.Errorf("the update made %+v of %+v", app, l.app)
	}
	l.app = app
	return l.use(ctx, "version "+version)
}

// use asks the app for its version and what its volume holds, and adds a line.
func (l *life) use(ctx context.Context, line string) error {
	return eventually(ctx, time.Minute, func(ctx context.Context) error {
		var said struct{ Version, Kept string }
		if l.kept != "" {
			code, body, err := l.ask(ctx, http.MethodGet, "/kept")
			if err == nil && code != http.StatusOK {
				err = errAnswer
			}
			if err != nil {
				return fmt.Errorf("asking for what was kept: %d %s, %w", code, body, err)
			}
			if err := json.Unmarshal([]byte(body), &said); err != nil {
				return err
			}
			if !strings.HasPrefix(said.Kept, l.kept) {
				return fmt.Errorf("the volume holds %q, it was given %q", said.Kept, l.kept)
			}
			l.kept = said.Kept // a line that was kept though its answer was lost
		}
		if v, ok := strings.CutPrefix(line, "version "); ok && said.Version != "" && said.Version != v {
			return fmt.Errorf("version %q answers, want %q", said.Version, v)
		}
		code, body, err := l.ask(ctx, http.MethodPost, "/keep?line="+url.QueryEscape(line))
		if err == nil && (code != http.StatusOK || strings.TrimSpace(body) != `"ok"`) {
			err = errAnswer
		}
		if err != nil {
			return fmt.Errorf("keeping a line: %d %s, %w", code, body, err)
		}
		l.kept += line + "\n"
		return nil
	})
}

// ask asks the app for a path, through the facade.
func (l *life) ask(ctx context.Context, method, path string) (int, string, error) {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, l.Env["APOCRYPH_FACADE"])
	}
	hc := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(l.app.URL, "/")+path, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := hc.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

func (l *life) stop(ctx context.Context, h habit) error {
	if h.name == torn {
		if err := l.tear(ctx); err != nil {
			return err
		}
	}
	o, err := l.act(ctx, h, "stop", l.name, "--wait", "90s", "--yes")
	l.lines[stopping] = len(o.lines)
	return err
}

// tear stops the app while somebody with a copy of the records updates it. Whoever loses must be told; the stop must win in the end.
func (l *life) tear(ctx context.Context) error {
	file, err := l.file("3")
	if err != nil {
		return err
	}
	dir, err := l.copyOf(l.name + "-copy")
	if err != nil {
		return err
	}
	var both sync.WaitGroup
	var update outcome
	both.Go(func() {
		update = l.client(ctx, 0, []string{"APOCRYPH_STATE=" + dir}, "deploy", file, "--name", l.name, "--wait", "20s", "--yes")
	})
	both.Go(func() { l.client(ctx, 0, nil, "stop", l.name, "--wait", "90s", "--yes") })
	both.Wait()
	if update.err != nil {
		return clear(update)
	}
	return nil
}

// pods are the UIDs and restarts of an app's pods.
func (l *life) pods(ctx context.Context) (string, error) {
	var list corev1.PodList
	err := eventually(ctx, time.Minute, func(ctx context.Context) error {
		return l.Kube.List(ctx, &list, client.InNamespace(v1alpha1.Namespace(l.app.App)))
	})
	if err != nil {
		return "", err
	}
	var ids []string
	for _, p := range list.Items {
		restarts := int32(0)
		for _, c := range p.Status.ContainerStatuses {
			restarts += c.RestartCount
		}
		ids = append(ids, fmt.Sprintf("%s restarted %d times", p.UID, restarts))
	}
	slices.Sort(ids)
	return strings.Join(ids, ", "), nil
}

// visit asks the app until ctx ends, and returns what was not answered.
func (l *life) visit(ctx context.Context) (asked int, failed []string) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return asked, failed
		case <-tick.C:
		}
		code, _, err := l.ask(context.WithoutCancel(ctx), http.MethodGet, "/")
		asked++
		if err != nil || code != http.StatusOK {
			failed = append(failed, fmt.Sprintf("%d %v", code, err))
		}
	}
}
