// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"regexp"
	"strings"
)

// loaderErrors are what the Compose loader finds, which gives places and names in its text alone. In key and remedy $1, $2 … are what the
// pattern's groups matched.
func loaderErrors() []struct{ pattern, key, message, remedy string } {
	return []struct{ pattern, key, message, remedy string }{
		{`^service "(.+)" refers to undefined (volume|network|config|secret) (.+)$`, "services.$1.${2}s", "$2 $3 is not declared", "list $3 under ${2}s: at the top of the file"},
		{`^service "(.+)" depends on undefined service "?([^"]+)"?$`, "services.$1.depends_on.$2", "there is no service $2 here, or its profile is not on", "name a service that runs, remove it from depends_on, or add required: false"},
		{`^dependency cycle detected: ([^ ]+)(.*)$`, "services.$1.depends_on", "services wait for each other in a circle: $1$2", "remove one of the dependencies"},
		{`^service "(.+)" has neither an image nor a build context specified$`, "services.$1", "the service has no image", "write image: NAME"},
		{`^cannot extend service "(.+)" in .*: service "(.+)" not found$`, "services.$1.extends", "there is no service $2 here", "name a service of this file, or the file that has it: {file: FILE, service: $2}"},
		{`^(secret) "(.+)" must declare either .*$`, "secrets.$2", "the secret has no source", "write file: FILE or environment: NAME"},
		{`^service (.+) declares mutually exclusive .network_mode. and .networks.$`, "services.$1.network_mode", "network_mode and networks exclude each other", "remove network_mode"},
		{`^healthcheck.test must start either by .*$`, "services", "the test of a health check begins with none of CMD, CMD-SHELL and NONE", "write test: [CMD, PROGRAM, ARGUMENT], or one text that a shell runs"},
		{`^services\.(.+)\.(volumes|tmpfs)\[\d+\]: target (.+) already mounted as .*$`, "services.$1.$2", "two things are mounted at $3", "mount each at a path of its own"},
		{`^service "(.+)" not found for network_mode .*$`, "services", "there is no service $1 whose network could be used", "remove network_mode: services reach each other by name"},
	}
}

// loaderProblem gives the Compose loader's error a place.
func (d *document) loaderProblem(err error) Problem {
	text := firstLine(err)
	if rest, ok := strings.CutPrefix(text, "validating "); ok {
		_, rest, _ = strings.Cut(rest, ": ")
		text = cmpOr(rest, text)
	}
	text = strings.TrimSuffix(text, ": invalid compose project")
	for _, e := range loaderErrors() {
		pattern := regexp.MustCompile(e.pattern)
		if m := pattern.FindStringSubmatchIndex(text); m != nil {
			fill := func(template string) string { return string(pattern.ExpandString(nil, template, text, m)) }
			return d.problem(d.split(fill(e.key)), fill(e.message), fill(e.remedy))
		}
	}
	remedy := "see the Compose specification: https://github.com/compose-spec/compose-spec/blob/main/spec.md"
	for _, word := range strings.Fields(text) {
		path := d.split(strings.Trim(word, ":\"'"))
		if len(path) > 1 && d.where(path[:1]) != (position{}) {
			_, rest, _ := strings.Cut(text, word)
			return d.problem(path, cmpOr(strings.TrimSpace(strings.TrimLeft(rest, ": ")), "not as Compose wants it"), remedy)
		}
	}
	if m := regexp.MustCompile(`service "?([A-Za-z0-9._-]+)"?`).FindStringSubmatch(text); m != nil {
		return d.problem([]string{"services", m[1]}, text, remedy)
	}
	return Problem{File: d.file, Message: text, Remedy: remedy}
}

// split makes a path of a dotted key, where names that have dots themselves are found among what is written.
func (d *document) split(key string) []string {
	var path []string
	parts := strings.Split(key, ".")
	for len(parts) > 0 {
		n := 1
		for n < len(parts) {
			if _, written := d.at[strings.Join(append(path[:len(path):len(path)], strings.Join(parts[:n], ".")), pathSeparator)]; written {
				break
			}
			n++
		}
		if n == len(parts) && n > 1 {
			n = 1
		}
		path = append(path, strings.Join(parts[:n], "."))
		parts = parts[n:]
	}
	return path
}
