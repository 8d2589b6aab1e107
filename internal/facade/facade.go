// SPDX-License-Identifier: Apache-2.0

// Package facade is the one entry for the users of all apps: it routes by host name to the app's http service.
//
// It stands outside the tenants' pods and is the only thing that may reach them from outside their namespaces. What an app sees of a
// request is the request: the host as asked for, no hop-by-hop headers, and X-Forwarded headers that only the facade sets. A host
// belongs to the oldest app that names it.
package facade

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	toolscache "k8s.io/client-go/tools/cache"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/kube"
)

const (
	dialTime = 3 * time.Second
	// patience is how long a refused connection is tried again, every dialEvery: a pod is ready before every machine's rules lead to it.
	patience  = 3 * time.Second
	dialEvery = 10 * time.Millisecond
	idleTime  = 30 * time.Second
	idleConns = 64
	// retryAfter is in seconds: about what a start takes.
	retryAfter = 2
)

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// patient dials again while it is refused. Nothing was sent by then, so nothing is done twice.
func patient(dial dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		end := time.NewTimer(patience)
		defer end.Stop()
		for {
			conn, err := dial(ctx, network, address)
			if !errors.Is(err, syscall.ECONNREFUSED) {
				return conn, err
			}
			select {
			case <-ctx.Done():
				return nil, err
			case <-end.C:
				return nil, err
			case <-time.After(dialEvery):
			}
		}
	}
}

func newTransport(dial dialer) *http.Transport {
	return &http.Transport{
		DialContext:         dial,
		MaxIdleConnsPerHost: idleConns,
		IdleConnTimeout:     idleTime,
		// The app and its user agree on encodings between themselves.
		DisableCompression: true,
	}
}

// Handler answers app users, and tells s how much it sends them. The scheme is what they used: TLS, if any, ends before or in the facade.
func Handler(t *Table, scheme string, s sent, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, found, synced := t.await(r.Context(), r.Host)
		switch {
		case !synced:
			unavailable(w, "the facade is starting")
		case !found:
			http.Error(w, "no app answers at this host", http.StatusNotFound)
		case !to.answers():
			unavailable(w, why(to.phase))
		default:
			proxy(to, scheme, log).ServeHTTP(counting{w, to.app, s}, r)
		}
	})
}

func proxy(to route, scheme string, log *slog.Logger) *httputil.ReverseProxy {
	target := &url.URL{
		Scheme: "http",
		Host:   net.JoinHostPort(to.service+"."+v1alpha1.Namespace(to.app)+".svc", strconv.FormatUint(uint64(to.port), 10)),
	}
	return &httputil.ReverseProxy{
		Transport: to.transport,
		ErrorLog:  slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
			r.Out.Header.Set("X-Forwarded-Proto", scheme)
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil {
				return // the user went away
			}
			if c, is := w.(counting); is {
				w = c.ResponseWriter // what we say ourselves is nobody's to pay
			}
			log.Info("app does not answer", "app", to.app, "error", err)
			var dial *net.OpError
			if errors.As(err, &dial) && dial.Op == "dial" {
				unavailable(w, "the app does not accept connections")
				return
			}
			http.Error(w, "the app broke off its answer", http.StatusBadGateway)
		},
	}
}

func unavailable(w http.ResponseWriter, reason string) {
	w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	http.Error(w, reason, http.StatusServiceUnavailable)
}

func why(p v1alpha1.Phase) string {
	switch p {
	case v1alpha1.PhaseSuspended:
		return "the app is suspended"
	case v1alpha1.PhaseEnding, v1alpha1.PhaseEnded:
		return "the app has ended"
	case v1alpha1.PhasePending, v1alpha1.PhaseStarting, v1alpha1.PhaseReady:
	}
	return "the app is starting"
}

// Watch keeps the table up to date with the Apps of a system namespace until ctx ends.
func Watch(ctx context.Context, cfg *rest.Config, namespace string, t *Table) error {
	apps, err := cache.New(cfg, cache.Options{
		Scheme:            kube.Scheme(),
		DefaultNamespaces: map[string]cache.Config{namespace: {}},
	})
	if err != nil {
		return fmt.Errorf("making the cache of apps: %w", err)
	}
	informer, err := apps.GetInformer(ctx, &v1alpha1.App{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching apps: %w", err)
	}
	handler, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { put(t, obj) },
		UpdateFunc: func(_, obj any) { put(t, obj) },
		DeleteFunc: func(obj any) { t.Delete(nameOf(obj)) },
	})
	if err != nil {
		return fmt.Errorf("watching apps: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- apps.Start(ctx) }()
	if toolscache.WaitForCacheSync(ctx.Done(), handler.HasSynced) {
		t.Synced()
	}
	return <-done
}

func put(t *Table, obj any) {
	if app, ok := obj.(*v1alpha1.App); ok {
		t.Put(app)
	}
}

// nameOf reads the name also from what stands for an object whose deletion was missed.
func nameOf(obj any) string {
	key, err := toolscache.DeletionHandlingMetaNamespaceKeyFunc(obj)
	if err != nil {
		return ""
	}
	return key[strings.LastIndexByte(key, '/')+1:]
}
