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
		{`^service "(.+)" refers to undefined (volume|network|config|secret) (\S.*)$`, "services.$1.${2}s", "$2 $3 is not declared", "list $3 under ${2}s: at the top of the file"},
		{`^service "(.+)" depends on undefined service "?([^"]+)"?$`, "services.$1.depends_on.$2", "there is no service $2 here, or its profile is not on", "name a service that runs, remove it from depends_on, or add required: false"},
		{`^dependency cycle detected: ([^ ]+)(.*)$`, "services.$1.depends_on", "services wait for each other in a circle: $1$2", "remove one of the dependencies"},
		{`^service "(.+)" has neither an image nor a build context specified$`, "services.$1", "the service has no image", "write image: NAME"},
		{`^cannot extend service "(.+)" in .*: service "(.+)" not found$`, "services.$1.extends", "there is no service $2 here", "name a service of this file, or the file that has it: {file: FILE, service: $2}"},
		{`^(secret) "(.+)" must declare either .*$`, "secrets.$2", "the secret has no source", "write file: FILE or environment: NAME"},
		{`^service (.+) declares mutually exclusive .network_mode. and .networks.$`, "services.$1.network_mode", "network_mode and networks exclude each other", "remove network_mode"},
		{`^healthcheck.test must start either by .*$`, "services", "the test of a health check begins with none of CMD, CMD-SHELL and NONE", "write test: [CMD, PROGRAM, ARGUMENT], or one text that a shell runs"},
		{`^services\.(.+)\.(volumes|tmpfs)\[\d+\]: target (.+) already mounted as .*$`, "services.$1.$2", "two things are mounted at $3", "mount each at a path of its own"},
		{`^(services|networks|volumes|configs|secrets) (must be .*)$`, "$1", "$2", "write each with its name as the key, as in web: {image: web}"},
		{`^(services|networks|volumes|configs|secrets) additional properties '(.+)' not allowed$`, "$1.$2", "the name has other characters than letters, digits, dots, underscores and hyphens", "give it a name without them, here and where it is named"},
		{`^non-string key in (services|networks|volumes|configs|secrets): (.+)$`, "$1.$2", "$2 is no text", "put the name in quotes"},
		{`^(.+): can't set distinct values on '(.+)' and '(.+)'$`, "$1.$2", "$2 and $3 say different things", "keep one of the two"},
		{`^(.+): conflicting parameters "(.+)" and "(.+)" specified$`, "$1.$3", "$2 and $3 exclude each other", "keep one of the two"},
		{`^service "(.+)" refers to undefined (config|secret) $`, "services.$1.${2}s", "a $2 is not named", "write source: NAME, of one that is listed under ${2}s: at the top of the file"},
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
		key = regexp.MustCompile(`\.\[(\d+)\]`).ReplaceAllString(key, ".$1")
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
	if m := regexp.MustCompile(`^invalid ranges specified for container and host Ports: (\S+) and (\S+)$`).FindStringSubmatch(text); m != nil {
		if path := d.holding(m[2] + ":" + m[1]); path != nil {
			return d.problem(path, fmt.Sprintf("%s and %s are not as many ports", m[2], m[1]), "write ranges of the same length, or the container's alone")
		}
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
	for _, s := range loaderSentences() {
		pattern := regexp.MustCompile(s.pattern)
		if m := pattern.FindStringSubmatchIndex(text); m != nil {
			return string(pattern.ExpandString(nil, s.message, text, m)), string(pattern.ExpandString(nil, s.remedy, text, m))
		}
	}
	return text, composeHint
}

// loaderSentences are what the loader says of values, and what is meant by it.
func loaderSentences() []struct{ pattern, message, remedy string } {
	return []struct{ pattern, message, remedy string }{
		{`^strconv\.\w+: parsing (".*"): value out of range$`, "$1 is too large a number", "write a smaller one"},
		{`^strconv\.\w+: parsing (".*"): .*$`, "$1 is no number", "write a number without a unit"},
		{`^invalid boolean: (.*)$`, "$1 is neither true nor false", "write true or false"},
		{`^invalid (?:size|suffix): '(.*)'$`, "$1 is no size", "write a number with a unit, as in 512m"},
		{`^time: .* (?:in )?duration "?([^"]*)"?$`, "$1 is no duration", "write a number with a unit, as in 30s"},
		{`^invalid additional host, missing IP: (.*)$`, "$1 has no address", "write NAME=ADDRESS, as in api=192.0.2.1"},
		{`^must be a string$`, "must be one text", "write one text, in quotes if it looks like a number; a time with its unit, as in 30s"},
		{`^must be a mapping(?: or null)?$`, "must be a mapping", "write lines of the form KEY: VALUE below it"},
		{`^must be a array$`, "must be a list", "write a list, as in [A, B]"},
		{`^must be a null$`, "must be a text or a list", "write one text, or a list of words, as in [A, B]"},
		{`^must be a boolean, null, number or string$`, "must be one value", "write one text or number"},
		{`^must be a (number|integer)$`, "must be a number", "write a number without a unit or quotes"},
		{`^must be a integer or string$`, "must be one number", "write one number, or soft and hard, both"},
		{`^must be a boolean(?: or string)?$`, "must be true or false", "write true or false"},
		{`^value must be one of (.+)$`, "must be one of $1", "write one of these"},
		{`^('.*') does not match pattern '\[a-zA-Z0-9\].*'$`, "$1 can't be a name here", "use at least two letters, digits, dots, underscores or hyphens"},
		{`^('.*') does not match pattern .*$`, "$1 is none of the values that it can have", composeHint},
		{`^is missing a target port$`, "the port in the container is missing", "write target: NUMBER"},
		{`^is missing a mount target$`, "where it is mounted is missing", "write target: PATH"},
		{`^invalid command line string$`, "a quote is opened and never closed", "close it, or write a list of words, as in [A, B]"},
		{`^(?:unexpected|invalid|unsupported) .*$`, "what is written here has the wrong form", "write one text, as in the short forms of Compose"},
		{`^file\|environment(\|content)? attributes are mutually exclusive$`, "it has more than one source", "keep one of them"},
		{`^one of file\|environment(\|content)? must be set$`, "it has no source", "write file: FILE or environment: NAME"},
	}
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
