// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
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
		{`^(services|networks|volumes|configs|secrets) (must be .*)$`, "$1", "$2", "write each with its name as the key, as in web: {image: web}"},
		{`^service "(.+)" not found for network_mode .*$`, "services", "there is no service $1 whose network could be used", "remove network_mode: services reach each other by name"},
	}
}

// composeHint is where to look when nothing better is known.
const composeHint = "see the Compose specification: https://github.com/compose-spec/compose-spec/blob/main/spec.md"

// loaderProblems gives what the Compose loader finds places and sentences. Most is one error; what can't be decoded is a list of them.
func (d *document) loaderProblems(err error) Problems {
	text := firstLine(err)
	if strings.HasPrefix(text, "decoding failed") {
		var found Problems
		for _, m := range regexp.MustCompile(`(?m)^'([^']+)' (.+)$`).FindAllStringSubmatch(err.Error(), -1) {
			message, remedy := sentence(m[2])
			found = append(found, d.problem(bracketed(m[1]), message, remedy))
		}
		if len(found) > 0 {
			return found
		}
	}
	if rest, ok := strings.CutPrefix(text, "validating "); ok {
		_, rest, _ = strings.Cut(rest, ": ")
		text = cmpOr(rest, text)
	}
	return Problems{d.loaderProblem(strings.TrimSuffix(text, ": invalid compose project"))}
}

func (d *document) loaderProblem(text string) Problem {
	for _, e := range loaderErrors() {
		pattern := regexp.MustCompile(e.pattern)
		if m := pattern.FindStringSubmatchIndex(text); m != nil {
			fill := func(template string) string { return string(pattern.ExpandString(nil, template, text, m)) }
			return d.problem(d.split(fill(e.key)), fill(e.message), fill(e.remedy))
		}
	}
	for _, word := range strings.Fields(text) {
		// Of an item the loader says only that it is one.
		key, _, _ := strings.Cut(strings.Trim(word, ":\"'"), ".[]")
		path := d.split(key)
		if len(path) > 1 && d.where(path[:1]) != (position{}) {
			_, rest, _ := strings.Cut(text, word)
			message, remedy := sentence(cmpOr(strings.TrimSpace(strings.TrimLeft(rest, ": ")), "not as Compose wants it"))
			return d.problem(path, message, remedy)
		}
	}
	if m := regexp.MustCompile(`service "?([A-Za-z0-9._-]+)"?`).FindStringSubmatch(text); m != nil {
		return d.problem([]string{"services", m[1]}, text, composeHint)
	}
	if m := regexp.MustCompile(`^invalid (?:containerPort|hostPort|IP address|proto|spec|port format|start port '[^']*'): (.+?)(?:: [a-z ]+)?$`).FindStringSubmatch(text); m != nil {
		if path := d.holding(m[1]); path != nil {
			return d.problem(path, fmt.Sprintf("%s is not as Compose wants it (%s)", m[1], strings.SplitN(text, ":", 2)[0]), "write HOST:CONTAINER ports from 1 to 65535, and volumes as NAME:PATH")
		}
	}
	return Problem{File: d.file, Message: text, Remedy: composeHint}
}

// holding finds the port or volume that has a text in it.
func (d *document) holding(text string) []string {
	var found []string
	d.scalars(func(path []string, n *yaml.Node) {
		if found == nil && len(path) > 3 && path[0] == "services" && slices.Contains([]string{"ports", "volumes"}, path[2]) && strings.Contains(n.Value, text) {
			found = path
		}
	})
	return found
}

// bracketed makes a path of services[web].ports[0].
func bracketed(key string) []string {
	var path []string
	for _, m := range regexp.MustCompile(`\[([^\]]*)\]|([^.\[\]]+)`).FindAllStringSubmatch(key, -1) {
		path = append(path, m[1]+m[2])
	}
	return path
}

// sentence says what the loader means by an error of the language that it is written in.
func sentence(text string) (message, remedy string) {
	text = strings.TrimPrefix(text, "failed to cast to expected type: ")
	for _, s := range []struct{ pattern, message, remedy string }{
		{`^strconv\.\w+: parsing (".*"): value out of range$`, "$1 is too large a number", "write a smaller one"},
		{`^strconv\.\w+: parsing (".*"): .*$`, "$1 is no number", "write a number without a unit"},
		{`^invalid boolean: (.*)$`, "$1 is neither true nor false", "write true or false"},
		{`^invalid (?:size|suffix): '(.*)'$`, "$1 is no size", "write a number with a unit, as in 512m"},
		{`^time: .* (?:in )?duration "?([^"]*)"?$`, "$1 is no duration", "write a number with a unit, as in 30s"},
		{`^invalid additional host, missing IP: (.*)$`, "$1 has no address", "write NAME=ADDRESS, as in api=192.0.2.1"},
		{`^(must be a string)$`, "$1", "put it in quotes, and give a time its unit, as in 30s"},
	} {
		pattern := regexp.MustCompile(s.pattern)
		if m := pattern.FindStringSubmatchIndex(text); m != nil {
			return string(pattern.ExpandString(nil, s.message, text, m)), s.remedy
		}
	}
	return text, composeHint
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
