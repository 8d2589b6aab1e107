// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
)

// stocked is an image that has something where its app keeps data, as those of databases have, and of whom.
const stocked = "apocryph.test/stocked:1"

func stockedLayout(t *testing.T) string {
	t.Helper()
	more := bed.Layer(t,
		bed.Entry{Header: tar.Header{Name: "data/", Mode: 0o3750, Uid: 70, Gid: 71, Typeflag: tar.TypeDir}},
		bed.Entry{Header: tar.Header{Name: "data/deep/", Mode: 0o700, Uid: 72, Gid: 73, Typeflag: tar.TypeDir}},
		bed.Entry{Header: tar.Header{Name: "data/deep/hello", Mode: 0o4641, Uid: 74, Gid: 75, Typeflag: tar.TypeReg}, Content: []byte("hello from the image")},
		bed.Entry{Header: tar.Header{Name: "data/link", Uid: 76, Gid: 77, Typeflag: tar.TypeSymlink, Linkname: "deep/hello"}},
		bed.Entry{Header: tar.Header{Name: "data/etc", Typeflag: tar.TypeSymlink, Linkname: "/etc"}},
	)
	return bed.Layout(t, map[string]v1.Image{stocked: bed.Image(t, more)})
}

// volumesFile is the app, KEEP its volume that leaves it.
const volumesFile = `
services:
  web:
    image: ` + stocked + `
    cpus: 0.1
    mem_limit: 64m
    ports: ["8080"]
    volumes:
      - data:/data
      - KEEP:/empty
      - {type: volume, source: uncopied, target: /data/deep, volume: {nocopy: true}}
volumes:
  data: {x-apocryph: {size: 16MiB}}
  KEEP: {x-apocryph: {size: 16MiB}}
  uncopied: {x-apocryph: {size: 16MiB}}
`

type volumesApp struct {
	d   *bed.Devnet
	app bed.Deployed
}

func (a volumesApp) ask(t *testing.T, path string) string {
	t.Helper()
	_, body, err := a.d.Get(t.Context(), a.app.URL+path)
	if err != nil {
		t.Fatal(err)
	}
	var said struct{ Said, Error string }
	if err := json.Unmarshal([]byte(body), &said); err != nil {
		t.Fatalf("%s: %v in %s", path, err, body)
	}
	return said.Said + said.Error
}

// inArchive is what volume get brings: files and what is in them.
func inArchive(t *testing.T, p *bed.Person, volume string) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "volume.tar")
	p.Must("volume", "get", "volumes", volume, "-o", file)
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	all := map[string]string{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		b, rerr := io.ReadAll(r)
		if err := errors.Join(err, rerr); err != nil {
			t.Fatal(err)
		}
		all[h.Name] = string(b)
	}
}

// archiveOf one file, of the user whose id it is.
func archiveOf(t *testing.T, p *bed.Person, name string, size int64) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o640, Uid: 80, Gid: 81, Size: size}
	if err := w.WriteHeader(h); err != nil {
		t.Fatal(err)
	}
	_, err := io.CopyN(w, strings.NewReader(strings.Repeat("y", int(size))), size)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return p.Write(name+".tar", b.String())
}

// runs is which pods of the app's services there are, and how often each was started.
func (a volumesApp) runs(t *testing.T) string {
	t.Helper()
	var pods corev1.PodList
	if err := a.d.Kube.List(t.Context(), &pods, client.InNamespace(v1alpha1.Namespace(a.app.App)), client.HasLabels{v1alpha1.LabelService}); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range pods.Items {
		for _, c := range p.Status.ContainerStatuses {
			all = append(all, fmt.Sprintf("%s/%s started %d times", p.Name, p.UID, c.RestartCount))
		}
	}
	return strings.Join(all, ", ")
}

