// SPDX-License-Identifier: Apache-2.0

package imagestore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/apocryph/apocryph/internal/daemon"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/manifest"
)

// handler is a face of the store: a function per route, which returns an error instead of writing one.
type handler struct {
	store *Store
	log   *slog.Logger
}

// Pull is what kubelet sees: manifests and blobs by digest.
func (s *Store) Pull(log *slog.Logger) http.Handler {
	h := handler{s, log}
	mux := http.NewServeMux()
	h.routePull(mux)
	return daemon.Patient(daemon.Patience, mux)
}

// Push is what the gateway sees: Pull, and uploads. Whoever may call it may write for every app.
func (s *Store) Push(log *slog.Logger) http.Handler {
	h := handler{s, log}
	mux := http.NewServeMux()
	h.routePull(mux)
	for pattern, f := range map[string]func(http.ResponseWriter, *http.Request, string) error{
		"POST /v2/{app}/{service}/blobs/uploads/{$}":    h.begin,
		"GET /v2/{app}/{service}/blobs/uploads/{id}":    h.progress,
		"PATCH /v2/{app}/{service}/blobs/uploads/{id}":  h.patch,
		"PUT /v2/{app}/{service}/blobs/uploads/{id}":    h.finish,
		"DELETE /v2/{app}/{service}/blobs/uploads/{id}": h.cancel,
		"PUT /v2/{app}/{service}/manifests/{digest}":    h.putManifest,
	} {
		mux.Handle(pattern, h.writing(f))
	}
	return daemon.Patient(daemon.Patience, mux)
}

func (h handler) routePull(mux *http.ServeMux) {
	mux.HandleFunc("GET /v2/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	})
	mux.Handle("GET /v2/{app}/{service}/manifests/{digest}", h.in(h.manifest))
	mux.Handle("GET /v2/{app}/{service}/blobs/{digest}", h.in(h.blob))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, answerTo{status: http.StatusNotFound, code: "UNSUPPORTED", reason: "REASON_BAD_REQUEST"}, "not offered here")
	})
}

// in checks whose repository a path names, and answers errors.
func (h handler) in(f func(w http.ResponseWriter, r *http.Request, app string) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		app, service := r.PathValue("app"), r.PathValue("service")
		err := fmt.Errorf("%.80q: %w", app+"/"+service, ErrName)
		if _, bad := delegation.ParseAppID(app); bad == nil && manifest.LooksLikeLabel(service) {
			err = f(w, r, app)
		}
		if err == nil {
			return
		}
		a, ok := answer(err)
		if !ok {
			h.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
			writeError(w, a, "internal error")
			return
		}
		h.log.Debug("request refused", "method", r.Method, "path", r.URL.Path, "error", err)
		writeError(w, a, err.Error())
	})
}

// writing is in for requests that write: the app's directories are there until the end.
func (h handler) writing(f func(w http.ResponseWriter, r *http.Request, app string) error) http.Handler {
	return h.in(func(w http.ResponseWriter, r *http.Request, app string) error {
		leave, err := h.store.enter(r.Context(), app, r.Header.Get(delegation.HeaderPublisher))
		if err != nil {
			return err
		}
		defer leave()
		return f(w, r, app)
	})
}

func (h handler) manifest(w http.ResponseWriter, r *http.Request, app string) error {
	digest := r.PathValue("digest")
	if !strings.Contains(digest, ":") {
		return fmt.Errorf("%.80q: %w", digest, ErrTag)
	}
	// The gateway asks before it makes an App.
	h.store.touch(app)
	f, _, err := h.store.open(app, manifests, digest, ErrManifestUnknown)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return fmt.Errorf("reading %s: %w", digest, err)
	}
	w.Header().Set("Content-Type", mediaTypeOf(raw))
	w.Header().Set("Docker-Content-Digest", digest)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(raw))
	return nil
}

