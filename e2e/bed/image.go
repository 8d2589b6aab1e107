// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// ProbeImage is the name of the app that tells what it can do.
const ProbeImage = "apocryph.test/probe:1"

// Entry is one entry of a layer; its size is that of its content.
type Entry struct {
	tar.Header

	Content []byte
}

// Layer makes one of entries, in their order.
func Layer(t *testing.T, entries ...Entry) v1.Layer {
	t.Helper()
	packed, err := PackLayer(entries...)
	if err != nil {
		t.Fatal(err)
	}
	// Packed once, and not for good: it is asked for three times, and travels on this machine only.
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil }
	layer, err := tarball.LayerFromOpener(open, tarball.WithCompressedCaching, tarball.WithCompressionLevel(gzip.BestSpeed))
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

// PackLayer is Layer as the bytes of a tar file.
func PackLayer(entries ...Entry) ([]byte, error) {
	var fs bytes.Buffer
	w := tar.NewWriter(&fs)
	for _, e := range entries {
		e.Size = int64(len(e.Content))
		if err := w.WriteHeader(&e.Header); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.Content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return fs.Bytes(), err
}

// Image makes one that starts the probe, of the probe's layer and more.
func Image(t *testing.T, more ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, append([]v1.Layer{probeLayer(t)}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Config.Entrypoint = []string{"/probe"}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

// BuildProgram builds the probe and returns its path.
func BuildProgram(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "probe")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", bin, "./e2e/probe")
	cmd.Env, cmd.Dir = append(os.Environ(), "CGO_ENABLED=0"), checkout(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the probe: %v\n%s", err, out)
	}
	return bin
}

func probeLayer(t *testing.T) v1.Layer {
	t.Helper()
	program, err := os.ReadFile(BuildProgram(t))
	if err != nil {
		t.Fatal(err)
	}
	return Layer(t,
		Entry{tar.Header{Name: "probe", Mode: 0o755, Typeflag: tar.TypeReg}, program},
		Entry{tar.Header{Name: "etc/", Mode: 0o755, Typeflag: tar.TypeDir}, nil},
		Entry{tar.Header{Name: "data/", Mode: 0o755, Typeflag: tar.TypeDir}, nil},
	)
}

// Layout writes images by their names into an OCI image layout, and returns its folder.
func Layout(t *testing.T, images map[string]v1.Image) string {
	t.Helper()
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	for name, img := range images {
		if err := path.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": name})); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// BuildProbe makes an image layout with the probe and returns its folder.
func BuildProbe(t *testing.T) string {
	t.Helper()
	return Layout(t, map[string]v1.Image{ProbeImage: Image(t)})
}

// ProbeFile is an app file for the probe.
func ProbeFile(host string) string {
	x := ""
	if host != "" {
		x = fmt.Sprintf("x-apocryph:\n  http: {service: probe, port: 8080, host: %s}\n", host)
	}
	return probeFile(x, "")
}

// ProbeFileWith is ProbeFile with further services, as YAML.
func ProbeFileWith(services string) string { return probeFile("", services) }

func probeFile(x, services string) string {
	return "services:\n" + services + "  probe:\n    image: " + ProbeImage + "\n    ports: [\"8080:8080\"]\n    cpus: 0.1\n    mem_limit: 64m\n    volumes: [\"data:/data\"]\nvolumes:\n  data:\n    x-apocryph: {size: 64MiB}\n" + x
}