// scale is what an autoscaler does. It waits until the app says that it is there.
func (a volumesApp) scale(t *testing.T, replicas int32, phase v1alpha1.Phase) {
	t.Helper()
	app := &v1alpha1.App{}
	key := client.ObjectKey{Namespace: bed.SystemNamespace, Name: a.app.App}
	if err := a.d.Kube.Get(t.Context(), key, app); err != nil {
		t.Fatal(err)
	}
	patch := client.MergeFrom(app.DeepCopy())
	app.Spec.Replicas = &replicas
	if err := a.d.Kube.Patch(t.Context(), app, patch); err != nil {
		t.Fatal(err)
	}
	bed.Eventually(t, "the app sleeps or wakes", func() error {
		if err := a.d.Kube.Get(t.Context(), key, app); err != nil {
			return err
		}
		if app.Status.Phase != phase {
			return fmt.Errorf("the app is %s, not %s", app.Status.Phase, phase)
		}
		return nil
	})
}

// asleep moves content that no service has.
func (a volumesApp) asleep(t *testing.T, p *bed.Person) {
	a.scale(t, 0, v1alpha1.PhaseSuspended)
	p.Must("volume", "put", "volumes", "first", archiveOf(t, p, "slept", 10))
	if got := inArchive(t, p, "first"); got["./slept"] != strings.Repeat("y", 10) || got["./new"] != "x" {
		t.Errorf("asleep it has %v", got)
	}
	a.scale(t, 1, v1alpha1.PhaseReady)
	// What is large is as much of it as there was room for.
	if got := a.ask(t, "/list?path=/empty"); got != "came large new slept" {
		t.Errorf("awake it has %q", got)
	}
}

// grow makes a volume larger, at the latest when nobody uses it next, and never smaller.
func (a volumesApp) grow(t *testing.T, p *bed.Person) {
	sized := func(size string) string {
		return strings.Replace(strings.ReplaceAll(volumesFile, "KEEP", "first"), "first: {x-apocryph: {size: 16MiB}}", "first: {x-apocryph: {size: "+size+"}}", 1)
	}
	p.Must("deploy", p.Write("compose.yaml", sized("48MiB")), "--name", "volumes", "--yes")
	a.scale(t, 0, v1alpha1.PhaseSuspended)
	bed.Eventually(t, "the volume has grown", func() error {
		c := &corev1.PersistentVolumeClaim{}
		if err := a.d.Kube.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.Namespace(a.app.App), Name: "first"}, c); err != nil {
			return err
		}
		if got := c.Status.Capacity.Storage().Value(); got != 48<<20 {
			return fmt.Errorf("it has %d bytes", got)
		}
		return nil
	})
	a.scale(t, 1, v1alpha1.PhaseReady)
	p.Must("volume", "put", "volumes", "first", archiveOf(t, p, "large", 20<<20))
	if got := a.ask(t, "/list?path=/empty"); !strings.Contains(got, "came") || !strings.Contains(got, "slept") {
		t.Errorf("after it has grown it has %q", got)
	}
	r := p.Run("deploy", p.Write("compose.yaml", sized("32MiB")), "--name", "volumes", "--yes")
	if r.Code != 3 || !strings.Contains(r.Stderr, "compose.yaml:14:") || !strings.Contains(r.Stderr, "can't shrink") {
		t.Errorf("it shrinks: %v", r)
	}
}

