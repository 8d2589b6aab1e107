// SPDX-License-Identifier: Apache-2.0

package appfile_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/schema"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/apocryph/apocryph/internal/appfile"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

func source(content string) appfile.Source {
	return appfile.Source{
		File: "compose.yaml", Dir: "/home/me/shop", Content: []byte(content), Env: map[string]string{"SET": "set", "EMPTY": ""},
		ReadFile: func(path string) ([]byte, error) {
			if path == "/home/me/shop/web.env" {
				return []byte("FROM_FILE=1\nBOTH=file\n"), nil
			}
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		},
	}
}

// accounts are whom the images of tests know.
func accounts(context.Context) (appfile.Accounts, error) {
	return appfile.Accounts{
		Passwd: []byte("root:x:0:0:root:/root:/bin/sh\n# postgres:x:1:1\n+::::::\nwww-data:x:33:33::/var/www:\n\npostgres:x:999:998::/:/bin/sh\r\npostgres:x:5:5\nbig:x:70000:1\n"),
		Group:  []byte("root:x:0:\nssl-cert:x:101:nobody,postgres\nstaff:x:50:\nwww-data:x:33:\npostgres:x:998:\nvideo:x:44:postgres\nhuge:x:99999:\n"),
	}, nil
}

func pins() appfile.Pins {
	return appfile.Pins{
		Resolve: func(_ context.Context, image string) (appfile.Image, error) {
			img := appfile.Image{Digest: fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(image))), ReadAccounts: accounts}
			if image == "web" {
				img.StopSignal = "int"
			}
			if image == "postgres" {
				img.Ports = []*manifestv1.Port{{Number: 5432, Protocol: "tcp"}}
			}
			return img, nil
		},
		Salt: func(service, name, value string) []byte {
			h := sha256.Sum256([]byte(service + name + value))
			return h[:16]
		},
	}
}

