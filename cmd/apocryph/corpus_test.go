// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	psapi "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/appfile"
	"github.com/apocryph/apocryph/internal/controller"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

//go:generate go test -run ^TestCorpus$ -update .

const corpus = "../../testdata/corpus"

// leastDeployable is how many of a hundred files of the corpus have to be deployable as they are.
const leastDeployable = 80

// Each app file of the corpus has the verdict of its expected.txt and, if it is deployable, makes the manifest of its manifest.json and the
// objects of its objects.yaml, whose pods Pod Security lets run.
func TestCorpus(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(corpus, "*", "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	deployable := 0
	for _, file := range dirs {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Chdir(dir)
			flags := &FileFlags{File: "compose.yaml"}
			view, err := check(t.Context(), flags)
			if err != nil {
				t.Fatal(err)
			}
			var text bytes.Buffer
			if err := view.write(&text); err != nil {
				t.Fatal(err)
			}
			golden(t, "expected.txt", text.Bytes())
			if view.Verdict == refusedVerdict {
				absent(t, "manifest.json", "objects.yaml")
				return
			}
			deployable++
			m := corpusManifest(t, flags)
			golden(t, "manifest.json", readable(t, m))
			objects := objectsOf(t, m)
			golden(t, "objects.yaml", yamlOf(t, objects))
			checkPodSecurity(t, objects)
		})
	}
	share := 100 * deployable / max(1, len(dirs))
	t.Logf("%d of %d app files are deployable, %d %%", deployable, len(dirs), share)
	if len(dirs) < 40 || share < leastDeployable {
		t.Errorf("want at least 40 files and %d %%", leastDeployable)
	}
}

// What newcomers are shown can be deployed.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/*/compose.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	t.Setenv("DB_PASSWORD", "secret")
	t.Setenv("ADMIN_PASSWORD", "secret")
	for _, file := range files {
		view, err := check(t.Context(), &FileFlags{File: file})
		if err != nil {
			t.Fatal(err)
		}
		if view.Verdict == refusedVerdict {
			t.Errorf("%s is refused: %+v", file, view)
		}
	}
}

// corpusManifest pins each image to a digest made of its name, and one that exposes a port and has a check of its own.
func corpusManifest(t *testing.T, flags *FileFlags) *manifestv1.Manifest {
	t.Helper()
	file, err := flags.load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, err := file.Manifest(t.Context(), appfile.Pins{
		Resolve: func(_ context.Context, image string) (appfile.Image, error) {
			found := appfile.Image{Digest: fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(image))), Entrypoint: []string{"/entrypoint"}, Cmd: []string{"serve"}, ReadAccounts: corpusAccounts}
			switch {
			case strings.HasPrefix(image, "acme/api"):
				found.StopSignal = "SIGQUIT"
			case strings.HasPrefix(image, "acme/blog"):
				found.StopSignal = "SIGINT"
			}
			if strings.HasPrefix(image, "postgres:") {
				found.Ports = []*manifestv1.Port{{Number: 5432, Protocol: "tcp"}}
			}
			if strings.HasPrefix(image, "immich-app/") {
				found.Health = &manifestv1.Health{Command: []string{"/bin/sh", "-c", "healthcheck"}, StartPeriodMs: 10_000}
			}
			return found, nil
		},
		Salt: func(service, name, value string) []byte {
			sum := sha256.Sum256([]byte(service + "\x00" + name + "\x00" + value))
			return sum[:16]
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// corpusAccounts are whom each image knows.
func corpusAccounts(context.Context) (appfile.Accounts, error) {
	return appfile.Accounts{
		Passwd: []byte("root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/sh\nredis:x:998:998::/:/bin/sh\npostgres:x:999:999::/:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n"),
		Group:  []byte("root:x:0:\nwww-data:x:33:\nstaff:x:50:\nssl-cert:x:101:postgres\npostgres:x:999:\nredis:x:998:\nnode:x:1000:\n"),
	}, nil
}

// readable is a manifest as JSON whose spaces are always the same. Contents are base64, salts are left out.
func readable(t *testing.T, m *manifestv1.Manifest) []byte {
	t.Helper()
	for _, s := range m.Services {
		for _, e := range s.Env {
			e.Salt = nil
		}
	}
	for _, f := range m.Files {
		f.Salt = nil
	}
	b, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		t.Fatal(err)
	}
	return append(out.Bytes(), '\n')
}

func objectsOf(t *testing.T, m *manifestv1.Manifest) []client.Object {
	t.Helper()
	app := &v1alpha1.App{Spec: v1alpha1.AppSpec{ManifestHash: strings.Repeat("ab", 32)}}
	app.Name = "the-app-id"
	objects, err := controller.Desired(app, m, controller.Config{
		Namespace: "apocryph-system", Image: "apocryphd:1", ImagePrefix: "localhost:5100", PublicScheme: "https", UserNamespaces: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// yamlOf leaves out the namespace and the rights in it, which are the same for every app.
func yamlOf(t *testing.T, objects []client.Object) []byte {
	t.Helper()
	var all [][]byte
	for _, o := range objects {
		switch o.(type) {
		case *corev1.Namespace, *rbacv1.RoleBinding:
			continue
		}
		b, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, bytes.ReplaceAll(b, []byte("status: {}\n"), nil))
	}
	return bytes.Join(all, []byte("---\n"))
}

// checkPodSecurity asks Kubernetes' own rules about every pod.
func checkPodSecurity(t *testing.T, objects []client.Object) {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	baseline := psapi.LevelVersion{Level: psapi.LevelBaseline, Version: psapi.LatestVersion()}
	pods := 0
	for _, o := range objects {
		var pod corev1.PodTemplateSpec
		switch o := o.(type) {
		case *appsv1.Deployment:
			pod = o.Spec.Template
		case *batchv1.Job:
			pod = o.Spec.Template
		default:
			continue
		}
		pods++
		if r := policy.AggregateCheckResults(evaluator.EvaluatePod(baseline, &pod.ObjectMeta, &pod.Spec)); !r.Allowed {
			t.Errorf("service %s: %s", o.GetName(), r.ForbiddenDetail())
		}
	}
	if pods == 0 {
		t.Error("nothing runs")
	}
}

// golden compares with a file of the present directory.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got); to rewrite: go generate ./cmd/apocryph\n%s", name, diff)
	}
}

func absent(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%s is of a file that is refused", name)
		}
	}
}