// carry moves content while requests come, and refuses what it must: nothing of the app is restarted for it.
func (a volumesApp) carry(t *testing.T, p *bed.Person) {
	stop, asked := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				asked <- nil
				return
			default:
			}
			if status, _, err := a.d.Get(t.Context(), a.app.URL+"/whose?path=/data"); err != nil || status != http.StatusOK {
				asked <- fmt.Errorf("a request meanwhile is answered %d, %w", status, err)
				return
			}
		}
	}()
	before := a.runs(t)
	if got := inArchive(t, p, "data"); got["./deep/hello"] != "hello from the image" {
		t.Errorf("in it is %v", got)
	}
	p.Must("volume", "put", "volumes", "first", archiveOf(t, p, "came", 1000))
	if got := a.ask(t, "/whose?path=/empty/came"); got != "80:81 640" {
		t.Errorf("what came in is %q", got)
	}
	if got := a.ask(t, "/list?path=/empty"); got != "came new" {
		t.Errorf("beside it is %q", got)
	}
	if r := p.Run("volume", "put", "volumes", "first", archiveOf(t, p, "large", 20<<20)); r.Code == 0 || !strings.Contains(r.Stderr, "the volume is full") {
		t.Errorf("too much is taken: %v", r)
	}
	if r := p.Run("volume", "get", "volumes", "none"); r.Code == 0 || !strings.Contains(r.Stderr, "no volume") {
		t.Errorf("a volume that is not there: %v", r)
	}
	close(stop)
	if err := <-asked; err != nil {
		t.Error(err)
	}
	if after := a.runs(t); after != before {
		t.Errorf("what runs was %s, and is %s", before, after)
	}
}

// Volumes begin with what the image has, and are the publisher's from then on.
func TestVolumes(t *testing.T) {
	d := bed.Connect(t)
	p := d.NewPerson(t, true, stockedLayout(t))
	var app bed.Deployed
	p.MustJSON(&app, "deploy", p.Write("compose.yaml", strings.ReplaceAll(volumesFile, "KEEP", "first")), "--name", "volumes", "--for", "1h", "--yes")
	defer p.Run("stop", "volumes", "--yes")
	a := volumesApp{d, app}

	t.Run("begin with what the image has there", func(t *testing.T) {
		for _, step := range []struct{ path, want string }{
			{"/whose?path=/data", "70:71 3750"},
			{"/whose?path=/data/link", "76:77 777"},
			{"/list?path=/data", "deep etc link"},
			// Mounted over what the image has there, without it.
			{"/whose?path=/data/deep", "0:65532 2775"},
			{"/list?path=/data/deep", ""},
			{"/whose?path=/empty", "0:65532 2775"},
			{"/list?path=/empty", ""},
			{"/write?path=/empty/new&content=x", "ok"},
			{"/list?path=/empty", "new"},
		} {
			if got := a.ask(t, step.path); got != step.want {
				t.Errorf("%s is %q, want %q", step.path, got, step.want)
			}
		}
	})

	t.Run("go out and come in while the app answers", func(t *testing.T) { a.carry(t, p) })

	t.Run("go out and come in while the app sleeps", func(t *testing.T) { a.asleep(t, p) })

	t.Run("grow, and lose nothing", func(t *testing.T) { a.grow(t, p) })

	t.Run("are kept when they leave the file, until they are removed", func(t *testing.T) {
		p.Must("deploy", p.Write("compose.yaml", strings.ReplaceAll(volumesFile, "KEEP", "second")), "--name", "volumes", "--yes")
		var volumes []struct {
			Name string `json:"name"`
			Kept bool   `json:"kept"`
		}
		kept := func() (names []string) {
			p.MustJSON(&volumes, "volume", "ls", "volumes")
			for _, v := range volumes {
				if v.Kept {
					names = append(names, v.Name)
				}
			}
			return names
		}
		if got := kept(); len(got) != 1 || got[0] != "first" || len(volumes) != 4 {
			t.Fatalf("kept are %v of %v, want the first of four", got, volumes)
		}
		if r := p.Run("volume", "rm", "volumes", "data", "--yes"); r.Code == 0 || !strings.Contains(r.Stderr, "in use") {
			t.Errorf("a volume in use goes: %v", r)
		}
		if got := inArchive(t, p, "first"); got["./new"] != "x" {
			t.Errorf("a kept volume has %v", got)
		}
		p.Must("volume", "rm", "volumes", "first", "--yes")
		if got := kept(); len(got) != 0 || len(volumes) != 3 {
			t.Errorf("afterwards %v of %v are kept", got, volumes)
		}
		if got := a.ask(t, "/whose?path=/data/deep"); got != "0:65532 2775" {
			t.Errorf("the app answers %q", got)
		}
	})
}