func mustManifest(t *testing.T, content string) *manifestv1.Manifest {
	t.Helper()
	f, err := appfile.Load(t.Context(), source(content))
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.Manifest(t.Context(), pins())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestExample(t *testing.T) {
	content, err := os.ReadFile("../../examples/pocketbase/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := mustManifest(t, string(content))
	want := &manifestv1.Manifest{
		Name: "shop",
		Services: []*manifestv1.Service{{
			Name: "pocketbase", Image: "pocketbase/pocketbase:0.39.1", Digest: got.Services[0].Digest,
			Command:   []string{"serve", "--http=0.0.0.0:8090", "--dir=/pb_data"},
			Ports:     []*manifestv1.Port{{Number: 8090, Protocol: "tcp"}},
			Mounts:    []*manifestv1.Mount{{Volume: "pb-data", Path: "/pb_data"}},
			Resources: &manifestv1.Resources{MilliCpu: 250, MemoryBytes: 256 << 20, EphemeralBytes: 1 << 30},
		}},
		Volumes: []*manifestv1.Volume{{Name: "pb-data", SizeBytes: 1 << 30}},
		Http:    &manifestv1.Http{Service: "pocketbase", Port: 8090},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
}

func TestManifest(t *testing.T) {
	got := mustManifest(t, `
name: notes
x-common: &common
  user: "1000:1001"
  read_only: true
services:
  web:
    <<: *common
    image: web:1
    entrypoint: ["/bin/web"]
    working_dir: /srv
    environment: [BOTH=here, SET, UNSET]
    env_file: [web.env, {path: missing.env, required: false}]
    ports: ["8080:80", "127.0.0.1:9000:9000"]
    expose: ["7000-7001"]
    stop_grace_period: 1500ms
    cpus: 0.1
    mem_limit: 64m
    volumes: ["up.loads:/data/", {type: volume, source: cache, target: /cache, read_only: true}]
    x-apocryph: {ephemeral: 2GiB}
  db:
    image: postgres
    environment: {POSTGRES_PASSWORD: "${SET}-${OTHER:-x}$$"}
    deploy: {resources: {limits: {cpus: "1.5"}, reservations: {memory: 1g}}}
  debug:
    image: busybox
    privileged: true
    profiles: [debug]
volumes:
  up.loads: {x-apocryph: {size: 3g}}
  cache:
  unused:
`)
	digest := func(s string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(s))) }
	env := func(service, name, value string) *manifestv1.Env {
		return &manifestv1.Env{Name: name, Value: value, Salt: pins().Salt(service, name, value)}
	}
	tcp := func(n uint32) *manifestv1.Port { return &manifestv1.Port{Number: n, Protocol: "tcp"} }
	user, group := int64(1000), int64(1001)
	want := &manifestv1.Manifest{
		Name: "notes",
		Services: []*manifestv1.Service{
			{
				Name: "db", Image: "postgres", Digest: digest("postgres"), Env: []*manifestv1.Env{env("db", "POSTGRES_PASSWORD", "set-x$")},
				Ports: []*manifestv1.Port{tcp(5432)}, Resources: &manifestv1.Resources{MilliCpu: 1500, MemoryBytes: 1 << 30, EphemeralBytes: 1 << 30},
			},
			{
				Name: "web", Image: "web:1", Digest: digest("web:1"), Entrypoint: []string{"/bin/web"}, WorkingDir: "/srv", User: &user, Group: &group, ReadOnly: true,
				Env:              []*manifestv1.Env{env("web", "BOTH", "here"), env("web", "FROM_FILE", "1"), env("web", "SET", "set")},
				Ports:            []*manifestv1.Port{tcp(80), tcp(7000), tcp(7001), tcp(9000)},
				Mounts:           []*manifestv1.Mount{{Volume: "cache", Path: "/cache", ReadOnly: true}, {Volume: "up-loads", Path: "/data"}},
				Resources:        &manifestv1.Resources{MilliCpu: 100, MemoryBytes: 64 << 20, EphemeralBytes: 2 << 30},
				StopGraceSeconds: 2,
			},
		},
		Volumes: []*manifestv1.Volume{{Name: "cache", SizeBytes: 1 << 30}, {Name: "up-loads", SizeBytes: 3 << 30}},
		Http:    &manifestv1.Http{Service: "web", Port: 80},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
}

func TestHTTP(t *testing.T) {
	const two = "services: {a: {image: a, ports: ['80:80']}, b: {image: b, ports: ['81:81', '53:53/udp']}}\n"
	cases := map[string]struct {
		content string
		want    *manifestv1.Http
	}{
		"no port, no http":                    {"services: {a: {image: a}}", nil},
		"only udp is no http":                 {"services: {a: {image: a, ports: ['53:53/udp']}}", nil},
		"of two, the one that is named":       {two + "x-apocryph: {http: {service: b, port: 81}}", &manifestv1.Http{Service: "b", Port: 81}},
		"a service's only port needs no name": {two + "x-apocryph: {http: {service: b, host: shop}}", &manifestv1.Http{Service: "b", Port: 81, Host: "shop"}},
		"a port that is only exposed":         {"services: {a: {image: a, expose: [3000]}}\nx-apocryph: {http: {service: a}}", &manifestv1.Http{Service: "a", Port: 3000}},
		"a port that is only named here":      {"services: {a: {image: a}}\nx-apocryph: {http: {service: a, port: 3000}}", &manifestv1.Http{Service: "a", Port: 3000}},
		"a database's port alone":             {"services: {a: {image: a, ports: ['5432:5432', '2222:22']}}", nil},
		"labels where only ssh is published":  {"services: {a: {image: a, ports: ['2222:22'], labels: {traefik.http.services.a.loadbalancer.server.port: 3000}}}", &manifestv1.Http{Service: "a", Port: 3000}},
		"a database that is named":            {"services: {a: {image: a, ports: ['5432:5432']}}\nx-apocryph: {http: {service: a}}", &manifestv1.Http{Service: "a", Port: 5432}},
		"only one port, of this machine":      {"services: {a: {image: a, ports: ['127.0.0.1:3000:3000', '127.0.0.1:5432:5432']}}", &manifestv1.Http{Service: "a", Port: 3000}},
		"two ports of this machine":           {"services: {a: {image: a, ports: ['127.0.0.1:3000:3000', '127.0.0.1:4000:4000']}}", nil},
		"http and TLS of one service":         {"services: {a: {image: a, ports: [9000, 9443]}}", &manifestv1.Http{Service: "a", Port: 9000}},
		"a loopback port is not published":    {"services: {a: {image: a, ports: ['80:80']}, b: {image: b, ports: ['127.0.0.1:81:81']}}", &manifestv1.Http{Service: "a", Port: 80}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, mustManifest(t, c.content).Http, protocmp.Transform()); diff != "" {
				t.Errorf("http (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	service := func(line string) string { return "services:\n  web:\n    image: web\n    " + line + "\n" }
	cases := map[string]struct {
		content string
		// want is the start of the one problem's text.
		want string
	}{
		"an empty file":                              {"", "compose.yaml: the file is empty"},
		"not YAML":                                   {"services: [", "compose.yaml:"},
		"a tab":                                      {"services:\n\tweb:\n", "compose.yaml:2:"},
		"a list":                                     {"- a", "compose.yaml:1:1: the file is not a mapping"},
		"two documents":                              {"services: {}\n---\nservices: {}\n", "compose.yaml:2:1: the file holds more than one YAML document"},
		"no service":                                 {"services: {}", "compose.yaml:1:1: services: there is no service"},
		"an unknown key":                             {service("imagee: x"), "compose.yaml:4:5: services.web.imagee: Compose has no such key"},
		"an unknown key at the top":                  {"sevices: {}", "compose.yaml:1:1: sevices: Compose has no such key"},
		"an unknown x-apocryph key":                  {service("x-apocryph: {size: 1g}"), "compose.yaml:4:18: services.web.x-apocryph.size: Compose has no such key"},
		"a wrong type":                               {service("ports: 80"), "compose.yaml:4:5: services.web.ports: must be a"},
		"a wrong scalar type":                        {service("read_only: maybe"), "compose.yaml:4:5: services.web.read_only: "},
		"services as a list":                         {"services: [a]", "compose.yaml:1:1: services: must be a mapping"},
		"a key that is written twice":                {service("image: b"), "compose.yaml:4:1: the key image is written twice, here and at line 3"},
		"a size in words":                            {service("mem_limit: lots"), "compose.yaml:4:5: services.web.mem_limit: lots is no size"},
		"a time in words":                            {service("healthcheck: {test: [CMD, a], interval: soon}"), "compose.yaml:4:35: services.web.healthcheck.interval: soon is no duration"},
		"a time without a unit":                      {service("stop_grace_period: 10"), "compose.yaml:4:5: services.web.stop_grace_period: must be one text"},
		"a number in words":                          {service("cpus: lots"), "compose.yaml:4:5: services.web.cpus: \"lots\" is no number"},
		"neither yes nor no":                         {service("read_only: perhaps"), "compose.yaml:4:5: services.web.read_only: perhaps is neither true nor false"},
		"an item's number in words":                  {service("ports: [{target: x}]"), "compose.yaml:4:5: services.web.ports: \"x\" is no number"},
		"a port in words":                            {service("ports: ['80:80', 'a:b']"), "compose.yaml:4:22: services.web.ports.1: b is not as Compose wants it"},
		"a mode in words":                            {service("secrets: [{source: x, mode: rw}]") + "secrets: {x: {environment: SET}}", "compose.yaml:4:27: services.web.secrets.0.mode: \"rw\" is no number"},
		"an unset variable":                          {service("command: run ${MISSING}"), "compose.yaml:4:14: services.web.command: variable MISSING is not set"},
		"an unset variable of a profile":             {service("profiles: [dev]\n    command: $MISSING") + "  dev: {extends: web, profiles: []}\n", "compose.yaml:5:14: services.web.command: variable MISSING is not set"},
		"a required variable":                        {service("command: ${MISSING:?say it}"), "compose.yaml:4:14: services.web.command: required variable MISSING is missing a value: say it"},
		"a malformed variable":                       {service("command: ${"), "compose.yaml:4:14: services.web.command: a variable is written wrongly"},
		"no image":                                   {"services: {web: {command: x}}", "compose.yaml:1:12: services.web: "},
		"build without image":                        {"services: {web: {build: .}}", "compose.yaml:1:18: services.web.build: not supported: building images"},
		"privileged":                                 {service("privileged: true"), "compose.yaml:4:5: services.web.privileged: not supported"},
		"privileged by an anchor":                    {"x-a: &a\n  privileged: true\nservices: {web: {image: a, <<: *a}}", "compose.yaml:2:3: services.web.privileged: not supported"},
		"the host's network":                         {service("network_mode: host"), "compose.yaml:4:5: services.web.network_mode: not supported: host is refused, as is anything but bridge, default or none"},
		"no network for what answers http":           {service("network_mode: none\n    ports: ['80']"), "compose.yaml:4:5: services.web.network_mode: the service answers http"},
		"the host's processes":                       {service("pid: host"), "compose.yaml:4:5: services.web.pid: not supported"},
		"devices":                                    {service("devices: [/dev/kvm]"), "compose.yaml:4:5: services.web.devices: not supported"},
		"capabilities":                               {service("cap_add: [NET_ADMIN]"), "compose.yaml:4:5: services.web.cap_add: not supported"},
		"seccomp off":                                {service("security_opt: [\"seccomp:unconfined\"]"), "compose.yaml:4:5: services.web.security_opt: not supported"},
		"a volume at the root":                       {service("volumes: [\"data:/\"]") + "volumes: {data: }", "compose.yaml:4:15: services.web.volumes.0: "},
		"volumes that become one":                    {service("command: a") + "volumes: {a_b: , a-b: }", "compose.yaml:5:"},
		"a size that is none":                        {service("command: a") + "volumes: {data: {x-apocryph: {size: big}}}", "compose.yaml:5:31: volumes.data.x-apocryph.size: big is no size"},
		"two replicas of what answers http":          {service("ports: ['80']\n    deploy: {replicas: 2}"), "compose.yaml:5:14: services.web.deploy.replicas: not supported: several replicas of the service that answers http"},
		"more replicas than services":                {service("scale: 33"), "compose.yaml:1:1: services: 33 services and replicas, at most 32"},
		"replicas with a volume that has no name":    {service("scale: 2\n    volumes: [/data]"), "compose.yaml:5:15: services.web.volumes.0: each replica would need a volume of its own"},
		"a replica that is called as an alias":       {"services: {web: {image: a, scale: 2}, db: {image: b, networks: {default: {aliases: [web-2]}}}}", "compose.yaml:1:28: services.web.scale: web-2, which a replica would be called, is another service's name"},
		"a replica that is called as another":        {"services: {web: {image: a, scale: 2}, web-2: {image: b}}", "compose.yaml:1:28: services.web.scale: web-2, which a replica would be called, is another service's name"},
		"no replica":                                 {service("scale: 0"), "compose.yaml:4:5: services.web.scale: not supported: a service of 0 replicas"},
		"extends of a file that is not there":        {service("extends: {file: /etc/passwd, service: x}"), "compose.yaml:4:5: services.web.extends: /etc/passwd can't be read: file does not exist"},
		"a volume that is not declared":              {service("volumes: [\"data:/data\"]"), "compose.yaml:4:5: services.web.volumes: volume data is not declared"},
		"an env file that is not there":              {service("env_file: none.env"), "compose.yaml:4:5: services.web.env_file.0: env file none.env can't be read: file does not exist"},
		"an include that is not there":               {"include: [other.yaml]\nservices: {web: {image: a}}", "compose.yaml:1:11: include.0: other.yaml can't be read: file does not exist"},
		"the docker socket":                          {service("volumes: [\"/var/run/docker.sock:/var/run/docker.sock\"]"), "compose.yaml:4:15: services.web.volumes.0: not supported: there is no container engine"},
		"two published ports":                        {service("ports: [\"80:80\", \"8090:8090\"]"), "compose.yaml:4:5: services.web.ports: more than one TCP port is published"},
		"a name with underscores that somebody says": {"services: {my_app: {image: a}, web: {image: b, environment: {AT: 'my_app'}}}", "compose.yaml:1:12: services.my_app: the service's name is its host name"},
		"a name that is no label":                    {"name: My App\nservices: {web: {image: a}}", "compose.yaml:1:1: name: the name \"My App\" is no DNS label"},
		"http of no service":                         {service("command: a") + "x-apocryph: {http: {service: nobody}}", "compose.yaml:5:21: x-apocryph.http.service: there is no service \"nobody\""},
		"http of a service without ports":            {service("command: a") + "x-apocryph: {http: {service: web}}", "compose.yaml:5:14: x-apocryph.http: service web has no TCP port"},
		"a host with dots":                           {service("ports: [80]") + "x-apocryph: {http: {service: web, host: a.b}}", "compose.yaml:5:35: x-apocryph.http.host: a.b is no DNS label"},
		"too little memory":                          {service("mem_limit: 1k"), "compose.yaml:4:5: services.web.mem_limit: 1024 bytes"},
		"too many CPUs":                              {service("cpus: 99999"), "compose.yaml:4:5: services.web.cpus: 99999 CPUs"},
		"a platform that is not run":                 {service("platform: linux/arm64"), "compose.yaml:4:5: services.web.platform: not supported: linux/arm64 is refused, as is anything but linux/amd64"},
		"an alias of an alias of itself":             {"x: &a [*a]\nservices: {web: {image: a}}", "compose.yaml:"},
		"an alias bomb":                              {bomb(), "compose.yaml:"},
		"nested too deep":                            {"x-a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), "compose.yaml:1:"},
		"too large":                                  {strings.Repeat("#", appfile.MaxSize+1), "compose.yaml: the file has 1048577 bytes"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f, err := appfile.Load(t.Context(), source(c.content))
			var ps appfile.Problems
			if !errors.As(err, &ps) || len(ps) != 1 {
				t.Fatalf("got %v, %v, want one problem", f, err)
			}
			if !strings.HasPrefix(ps[0].String(), c.want) {
				t.Errorf("got  %s\nwant %s", ps[0], c.want)
			}
			if ps[0].Remedy == "" {
				t.Error("there is no remedy")
			}
		})
	}
}

// What no profile selects needs no variables, unless another file has it run.
func TestVariablesOfProfiles(t *testing.T) {
	src := tree("services:\n  web: {image: a}\n  dev: {image: a, profiles: [dev], command: '$MISSING ${TOO:?say it}'}\n", map[string]string{"more.yaml": "services: {dev: {profiles: [other]}}"})
	if _, err := appfile.Load(t.Context(), src); err != nil {
		t.Error(err)
	}
	src.Overrides, src.Profiles = []string{"more.yaml"}, []string{"other"}
	_, err := appfile.Load(t.Context(), src)
	if err == nil || !strings.Contains(err.Error(), "compose.yaml:3:45: services.dev.command: required variable TOO is missing a value: say it") {
		t.Errorf("with the profile: %v", err)
	}
}

func bomb() string {
	b := &strings.Builder{}
	b.WriteString("x-a0: &a0 [x]\n")
	for i := 1; i < 60; i++ {
		fmt.Fprintf(b, "x-a%d: &a%d [*a%d, *a%d, *a%d, *a%d]\n", i, i, i-1, i-1, i-1, i-1)
	}
	return b.String() + "services: {web: {image: a}}\n"
}

func TestNotes(t *testing.T) {
	f, err := appfile.Load(t.Context(), source("version: '3'\nservices:\n  web:\n    image: a\n    restart: always\n    privileged: false\n    ports: [80]\n    cap_add: []\n    depends_on: [db]\n  db: {image: b, build: .}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range f.Notes {
		got = append(got, n.String())
	}
	want := []string{
		"compose.yaml:1: version: no effect: the Compose specification no longer uses it",
		"compose.yaml:10: services.db.build: no effect: nothing is built: the image named beside it is used",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

func TestEveryKeyOfComposeHasAVerdict(t *testing.T) {
	rules, above := map[string]bool{}, map[string]bool{}
	for _, r := range appfile.Rules() {
		if rules[r.Key] {
			t.Errorf("%s has two rules", r.Key)
		}
		rules[r.Key] = true
		if r.Verdict == appfile.Refused && r.Remedy == "" || (r.Refuses != nil) != (r.When != "") || r.Refuses != nil && r.Remedy == "" {
			t.Errorf("%s: a refusal needs a remedy, and a refused value a description", r.Key)
		}
		parts := strings.Split(r.Key, ".")
		for i := range parts {
			above[strings.Join(parts[:i], ".")] = true
		}
	}
	known := map[string]bool{}
	for _, p := range schema.AttributePaths() {
		path := string(p)
		known[path] = true
		covered := above[path]
		for parts := strings.Split(path, "."); len(parts) > 0 && !covered; parts = parts[:len(parts)-1] {
			covered = rules[strings.Join(parts, ".")]
		}
		if !covered {
			t.Errorf("%s has no rule", path)
		}
	}
	for key := range rules {
		if !known[key] && !strings.Contains(key, "x-apocryph") && key != "services.*.volume_driver" && !strings.HasPrefix(key, "services.*.ulimits.") {
			t.Errorf("%s is no key of Compose", key)
		}
	}
}

func TestGuideIsGenerated(t *testing.T) {
	var want bytes.Buffer
	if err := appfile.WriteGuide(&want); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../docs/guide/compose.md")
	if err != nil || !bytes.Equal(want.Bytes(), got) {
		t.Errorf("docs/guide/compose.md differs from the rules (%v); run: go generate ./internal/appfile", err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("services: {web: {image: a, ports: ['80:80'], environment: {A: '${B:-c}'}}}")
	f.Add("services:\n  web: &w {image: a, env_file: web.env}\n  b: {<<: *w, extends: web}\nvolumes: {x: {x-apocryph: {size: 1g}}}")
	f.Add(bomb())
	f.Fuzz(func(t *testing.T, content string) {
		file, err := appfile.Load(t.Context(), source(content))
		if err != nil {
			var ps appfile.Problems
			if !errors.As(err, &ps) || len(ps) == 0 {
				t.Fatalf("not a list of problems: %v", err)
			}
			return
		}
		unseen := pins()
		unseen.Resolve = func(context.Context, string) (appfile.Image, error) {
			return appfile.Image{Digest: "sha256:" + strings.Repeat("0", 64), Entrypoint: []string{"a"}, Cmd: []string{"b"}, Unseen: true}, nil
		}
		m, err := file.Manifest(t.Context(), unseen)
		if err != nil {
			t.Fatalf("an accepted file makes no manifest: %v", err)
		}
		if _, err := manifest.Encode(m); err != nil {
			t.Fatal(err)
		}
	})
}
