// SPDX-License-Identifier: Apache-2.0

package imagestore

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"runtime"

	"github.com/klauspost/compress/zstd"
)

const (
	mediaOCIManifest    = "application/vnd.oci.image.manifest.v1+json"
	mediaDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	mediaOCIConfig      = "application/vnd.oci.image.config.v1+json"
	mediaDockerConfig   = "application/vnd.docker.container.image.v1+json"

	// A zstd frame may ask for this much to unpack.
	zstdWindow = 128 << 20
)

// descriptor, manifest and config are read with encoding/json as containerd does, so that both understand the same bytes alike.
type descriptor struct {
	MediaType string   `json:"mediaType"`
	Digest    string   `json:"digest"`
	Size      int64    `json:"size"`
	URLs      []string `json:"urls"`
}

type imageManifest struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     string          `json:"mediaType"`
	Config        descriptor      `json:"config"`
	Layers        []descriptor    `json:"layers"`
	Manifests     json.RawMessage `json:"manifests"`
	FSLayers      json.RawMessage `json:"fsLayers"`
}

type imageConfig struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	RootFS       struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// layerFormats are the media types of layers and how each unpacks.
func layerFormats() map[string]func(io.Reader) (io.ReadCloser, error) {
	plain := func(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(r), nil }
	return map[string]func(io.Reader) (io.ReadCloser, error){
		"application/vnd.oci.image.layer.v1.tar":            plain,
		"application/vnd.oci.image.layer.v1.tar+gzip":       gunzip,
		"application/vnd.oci.image.layer.v1.tar+zstd":       unzstd,
		"application/vnd.docker.image.rootfs.diff.tar":      plain,
		"application/vnd.docker.image.rootfs.diff.tar.gzip": gunzip,
		"application/vnd.docker.image.rootfs.diff.tar.zstd": unzstd,
	}
}

func gunzip(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }

func unzstd(r io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrImage)
}

// PutManifest checks a manifest's whole graph against the app's own blobs and keeps it under its digest. It returns ErrDigest, ErrImage,
// ErrIncomplete, ErrTooLarge or ErrQuota.
func (s *Store) PutManifest(ctx context.Context, app, digest, mediaType string, raw []byte) error {
	sum := sha256.Sum256(raw)
	if got := "sha256:" + hex.EncodeToString(sum[:]); got != digest {
		return fmt.Errorf("content is %s, not %.80s: %w", got, digest, ErrDigest)
	}
	m, err := parseManifest(raw, mediaType)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.limits.VerifyTime)
	defer cancel()
	end, err := s.verifying(ctx, app)
	if err != nil {
		return err
	}
	defer end()
	if err := s.checkGraph(ctx, app, m); err != nil {
		return err
	}
	id, err := s.begin(ctx, app)
	if err != nil {
		return err
	}
	u, err := s.resume(app, id)
	if err != nil {
		return err
	}
	defer u.close()
	if err := u.append(ctx, bytes.NewReader(raw)); err != nil {
		return errors.Join(err, u.discard())
	}
	return u.commit(manifests, digest)
}

// parseManifest accepts the manifest of one image: OCI or docker schema 2, no index, nothing kept elsewhere.
func parseManifest(raw []byte, mediaType string) (*imageManifest, error) {
	var m imageManifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, refuse("manifest is not JSON")
	}
	mediaType, _, _ = mime.ParseMediaType(mediaType)
	switch {
	case mediaType != mediaOCIManifest && mediaType != mediaDockerManifest:
		return nil, refuse("media type %.80q is not an image manifest's", mediaType)
	case m.MediaType != mediaType && (m.MediaType != "" || mediaType != mediaOCIManifest):
		return nil, refuse("manifest says media type %.80q, the request %.80q", m.MediaType, mediaType)
	case m.SchemaVersion != 2 || m.Manifests != nil || m.FSLayers != nil:
		return nil, refuse("not the manifest of one image")
	case m.Config.MediaType != mediaOCIConfig && m.Config.MediaType != mediaDockerConfig:
		return nil, refuse("config has media type %.80q", m.Config.MediaType)
	}
	return &m, nil
}

