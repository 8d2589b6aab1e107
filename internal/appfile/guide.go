// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"fmt"
	"io"
	"strings"

	"github.com/compose-spec/compose-go/v2/schema"
	"github.com/docker/go-units"

	"github.com/apocryph/apocryph/internal/manifest"
)

//go:generate go run ./guide ../../docs/guide/compose.md

// WriteGuide writes docs/guide/compose.md: what becomes of every key, from Rules.
func WriteGuide(w io.Writer) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, `<!-- Generated from internal/appfile by go generate ./internal/appfile; do not edit. -->
# The app file

An app file is a [Compose](https://github.com/compose-spec/compose-spec/blob/main/spec.md) file of at most %s. `+"`apocryph deploy FILE`"+`
reads it, checks every key, and stops at the first file that asks for something that would silently be missing: each key is **honoured**,
**accepted** (it has no effect here, and a note says why), or **refused** with file, line, column and remedy. Keys that Compose itself does not know
are refused too, except those that begin with x-, which Compose ignores.

Variables (`+"`${NAME}`"+`, with all of Compose's operators) come from the environment and from a file .env beside the app file, or from those that
--env-file names. One without a value and without a default is an error. Services of a profile run when --profile or COMPOSE_PROFILES names it.

`+"`apocryph check FILE`"+` gives the verdict offline: what would be made and reserved, or what is wrong, where, and what to do. It ends with 0 if the file
can be deployed, 1 if it is refused, and 2 if there is no verdict. `+"`apocryph deploy`"+` begins with the same.

## Files that are read

Of a directory the first of compose.yaml, compose.yml, docker-compose.yml and docker-compose.yaml is read, and merged over it the override file
beside it (compose.override.yml, …) unless -f names others. COMPOSE_FILE, also in .env, names other files for a directory.

As Compose does, this reads what include, extends, env_file, configs and secrets name, wherever that lies, and merges files given by -f.
Everything together may be %d files and %s. What is mounted from beside the app file (`+"`./nginx.conf:/etc/nginx/nginx.conf`"+`) is sent with the
app: files of at most %s each, %d in all, never through a link that leads out of the app file's directory. The app's environment and files have at most
%s together. They are part of the manifest, which leaves this machine only to an enclave whose evidence was verified.

A directory that is mounted, and is missing or empty, becomes a volume: on your machine it would be filled by the service. One with files
needs :ro, unless it is mounted below /etc or at a path that ends in .d and has nothing but configuration by its files' names. Then its files are
sent; else it is refused.

## What volumes begin with

A new volume begins with what the image has where it is mounted, owners and modes included, unless the mount says volume: {nocopy: true}. Of
services that share one, the first to start whose image has something there provides it. Where no image has anything, every service that mounts
the volume may write to it, whatever user it runs as.

A volume grows when its size does, at the latest when nothing that mounts it runs next, and never shrinks; what it has counts. One that leaves the app file is kept, and paid for: `+"`apocryph volume ls`"+` shows it, and
`+"`apocryph volume rm`"+` deletes it. What is in a volume can be read and written as a tar stream until the app ends, whether it runs or not:
`+"`apocryph volume get`"+` and `+"`apocryph volume put`"+`.

## Updates

Only services that changed are touched. One without volumes gets its new version beside the old one, which goes when the new one is ready. One with
volumes stops first, for two must not write to one volume, and requests wait meanwhile. A new version that does not come up leaves the old one
serving, or has it put back when it was started three times in vain or is not ready after ten minutes; what it did to the volumes until then
stays. `+"`apocryph status`"+` says what is wrong, and deploying again, the same or something better, is the next try.

## Which service answers http

The only published TCP port answers http at the app's URL. Ports that never speak http (22, 5432, 6379 and such) do not count, nor does 443 beside 80
(or 8443 beside 8080, 8448 beside 8008, 9443 beside 9000). If none is left, the port that labels of a proxy (traefik's loadbalancer.server.port) or
VIRTUAL_PORT name is taken, or else the only one that is published on a loopback address: the provider is the proxy that it is meant for.
Otherwise say which:

`+"```yaml"+`
x-apocryph:
  http:
    service: web
    port: 8080
    host: shop   # optional: shop.<provider's domain>
`+"```"+`

Other ports are reached by the app's own services only, by service name.

## Being told

The provider can tell a webhook when funds run low or out and are enough again, when a service crashes again and again and when it has recovered,
and when the app ends:

`+"```yaml"+`
x-apocryph:
  notify: ${WEBHOOK}   # or, the same written out: {webhook: …}
`+"```"+`

It is an https URL that everybody can reach. What is hard to guess in it stays a secret between you and the enclave: the workload digest has only a
commitment to it, and whatever is said of it names its host alone; so keep it in .env. A deploy that changes nothing else restarts nothing, and has
the webhook told that it is one: `+"`apocryph status`"+` shows under Notified whether it took that. What is sent is in
[docs/protocol/notify.md](../protocol/notify.md).

## Sizes

What is reserved is also the limit, and is what is paid for.

| resource | where to say | if nothing is said |
|---|---|---|
| vCPU | cpus, deploy.resources.limits.cpus | %d.%03d |
| memory | mem_limit, deploy.resources.limits.memory | %s |
| writable root file system | x-apocryph: {ephemeral: 2GiB} in the service | %s |
| volume | x-apocryph: {size: 10GiB} in the volume | %s |
| GPU | gpus, deploy.resources.reservations.devices | none |
| other extended resources | x-apocryph: {resources: {example.org/fpga: 1}} in the service | none |
| egress per second | x-apocryph: {egress: 1MiB} in the file | 256KiB |
| directory in memory | size= in tmpfs, tmpfs.size | %s, half of the service's memory at most |
| /dev/shm | shm_size | the provider's own, 64MiB as a rule |

Directories in memory count as the service's memory, and are added to it where the file does not state that.
Egress is not reserved: what leaves the provider's cluster is paid for as it does. What is said is how much of it the channel's cap has room for, on
average; an app that sends more [sleeps](../protocol/bills.md) until it has caught up.

`, units.BytesSize(MaxSize), maxReads, units.BytesSize(maxBytes), units.BytesSize(manifest.MaxFileBytes), manifest.MaxFiles, units.BytesSize(manifest.MaxSize), DefaultMilliCPU/1000, DefaultMilliCPU%1000, units.BytesSize(DefaultMemoryBytes), units.BytesSize(DefaultEphemeralBytes), units.BytesSize(DefaultVolumeBytes), units.BytesSize(defaultTmpfsBytes))

	for _, section := range []struct {
		title string
		rules []Rule
	}{
		{"The file", fileRules()},
		{"Services", serviceRules()},
		{"Isolation and the machine", isolationRules()},
		{"Resources and deploy", deployRules()},
		{"Volumes", volumeRules()},
		{"Networks", networkRules()},
		{"x-apocryph", ownRules()},
	} {
		fmt.Fprintf(b, "## %s\n\n| key | verdict | why | refused, and what to do |\n|---|---|---|---|\n", section.title)
		for _, r := range section.rules {
			fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", r.Key, r.Verdict, r.Why, remedyCell(r))
		}
		b.WriteString("\n")
	}
	writeInherited(b)
	_, err := io.WriteString(w, b.String())
	return err
}

func remedyCell(r Rule) string {
	switch {
	case r.Verdict == Refused:
		return r.Remedy
	case r.When != "":
		return r.When + ": " + r.Remedy
	case r.Remedy != "":
		return r.Remedy
	}
	return ""
}

// writeInherited lists the keys that no rule is about: they share the verdict of the key that they are in.
func writeInherited(b *strings.Builder) {
	b.WriteString("## Every other key\n\nThese have the verdict of the key that they are in.\n\n| key | as | verdict |\n|---|---|---|\n")
	book := newRuleBook()
	for _, p := range schema.AttributePaths() {
		key := string(p)
		if book.has(key) {
			continue
		}
		for above := key; above != ""; {
			i := strings.LastIndexByte(above, '.')
			above = above[:max(i, 0)]
			if r, ok := book.rules[above]; ok {
				fmt.Fprintf(b, "| `%s` | `%s` | %s |\n", key, above, r.Verdict)
				break
			}
		}
	}
}
