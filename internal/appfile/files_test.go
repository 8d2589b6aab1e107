// SPDX-License-Identifier: Apache-2.0

package appfile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/apocryph/apocryph/internal/appfile"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// tree is a source whose directory holds files; a name that ends in / is an empty directory.
func tree(content string, files map[string]string) appfile.Source {
	all := fstest.MapFS{"home/me/shop": {Mode: fs.ModeDir | 0o755}}
	for name, text := range files {
		name, dir := strings.CutSuffix(path.Join("home/me/shop", name)+name[len(name)-1:], "/")
		if dir {
			all[name] = &fstest.MapFile{Mode: fs.ModeDir | 0o755}
		} else {
			all[name[:len(name)-1]] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		}
	}
	src := source(content)
	src.ReadFile = func(p string) ([]byte, error) { return all.ReadFile(p[1:]) }
	src.Stat = func(p string) (fs.FileInfo, error) { return all.Stat(p[1:]) }
	src.List = func(dir string, most int) ([]string, error) {
		var names []string
		err := fs.WalkDir(all, dir[1:], func(p string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				names = append(names, strings.TrimPrefix(p, dir[1:]+"/"))
			}
			return err
		})
		return names[:min(len(names), most+1)], err
	}
	return src
}

// What is wrong with several files is said with the place in the one that has it, as one problem.
func TestProblemsOfSeveralFiles(t *testing.T) {
	service := func(line string) string { return "services:\n  web:\n    image: web\n    " + line + "\n" }
	cases := map[string]struct {
		content string
		files   map[string]string
		want    string
	}{
		"an unknown key in an included file":            {"include: [a.yaml]\n", map[string]string{"a.yaml": service("imagee: b")}, "a.yaml:4:5: services.web.imagee: Compose has no such key"},
		"a refused key in an included file":             {"include: [a/b.yaml]\n", map[string]string{"a/b.yaml": service("privileged: true")}, "a/b.yaml:4:5: services.web.privileged: not supported"},
		"a variable in an included file":                {"include: [a.yaml]\n", map[string]string{"a.yaml": service("command: $NOPE")}, "a.yaml:4:14: services.web.command: variable NOPE is not set"},
		"a dollar sign in an env file":                  {service("env_file: [a.env]"), map[string]string{"a.env": "A=1\n# $C\nB=$A${X:-y}'$Z'\n"}, "a.env:3:1: B: variable Z is not set"},
		"a default's own variable":                      {service("env_file: [a.env]"), map[string]string{"a.env": "A=${SET:-$B}${C:+d}\nA2=${D:-$E}\n"}, "a.env:2:1: A2: variable E is not set"},
		"a dollar sign in quotes":                       {service("env_file: [a.env]"), map[string]string{"a.env": "A='$b\n$c' # $d\nB=\"\\$e$$f\n$g\"\n"}, "a.env:4:1: B: variable g is not set"},
		"a dollar sign in an included directory's .env": {"include: [a/b.yaml]\n", map[string]string{"a/b.yaml": service("command: a"), "a/.env": "PW=abc$def"}, "a/.env:1:1: PW: variable def is not set"},
		"files that include each other":                 {"include: [a.yaml]\n", map[string]string{"a.yaml": "include: [compose.yaml]", "compose.yaml": "include: [a.yaml]\n"}, "a.yaml:1:11: include.0: the files include each other"},
		"an include of itself":                          {"include: [compose.yaml]\n", map[string]string{"compose.yaml": "include: [compose.yaml]\n"}, "compose.yaml:1:11: include.0: the files include each other"},
		"an included file that is no YAML":              {"include: [a.yaml]\n", map[string]string{"a.yaml": "services: ["}, "a.yaml:1:"},
		"an include without a path":                     {"include: [{env_file: a}]\n", nil, "compose.yaml:1:11: include.0: the entry names no file"},
		"an env file of an include":                     {"include: [{path: a.yaml, env_file: b.env}]\n", map[string]string{"a.yaml": service("tty: true")}, "compose.yaml:1:11: include.0: env file b.env can't be read: file does not exist"},
		"services that extend each other":               {"services: {a: {image: a, extends: b}, b: {image: b, extends: a}}", nil, "compose.yaml:1:26: services.a.extends: services extend each other in a circle: a → b → a"},
		"services that extend each other elsewhere":     {service("extends: {file: a.yaml, service: x}"), map[string]string{"a.yaml": "services:\n  x: {extends: y}\n  y: {extends: x}\n"}, "a.yaml:3:7: services.y.extends: services extend each other in a circle: a.yaml:x → a.yaml:y → a.yaml:x"},
		"a service that no other file has":              {service("extends: {file: a.yaml, service: x}"), map[string]string{"a.yaml": service("tty: true")}, "compose.yaml:4:5: services.web.extends: a.yaml has no service \"x\""},
		"a service that this file has not":              {service("extends: x"), nil, "compose.yaml:4:5: services.web.extends: there is no service x here"},
		"a refused key of what is extended":             {service("extends: {file: a.yaml, service: web}"), map[string]string{"a.yaml": service("pid: host")}, "a.yaml:4:5: services.web.pid: not supported"},
		"services that wait for each other":             {"services: {a: {image: a, depends_on: [b]}, b: {image: b, depends_on: [a]}}", nil, "compose.yaml:1:"},
		"a dependency that is not there":                {service("depends_on: [db]"), nil, "compose.yaml:4:5: services.web.depends_on.db: there is no service db here"},
		"a wait for the end of a server":                {"services:\n  a: {image: a, restart: always}\n  b: {image: b, depends_on: {a: {condition: service_completed_successfully}}}", nil, "compose.yaml:3:34: services.b.depends_on.a.condition: it waits until service a has completed"},
		"a network that is not declared":                {service("networks: [back]"), nil, "compose.yaml:4:5: services.web.networks: network back is not declared"},
		"a config that is not declared":                 {service("configs: [nginx]"), nil, "compose.yaml:4:5: services.web.configs: config nginx is not declared"},
		"a config whose file is not there":              {service("configs: [nginx]") + "configs: {nginx: {file: n.conf}}", nil, "compose.yaml:5:11: configs.nginx: file n.conf can't be read: file does not exist"},
		"a secret whose variable is not set":            {service("secrets: [s]") + "secrets: {s: {environment: NOPE}}", nil, "compose.yaml:5:11: secrets.s: variable NOPE is not set"},
		"an external secret":                            {service("secrets: [s]") + "secrets: {s: {external: true}}", nil, "compose.yaml:5:15: secrets.s.external: not supported"},
		"a config that is too large":                    {service("configs: [n]") + "configs: {n: {file: n}}", map[string]string{"n": strings.Repeat("x", 200<<10)}, "compose.yaml:5:11: configs.n: it has 204800 bytes"},
		"a file that is not there":                      {service("volumes: ['./nginx.conf:/etc/nginx/nginx.conf']"), nil, "compose.yaml:4:15: services.web.volumes.0: nginx.conf is not there"},
		"a directory with files to write to":            {service("volumes: ['./data:/data']"), map[string]string{"data/a": "a"}, "compose.yaml:4:15: services.web.volumes.0: not supported: data has files"},
		"a file above the app file":                     {service("volumes: ['../x.conf:/x.conf:ro']"), map[string]string{"../x.conf": "a"}, "compose.yaml:4:15: services.web.volumes.0: not supported: ../x.conf is outside"},
		"the machine's files":                           {service("volumes: ['/etc/passwd:/etc/passwd:ro']"), nil, "compose.yaml:4:15: services.web.volumes.0: not supported: /etc/passwd is of this machine"},
		"the whole machine":                             {service("volumes: ['/:/host:ro']"), nil, "compose.yaml:4:15: services.web.volumes.0: not supported: / is of this machine"},
		"two things at one path":                        {service("volumes: ['aa:/x']\n    tmpfs: /x") + "volumes: {aa: }", nil, "compose.yaml:4:5: services.web.volumes: two things are mounted at /x"},
		"more in memory than there is":                  {service("mem_limit: 64m\n    tmpfs: ['/a:size=64m', '/b:size=64m']"), nil, "compose.yaml:5:5: services.web.tmpfs: its directories in memory hold 128MiB, its memory is 64MiB"},
		"a tmpfs whose size is none":                    {service("tmpfs: '/a:size=big'"), nil, "compose.yaml:4:5: services.web.tmpfs.0: \"big\" is no size"},
		"a signal that is none":                         {service("stop_signal: SIGFOO"), nil, "compose.yaml:4:5: services.web.stop_signal: \"SIGFOO\" is no signal"},
		"a group that no container can have":            {service("group_add: ['70000']"), nil, "compose.yaml:4:17: services.web.group_add.0: \"70000\" is no number"},
		"a user that no container can be":               {service("user: '-1'"), nil, "compose.yaml:4:5: services.web.user: \"-1\" is no number"},
		"a host that is no address":                     {service("extra_hosts: ['a=b']"), nil, "compose.yaml:4:5: services.web.extra_hosts: a at b is no name at an address"},
		"an alias that is another service":              {"services:\n  a: {image: a, networks: {default: {aliases: [b]}}}\n  b: {image: b}", nil, "compose.yaml:2:38: services.a.networks.default.aliases: the alias b is another service's name"},
		"an alias that two services have":               {"services:\n  a: {image: a, networks: {default: {aliases: [x]}}}\n  b: {image: b, networks: {default: {aliases: [x]}}}", nil, "compose.yaml:3:17: services.b.networks: services a and b are both called x"},
		"a limit that is above what there is":           {service("ulimits: {memlock: -1}"), nil, "compose.yaml:4:15: services.web.ulimits.memlock: not supported: -1 is refused, at most 65536 is given"},
		"a capability that it has not":                  {service("cap_add: [CHOWN, SYS_ADMIN]"), nil, "compose.yaml:4:5: services.web.cap_add: not supported: SYS_ADMIN is refused, as is anything but CHOWN,"},
		"a restart policy that is none":                 {service("restart: sometimes"), nil, "compose.yaml:4:5: services.web.restart: \"sometimes\" is no restart policy"},
		"a health check without a command":              {service("healthcheck: {test: [CMD]}"), nil, "compose.yaml:4:19: services.web.healthcheck.test: the health check has no command"},
		"a list instead of a name":                      {service("extends: [x]"), nil, "compose.yaml:4:5: services.web.extends: it names no service"},
		"an include that is no list":                    {service("tty: true") + "include: a.yaml\n", nil, "compose.yaml:5:1: include: must be a list"},
		"an include from elsewhere":                     {"include: ['oci://a/b']\n", nil, "compose.yaml:1:11: include.0: not supported: oci://a/b is not on this machine"},
		"ranges of two lengths":                         {service("ports: ['80-82:80-81']"), nil, "compose.yaml:4:13: services.web.ports.0: 80-82 and 80-81 are not as many ports"},
		"a service's name with a space":                 {"services: {'a b': {image: a}}", nil, "compose.yaml:1:12: services.a b: the name has other characters"},
		"a service's name that is a number":             {"services: {1: {image: a}}", nil, "compose.yaml:1:12: services.1: 1 is no text"},
		"a merge of no mapping":                         {service("<<: [1]"), nil, "compose.yaml:4:5: what << stands for is no mapping"},
		"a merge of a text":                             {service("<<: a"), nil, "compose.yaml:4:5: what << stands for is no mapping"},
		"a link to nothing":                             {service("links: ['db:x']"), nil, "compose.yaml:4:13: services.web.links.0: there is no service db here"},
		"an option that no mount has":                   {service("volumes: ['aa:/x:rw,readonly']") + "volumes: {aa: }", nil, "compose.yaml:4:15: services.web.volumes.0: \"readonly\" is no option of a mount"},
		"one value where a list belongs":                {service("ports: 80"), nil, "compose.yaml:4:5: services.web.ports: must be a list"},
		"a text where a mapping belongs":                {service("healthcheck: x"), nil, "compose.yaml:4:5: services.web.healthcheck: must be a mapping"},
		"a mapping where a text belongs":                {service("command: {a: b}"), nil, "compose.yaml:4:5: services.web.command: must be a text or a list"},
		"a mapping where a port belongs":                {service("ports: [{published: 80}]"), nil, "compose.yaml:4:13: services.web.ports.0: the port in the container is missing"},
		"a list where a value belongs":                  {service("labels: [[a]]"), nil, "compose.yaml:4:14: services.web.labels.0: what is written here has the wrong form"},
		"a quote that is never closed":                  {service("command: 'a \"b'"), nil, "compose.yaml:4:5: services.web.command: a quote is opened and never closed"},
		"two limits that differ":                        {service("mem_limit: 5m\n    deploy: {resources: {limits: {memory: 6m}}}"), nil, "compose.yaml:4:5: services.web.mem_limit: mem_limit and deploy.resources.limits.memory say different things"},
		"an external volume with a driver":              {service("tty: true") + "volumes: {x: {external: true, driver: local}}", nil, "compose.yaml:5:31: volumes.x.driver: external and driver exclude each other"},
		"a config without a name":                       {service("configs: [{target: x}]"), nil, "compose.yaml:4:5: services.web.configs: a config is not named"},
		"an env file with a word in a name":             {service("env_file: [a.env]"), map[string]string{"a.env": "A=1\nB C=pw\n"}, "a.env:2:1: a name has a space in it"},
		"an env file with a quote that stays open":      {service("env_file: [a.env]"), map[string]string{"a.env": "A=1\n\nPW='secret"}, "a.env:3:1: a quote is opened and never closed"},
		"a tag that removes":                            {"services: {web: {image: a, ports: !reset []}}", nil, "compose.yaml:1:35: not supported: the tag !reset"},
		"a domain that nobody has":                      {service("domainname: [a]"), nil, "compose.yaml:4:5: services.web.domainname: "},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f, err := appfile.Load(t.Context(), tree(c.content, c.files))
			var ps appfile.Problems
			if !errors.As(err, &ps) || len(ps) != 1 {
				t.Fatalf("got %v, %v, want one problem", f, err)
			}
			if !strings.HasPrefix(ps[0].String(), c.want) {
				t.Errorf("got  %s\nwant %s", ps[0], c.want)
			}
			if ps[0].Remedy == "" || strings.HasSuffix(ps[0].Remedy, ".") {
				t.Errorf("the remedy is %q", ps[0].Remedy)
			}
		})
	}
}

