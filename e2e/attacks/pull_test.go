// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/e2e/bed"
	"github.com/apocryph/apocryph/internal/oci"
)

// parts are an image as bytes.
type parts struct {
	manifest, config []byte
	digest           string
	layers           [][]byte
	read             v1.Manifest
}

func partsOf(img v1.Image) (p parts, err error) {
	if p.manifest, err = img.RawManifest(); err != nil {
		return p, err
	}
	if p.config, err = img.RawConfigFile(); err != nil {
		return p, err
	}
	if err := json.Unmarshal(p.manifest, &p.read); err != nil {
		return p, err
	}
	p.digest = digest(p.manifest)
	layers, err := img.Layers()
	for _, l := range layers {
		r, err := l.Compressed()
		if err != nil {
			return p, err
		}
		b, err := io.ReadAll(r)
		if err != nil {
			return p, err
		}
		p.layers = append(p.layers, b)
	}
	return p, err
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// stolen tries to have the victim's image without its bytes. Each control is the same with the attacker's own image, whose bytes it has.
func (w *world) stolen(t *testing.T) []attempt {
	var theirs, ours parts
	salt := bed.Random(t)
	s := &store{world: w, salt: salt}
	if w.wire != nil {
		s.header = w.wire.HeaderFor(t, &salt)
		var err error
		if theirs, err = partsOf(w.images.victim); err != nil {
			t.Fatal(err)
		}
		if ours, err = partsOf(w.images.attacker); err != nil {
			t.Fatal(err)
		}
	}
	secret := len(theirs.layers) - 1 // the layer that only the victim has
	return []attempt{
		{
			name: "it pushes the manifest alone of another app's image", says: []string{"MANIFEST_BLOB_UNKNOWN"},
			try: func(ctx context.Context) error {
				return s.putManifest(ctx, theirs.manifest, string(theirs.read.MediaType))
			},
			control: func(ctx context.Context) error { return s.pushAll(ctx, ours) },
		},
		{
			name: "it reads another app's image from the store", says: []string{"403", "404"},
			try:     func(ctx context.Context) error { return s.get(ctx, w.victim.App, "manifests", theirs.digest) },
			control: func(ctx context.Context) error { return s.get(ctx, s.app(), "manifests", ours.digest) },
		},
		{
			name: "it reads another app's layer below its own name", says: []string{"BLOB_UNKNOWN"},
			try: func(ctx context.Context) error {
				return s.get(ctx, s.app(), "blobs", theirs.read.Layers[secret].Digest.String())
			},
			control: func(ctx context.Context) error {
				return s.get(ctx, s.app(), "blobs", ours.read.Layers[0].Digest.String())
			},
		},
		{
			name: "it has the store take over another app's layer", says: []string{"BLOB_UNKNOWN"},
			try: func(ctx context.Context) error { return s.mount(ctx, theirs.read.Layers[secret].Digest.String()) },
			// Nothing is ever taken over, so the control is what a mount falls back to: the upload of the same bytes.
			control: func(ctx context.Context) error { return s.put(ctx, ours.layers[0]) },
		},
		{
			name: "it pushes an index that names another app's image", says: []string{"MANIFEST_INVALID"},
			try: func(ctx context.Context) error {
				return s.putManifest(ctx, indexOf(theirs), string(types.OCIImageIndex))
			},
			control: func(ctx context.Context) error { return s.putManifest(ctx, ours.manifest, string(ours.read.MediaType)) },
		},
		{
			name: "it repeats another image's diffIDs over bogus layers", says: []string{"the config says"},
			try:     func(ctx context.Context) error { return s.pushOver(ctx, theirs, []byte("bogus")) },
			control: func(ctx context.Context) error { return s.pushOver(ctx, ours, nil) },
		},
		{
			name: "it deploys from a hostile registry whose index names another app's image", says: []string{"404", "not found", "NOT_FOUND", "unknown", "Not Found"},
			try:     func(ctx context.Context) error { return s.fromRegistry(ctx, theirs, false) },
			control: func(ctx context.Context) error { return s.fromRegistry(ctx, ours, true) },
		},
		{
			name: "the machine runs another app's image under its name", says: []string{"ErrImagePull", "ImagePullBackOff"},
			try:     func(ctx context.Context) error { return w.pulls(ctx, w.attacker.App, theirs.digest) },
			control: func(ctx context.Context) error { return w.pulls(ctx, w.victim.App, theirs.digest) },
		},
	}
}

// indexOf names the manifest as an image for this machine.
func indexOf(p parts) []byte {
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"size":%d,"platform":{"os":"linux","architecture":"amd64"}}]}`,
		types.OCIImageIndex, p.read.MediaType, p.digest, len(p.manifest))
}

// store is the image store as the attacker reaches it: by way of the gateway, as the publisher of an app of their own.
type store struct {
	*world

	salt   [32]byte
	header http.Header
}

func (s *store) app() string { return s.wire.App(s.salt).String() }

func (s *store) do(ctx context.Context, method, path, contentType string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, method, s.wire.Conn.URL()+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = s.header.Clone()
	req.Header.Set("Content-Type", contentType)
	res, err := s.wire.Conn.Transport.RoundTrip(req)
	if err != nil {
		return err
	}
	said, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	_ = res.Body.Close()
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s: %s", res.Status, said)
	}
	return err
}

func (s *store) path(app, kind, name string) string {
	return "/v2/" + app + "/probe/" + kind + "/" + name
}

func (s *store) get(ctx context.Context, app, kind, name string) error {
	return s.do(ctx, http.MethodGet, s.path(app, kind, name), "", nil)
}

func (s *store) put(ctx context.Context, blob []byte) error {
	return s.do(ctx, http.MethodPost, s.path(s.app(), "blobs", "uploads/?digest="+digest(blob)), "application/octet-stream", blob)
}

func (s *store) putManifest(ctx context.Context, raw []byte, mediaType string) error {
	return s.do(ctx, http.MethodPut, s.path(s.app(), "manifests", digest(raw)), mediaType, raw)
}

// mount asks for another app's blob as one's own, and looks whether it is there then.
func (s *store) mount(ctx context.Context, blob string) error {
	query := "uploads/?mount=" + blob + "&from=" + s.victim.App + "/probe"
	if err := s.do(ctx, http.MethodPost, s.path(s.app(), "blobs", query), "", nil); err != nil {
		return err
	}
	return s.get(ctx, s.app(), "blobs", blob)
}

func (s *store) pushAll(ctx context.Context, p parts) error {
	for _, b := range append(p.layers, p.config) {
		if err := s.put(ctx, b); err != nil {
			return err
		}
	}
	return s.putManifest(ctx, p.manifest, string(p.read.MediaType))
}

// pushOver pushes an image with the config of another, and so its diffIDs; its layers are bogus unless there is nothing to put there.
func (s *store) pushOver(ctx context.Context, p parts, bogus []byte) error {
	if bogus == nil {
		return s.pushAll(ctx, p)
	}
	layer := bed.Entry{Content: bogus}
	layer.Name, layer.Mode = "bogus", 0o644
	packed, err := bed.PackLayer(layer)
	if err != nil {
		return err
	}
	q := p
	q.layers, q.read.Layers = nil, nil
	for range p.layers {
		h, err := v1.NewHash(digest(packed))
		if err != nil {
			return err
		}
		q.layers = append(q.layers, packed)
		q.read.Layers = append(q.read.Layers, v1.Descriptor{MediaType: types.OCIUncompressedLayer, Digest: h, Size: int64(len(packed))})
	}
	if q.read.MediaType != types.OCIManifestSchema1 {
		q.read.MediaType, q.read.Config.MediaType = types.OCIManifestSchema1, types.OCIConfigJSON
	}
	if q.manifest, err = json.Marshal(q.read); err != nil {
		return err
	}
	return s.pushAll(ctx, q)
}

// fromRegistry resolves and pushes as the client does, from a registry that says what it likes.
func (s *store) fromRegistry(ctx context.Context, p parts, honest bool) error {
	index := indexOf(p)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		content, kind := map[string][]byte{"1": index, digest(index): index, p.digest: p.manifest, digest(p.config): p.config}[name], "application/octet-stream"
		switch name {
		case "1", digest(index):
			kind = string(types.OCIImageIndex)
		case p.digest:
			kind = string(p.read.MediaType)
		}
		for _, l := range p.layers {
			if honest && name == digest(l) {
				content = l
			}
		}
		if r.URL.Path == "/v2/" {
			return
		}
		if content == nil {
			http.NotFound(rw, r)
			return
		}
		rw.Header().Set("Content-Type", kind)
		rw.Header().Set("Docker-Content-Digest", digest(content))
		_, _ = rw.Write(content)
	}))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		return err
	}
	found, err := oci.Resolve(ctx, "localhost:"+port+"/evil:1", oci.Sources{})
	if err != nil {
		return err
	}
	return oci.Push(ctx, oci.Target{Transport: s.wire.Conn.Transport, App: s.app(), Service: "probe", Header: s.header}, found.Image, nil)
}

// pulls has the machine run a digest below an app's name, as no admission policy would let it.
func (w *world) pulls(ctx context.Context, app, digest string) error {
	p := &corev1.Pod{}
	p.Namespace, p.GenerateName = controlNamespace, "pulls-"
	p.Spec.Containers = []corev1.Container{{Name: "probe", Image: "localhost:5100/" + app + "/probe@" + digest, ImagePullPolicy: corev1.PullAlways}}
	p.Spec.TerminationGracePeriodSeconds = new(int64(0))
	if err := w.Kube.Create(ctx, p); err != nil {
		return err
	}
	defer func() { _ = w.Kube.Delete(context.WithoutCancel(ctx), p) }()
	for {
		if err := w.Kube.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		for _, c := range p.Status.ContainerStatuses {
			if c.State.Running != nil {
				return nil
			}
			if c.State.Waiting != nil && strings.Contains(c.State.Waiting.Reason, "Pull") {
				return fmt.Errorf("%s: %s", c.State.Waiting.Reason, c.State.Waiting.Message)
			}
		}
		if err := pause(ctx); err != nil {
			return errors.Join(err, fmt.Errorf("the pod is %s", p.Status.Phase))
		}
	}
}
