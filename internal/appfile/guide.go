// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"fmt"
	"io"
	"strings"

	"github.com/docker/go-units"
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

Variables (`+"`${NAME}`"+`) come from the environment and from a file .env beside the app file. One without a value and without a default
is an error.

## Which service answers http

The only published TCP port answers http at the app's URL. If several are published, or none, say which:

`+"```yaml"+`
x-apocryph:
  http:
    service: web
    port: 8080
    host: shop   # optional: shop.<provider's domain>
`+"```"+`

Other ports are reached by the app's own services only, by service name.

## Sizes

What is reserved is also the limit, and is what is paid for.

| resource | where to say | if nothing is said |
|---|---|---|
| vCPU | cpus, deploy.resources.limits.cpus | %d.%03d |
| memory | mem_limit, deploy.resources.limits.memory | %s |
| writable root file system | x-apocryph: {ephemeral: 2GiB} in the service | %s |
| volume | x-apocryph: {size: 10GiB} in the volume | %s |

`, units.BytesSize(MaxSize), DefaultMilliCPU/1000, DefaultMilliCPU%1000, units.BytesSize(DefaultMemoryBytes), units.BytesSize(DefaultEphemeralBytes), units.BytesSize(DefaultVolumeBytes))

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
	b.WriteString("A key without a line of its own has the verdict of the one that it is in.\n")
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