// mediaTypeOf is that of a manifest that parseManifest accepted.
func mediaTypeOf(raw []byte) string {
	var m imageManifest
	if json.Unmarshal(raw, &m) != nil || m.MediaType == "" {
		return mediaOCIManifest
	}
	return m.MediaType
}

func (s *Store) checkGraph(ctx context.Context, app string, m *imageManifest) error {
	c, err := s.readConfig(app, m.Config)
	if err != nil {
		return err
	}
	switch {
	case c.OS != "linux" || c.Architecture != runtime.GOARCH:
		return refuse("image is for %.20s/%.20s, this machine is linux/%s", c.OS, c.Architecture, runtime.GOARCH)
	case c.RootFS.Type != "layers" || len(c.RootFS.DiffIDs) != len(m.Layers):
		return refuse("config has %d diffIDs for %d layers", len(c.RootFS.DiffIDs), len(m.Layers))
	case len(m.Layers) > s.limits.Layers:
		return fmt.Errorf("%d layers, at most %d: %w", len(m.Layers), s.limits.Layers, ErrTooLarge)
	}
	left := s.limits.UnpackedBytes
	for i, l := range m.Layers {
		n, err := s.checkLayer(ctx, app, l, c.RootFS.DiffIDs[i], left)
		if err != nil {
			return fmt.Errorf("layer %d: %w", i+1, err)
		}
		left -= n
	}
	return nil
}

func (s *Store) readConfig(app string, d descriptor) (*imageConfig, error) {
	if d.Size > maxConfig {
		return nil, fmt.Errorf("config of %d bytes, at most %d: %w", d.Size, maxConfig, ErrTooLarge)
	}
	f, size, err := s.open(app, blobs, d.Digest, ErrIncomplete)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	defer func() { _ = f.Close() }()
	if size != d.Size || len(d.URLs) > 0 {
		return nil, refuse("config has %d bytes, its descriptor says %d", size, d.Size)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxConfig))
	if err != nil {
		return nil, fmt.Errorf("reading config: %w", err)
	}
	if got, err := digestOf(bytes.NewReader(raw)); err != nil || got != d.Digest {
		return nil, refuse("config is %s, its descriptor says %s", got, d.Digest)
	}
	var c imageConfig
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, refuse("config is not JSON")
	}
	return &c, nil
}

// checkLayer reads a layer once: the digest of what is stored and the diffID of what it unpacks to. It returns the unpacked size.
func (s *Store) checkLayer(ctx context.Context, app string, d descriptor, diffID string, limit int64) (int64, error) {
	unpack, ok := layerFormats()[d.MediaType]
	if !ok || len(d.URLs) > 0 {
		return 0, refuse("media type %.80q is not taken", d.MediaType)
	}
	f, size, err := s.open(app, blobs, d.Digest, ErrIncomplete)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	if size != d.Size {
		return 0, refuse("%s has %d bytes, its descriptor says %d", d.Digest, size, d.Size)
	}
	packed, unpacked := sha256.New(), sha256.New()
	stored := io.TeeReader(&cancelReader{ctx, f}, packed)
	content, err := unpack(stored)
	if err != nil {
		return 0, refuse("%s does not unpack: %s", d.Digest, err)
	}
	defer func() { _ = content.Close() }()
	n, err := io.Copy(unpacked, io.LimitReader(content, limit+1))
	switch {
	case ctx.Err() != nil:
		return 0, fmt.Errorf("checking %s: %w", d.Digest, ctx.Err())
	case err != nil:
		return 0, refuse("%s does not unpack: %s", d.Digest, err)
	case n > limit:
		return 0, fmt.Errorf("image unpacks to more than %d bytes: %w", s.limits.UnpackedBytes, ErrTooLarge)
	}
	// What an unpacker leaves unread belongs to the digest too.
	if _, err := io.Copy(io.Discard, stored); err != nil {
		return 0, fmt.Errorf("reading %s: %w", d.Digest, err)
	}
	if got := "sha256:" + hex.EncodeToString(packed.Sum(nil)); got != d.Digest {
		return 0, refuse("stored content is %s, its descriptor says %s", got, d.Digest)
	}
	if got := "sha256:" + hex.EncodeToString(unpacked.Sum(nil)); got != diffID {
		return 0, refuse("%s unpacks to %s, the config says %.80s", d.Digest, got, diffID)
	}
	return n, nil
}

type cancelReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