// What is small can stand for much. None of these may take memory or time by what it stands for.
func TestBombs(t *testing.T) {
	chain := func(n int, line func(i int) string) string {
		b := &strings.Builder{}
		for i := range n {
			b.WriteString(line(i))
		}
		return b.String()
	}
	twice := map[string]string{}
	for i := range 60 {
		twice[fmt.Sprintf("%d.yaml", i)] = fmt.Sprintf("include: [%d.yaml, ./%d.yaml]\n", i+1, i+1)
	}
	twice["60.yaml"] = "services: {web: {image: a}}"
	big := strings.Repeat("x", 1<<19)
	cases := map[string]struct {
		content string
		files   map[string]string
		env     map[string]string
	}{
		"files that include two each":         {"include: [0.yaml]\n", twice, nil},
		"an env file of doublings":            {"services: {web: {image: a, env_file: a.env}}", map[string]string{"a.env": "A0=xxxxxxxxxxxxxxxx\n" + chain(60, func(i int) string { return fmt.Sprintf("A%d=$A%d$A%d\n", i+1, i, i) })}, nil},
		"a large service that many extend":    {"services:\n  s0: {image: a, labels: [" + chain(9000, func(i int) string { return fmt.Sprintf("l%d,", i) }) + "z]}\n" + chain(900, func(i int) string { return fmt.Sprintf("  s%d: {extends: s0}\n", i+1) }), nil, nil},
		"a large variable that is said often": {"services: {web: {image: a, labels: [" + chain(1000, func(i int) string { return fmt.Sprintf("'%d${BIG}',", i) }) + "z]}}", nil, map[string]string{"BIG": big}},
		"a chain of files that extend":        {"services: {web: {extends: {file: 0.yaml, service: a}}}", extending(300), nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			src := tree(c.content, c.files)
			if c.env != nil {
				src.Env = c.env
			}
			_, err := appfile.Load(t.Context(), src)
			var ps appfile.Problems
			if !errors.As(err, &ps) {
				t.Fatalf("got %v, want a problem", err)
			}
			if text := ps.Error(); !strings.Contains(text, "more than") || len(text) > 10_000 {
				t.Errorf("got %.1000s", text)
			}
		})
	}
}