func (h handler) blob(w http.ResponseWriter, r *http.Request, app string) error {
	digest := r.PathValue("digest")
	f, _, err := h.store.open(app, blobs, digest, ErrBlobUnknown)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Docker-Content-Digest", digest)
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

// begin starts an upload, and ends it too if the request names the digest and carries the content. It never mounts a blob of another
// repository: a mount request is an upload like any other.
func (h handler) begin(w http.ResponseWriter, r *http.Request, app string) error {
	id, err := h.store.begin(r.Context(), app)
	if err != nil {
		return err
	}
	digest := r.URL.Query().Get("digest")
	if digest == "" {
		h.accepted(w, r, id, 0)
		return nil
	}
	u, err := h.store.resume(app, id)
	if err != nil {
		return err
	}
	defer u.close()
	if err := u.append(r.Context(), r.Body); err != nil {
		return errors.Join(err, u.discard())
	}
	return h.created(w, r, u, digest)
}

func (h handler) progress(w http.ResponseWriter, r *http.Request, app string) error {
	u, err := h.store.resume(app, r.PathValue("id"))
	if err != nil {
		return err
	}
	defer u.close()
	h.location(w, r, u.id, u.size)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h handler) patch(w http.ResponseWriter, r *http.Request, app string) error {
	u, err := h.store.resume(app, r.PathValue("id"))
	if err != nil {
		return err
	}
	defer u.close()
	if err := continues(r, u.size); err != nil {
		return err
	}
	if err := u.append(r.Context(), r.Body); err != nil {
		return h.orDiscard(u, err)
	}
	h.accepted(w, r, u.id, u.size)
	return nil
}

func (h handler) finish(w http.ResponseWriter, r *http.Request, app string) error {
	u, err := h.store.resume(app, r.PathValue("id"))
	if err != nil {
		return err
	}
	defer u.close()
	if err := continues(r, u.size); err != nil {
		return err
	}
	if err := u.append(r.Context(), r.Body); err != nil {
		return h.orDiscard(u, err)
	}
	return h.created(w, r, u, r.URL.Query().Get("digest"))
}

// orDiscard removes an upload that can't be continued: one that only broke off can.
func (h handler) orDiscard(u *upload, err error) error {
	if errors.Is(err, ErrBroken) {
		return err
	}
	return errors.Join(err, u.discard())
}

func (h handler) cancel(w http.ResponseWriter, r *http.Request, app string) error {
	u, err := h.store.resume(app, r.PathValue("id"))
	if err != nil {
		return err
	}
	defer u.close()
	if err := u.discard(); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h handler) putManifest(w http.ResponseWriter, r *http.Request, app string) error {
	digest := r.PathValue("digest")
	if !strings.Contains(digest, ":") {
		return fmt.Errorf("%.80q: %w", digest, ErrTag)
	}
	raw, err := io.ReadAll(io.LimitReader(bodyReader{r.Body}, maxManifest+1))
	if err != nil {
		return fmt.Errorf("reading manifest: %w", err)
	}
	if len(raw) > maxManifest {
		return fmt.Errorf("a manifest is at most %d bytes: %w", maxManifest, ErrTooLarge)
	}
	if err := h.store.PutManifest(r.Context(), app, digest, r.Header.Get("Content-Type"), raw); err != nil {
		return err
	}
	w.Header().Set("Location", r.URL.Path)
	w.Header().Set("Docker-Content-Digest", digest)
	w.WriteHeader(http.StatusCreated)
	return nil
}

// continues checks the Content-Range of a part, if there is one: "first-last", without a unit.
func continues(r *http.Request, size int64) error {
	text := r.Header.Get("Content-Range")
	if text == "" {
		return nil
	}
	first, _, ok := strings.Cut(text, "-")
	if n, err := strconv.ParseInt(first, 10, 64); !ok || err != nil || n != size {
		return fmt.Errorf("part %.40q of an upload of %d bytes: %w", text, size, ErrUploadRange)
	}
	return nil
}

func (h handler) created(w http.ResponseWriter, r *http.Request, u *upload, digest string) error {
	if err := u.finish(digest); err != nil {
		return err
	}
	w.Header().Set("Location", repository(r)+"/blobs/"+digest)
	w.Header().Set("Docker-Content-Digest", digest)
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (h handler) accepted(w http.ResponseWriter, r *http.Request, id string, size int64) {
	h.location(w, r, id, size)
	w.WriteHeader(http.StatusAccepted)
}

func (h handler) location(w http.ResponseWriter, r *http.Request, id string, size int64) {
	w.Header().Set("Location", repository(r)+"/blobs/uploads/"+id)
	w.Header().Set("Docker-Upload-UUID", id)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(0, size-1)))
}

func repository(r *http.Request) string {
	return "/v2/" + r.PathValue("app") + "/" + r.PathValue("service")
}