func extending(n int) map[string]string {
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("%d.yaml", i)] = fmt.Sprintf("services: {a: {image: a, extends: {file: %d.yaml, service: a}}}", i+1)
	}
	return files
}

func TestServices(t *testing.T) {
	const app = `
services:
  web:
    image: web
    ports: ["80:80"]
    restart: "no"
    depends_on:
      job: {condition: service_completed_successfully}
      db: {condition: service_healthy}
      dev: {condition: service_started, required: false}
    healthcheck: {test: wget -q localhost, interval: 5s, start_period: 1m}
    networks: {front: {aliases: [www]}, back: }
    volumes:
      - ./data:/data
      - ./conf.d:/etc/web/conf.d
      - /etc/localtime:/etc/localtime:ro
      - /cache
      - {type: tmpfs, target: /run, tmpfs: {size: 1m}}
      - {type: volume, source: v, target: /v, volume: {nocopy: true, subpath: a/b}}
    configs: [{source: c, target: /c, mode: 0440}]
    shm_size: 1m
    group_add: [20, "10"]
    init: true
    stop_signal: "2"
    hostname: www
    extra_hosts: ["b=192.0.2.2", "a:2001:db8::1", "c=host-gateway"]
  job: {image: job, deploy: {restart_policy: {condition: on-failure, max_attempts: 3}}, networks: [back]}
  db: {image: db, healthcheck: {retries: 7}, networks: [back]}
  quiet: {image: db, healthcheck: {test: [NONE]}, networks: [back], entrypoint: "", command: []}
  dev: {image: dev, profiles: [dev]}
networks: {front: , back: {internal: true}}
volumes: {v: }
configs: {c: {content: hi}}
`
	src := tree(app, map[string]string{"data/": "", "conf.d/a.conf": "a", "conf.d/sub/b.conf": "b"})
	f, err := appfile.Load(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.Manifest(t.Context(), pins())
	if err == nil || !strings.Contains(err.Error(), "services.quiet.entrypoint: the entrypoint is empty, and so is the command") {
		t.Fatalf("an empty entrypoint and command: %v, %v", m, err)
	}
	src.Content = []byte(strings.Replace(app, `entrypoint: "", command: []`, `entrypoint: "", command: [run]`, 1))
	if f, err = appfile.Load(t.Context(), src); err != nil {
		t.Fatal(err)
	}
	if m, err = f.Manifest(t.Context(), pins()); err != nil {
		t.Fatal(err)
	}
	by := map[string]*manifestv1.Service{}
	for _, s := range m.Services {
		s.Env, s.Digest, s.Resources = nil, "", nil
		by[s.Name] = s
	}
	file := func(name, path string, mode uint32) *manifestv1.FileMount {
		return &manifestv1.FileMount{File: name, Path: path, Mode: mode}
	}
	want := map[string]*manifestv1.Service{
		"web": {
			Name: "web", Image: "web", Ports: []*manifestv1.Port{{Number: 80, Protocol: "tcp"}}, SharedMemoryBytes: 1 << 20, Groups: []int64{10, 20}, Init: true,
			Hostname: "www", Hosts: []*manifestv1.Host{{Name: "a", Address: "2001:db8::1"}, {Name: "b", Address: "192.0.2.2"}},
			DependsOn: []*manifestv1.Dependency{{Service: "db", Condition: manifestv1.Condition_CONDITION_HEALTHY}, {Service: "job", Condition: manifestv1.Condition_CONDITION_COMPLETED}},
			Health:    &manifestv1.Health{Command: []string{"/bin/sh", "-c", "wget -q localhost"}, IntervalMs: 5000, TimeoutMs: 30000, StartPeriodMs: 60000, Retries: 3},
			Networks:  []*manifestv1.Attachment{{Network: "back"}, {Network: "front", Aliases: []string{"www"}}},
			Mounts: []*manifestv1.Mount{
				{Volume: "web-cache", Path: "/cache"}, {Volume: "dir-data", Path: "/data"}, {Volume: "v", Path: "/v", NoCopy: true, Subpath: "a/b"},
			},
			Files: []*manifestv1.FileMount{
				file("config-c", "/c", 0o440), file("file-conf-d-a-conf", "/etc/web/conf.d/a.conf", 0o444), file("file-conf-d-sub-b-conf", "/etc/web/conf.d/sub/b.conf", 0o444),
			},
			MemoryMounts: []*manifestv1.MemoryMount{{Path: "/run", SizeBytes: 1 << 20}},
		},
		"job":   {Name: "job", Image: "job", Restart: manifestv1.Restart_RESTART_ON_FAILURE, RestartAttempts: 3, Networks: []*manifestv1.Attachment{{Network: "back"}}},
		"db":    {Name: "db", Image: "db", Networks: []*manifestv1.Attachment{{Network: "back"}}},
		"quiet": {Name: "quiet", Image: "db", Entrypoint: []string{"run"}, Networks: []*manifestv1.Attachment{{Network: "back"}}},
	}
	if diff := cmp.Diff(want, by, protocmp.Transform()); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	if want := []*manifestv1.Network{{Name: "back", Internal: true}, {Name: "front"}}; !cmp.Equal(want, m.Networks, protocmp.Transform()) {
		t.Errorf("networks: %v", m.Networks)
	}
	for _, note := range []string{"services.web.restart: no effect", "services.web.volumes.0: data becomes a volume", "services.web.volumes.2: no effect", "services.web.volumes.3: a volume without a name", "services.web.extra_hosts: no effect"} {
		if !slices.ContainsFunc(f.Notes, func(n appfile.Note) bool { return strings.Contains(n.String(), note) }) {
			t.Errorf("no note says %q: %v", note, f.Notes)
		}
	}
}
