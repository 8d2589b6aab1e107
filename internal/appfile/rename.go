// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A name that no host can have, my_db say, becomes one that it can, my-db, and so does what names it: see
// docs/adr/host-names-without-underscores.md. That is done only where a host is certainly meant.

// near is how many bytes around a name are looked at: what is further away says nothing.
const near = 200

// saying is a text of a service, or a file, that may name hosts.
type saying struct {
	// service is whose it is, "" for a file's.
	service string
	// what it is, for people, and the variable's name, if it is one's value.
	what, variable string
	// before is the word in front of it, of a command in words.
	before string
	text   *string
}

// sayings are all texts that the app's programs read.
func (f *File) sayings() []saying {
	var all []saying
	for _, service := range f.serviceNames() {
		s := f.project.Services[service]
		for i := range f.env[service] {
			v := &f.env[service][i]
			all = append(all, saying{service: service, what: v.name + " of " + service, variable: v.name, text: &v.value})
		}
		words := map[string][]string{"command": s.Command, "entrypoint": s.Entrypoint}
		if s.HealthCheck != nil {
			words["healthcheck"] = s.HealthCheck.Test
		}
		for _, what := range slices.Sorted(maps.Keys(words)) {
			before := ""
			for i := range words[what] {
				all = append(all, saying{service: service, what: what + " of " + service, before: before, text: &words[what][i]})
				before = words[what][i]
			}
		}
	}
	for _, o := range f.files {
		text := string(o.content)
		all = append(all, saying{what: "file " + o.source, text: &text})
	}
	return all
}

// rename writes label for a service's name wherever a host of that name is meant, and returns where. It changes nothing, and returns the
// places that are in doubt, if others than the service itself say the name otherwise.
func (f *File) rename(service, name, label string) (changed, doubtful []string) {
	all, p := f.sayings(), hostPlaces()
	for _, s := range all {
		if s.service != service && !s.isOther(name) && slices.ContainsFunc(occurrences(*s.text, name), func(at int) bool { return !p.meansHost(s, at, name) }) {
			doubtful = append(doubtful, s.what)
		}
	}
	if len(doubtful) > 0 {
		return nil, doubtful
	}
	for i, s := range all {
		is, from := &strings.Builder{}, 0
		for _, at := range occurrences(*s.text, name) {
			if p.meansHost(s, at, name) {
				is.WriteString((*s.text)[from:at] + label)
				from = at + len(name)
			}
		}
		if from == 0 {
			continue
		}
		*s.text = is.String() + (*s.text)[from:]
		changed = append(changed, s.what)
		if n := len(all) - len(f.files); i >= n {
			f.files[i-n].content = []byte(*s.text)
		}
	}
	return slices.Compact(changed), nil
}

// isOther reports whether a value is a name, but hardly a host's: a database or a user is often called as the app is.
func (s saying) isOther(name string) bool {
	return strings.EqualFold(*s.text, name) && slices.ContainsFunc([]string{"DB", "DATABASE", "USER", "USERNAME", "PASSWORD", "_NAME"}, func(suffix string) bool {
		return strings.HasSuffix(strings.ToUpper(s.variable), suffix)
	})
}

// places are the patterns by which a host is told from any other word.
type places struct{ port, said, flag, variable *regexp.Regexp }

func hostPlaces() places {
	const (
		words = `(?:hosts?|hostname|servers?|addr(?:ess)?|endpoints?|brokers?|data source|upstream|proxy_pass|reverse_proxy)`
		flag  = `(?:-h|--?(?:[a-z-]*-)?` + words + `)`
	)
	return places{
		port: regexp.MustCompile(`^:(?:[0-9]|\$)`),
		said: regexp.MustCompile(`(?i)` + words + `["']?\s*(?:=>|[=:])\s*["'\[]*$|(?:^|\s)` + flag + `[\s=]+["']?$|(?:^|\s)(?:server|reverse_proxy)\s+$|` +
			`\b(?:nc|ncat|telnet|ping|nslookup|getent hosts|curl|wget|wait-for(?:-it)?(?:\.sh)?)\s+(?:-\S+\s+(?:[0-9]+\s+)?)*$`),
		flag:     regexp.MustCompile(`(?i)^` + flag + `$`),
		variable: regexp.MustCompile(`(?i)(?:^|_)(?:host|hostname|server|addr|address|url|uri|endpoint|broker|upstream)$`),
	}
}

// meansHost reports whether a name stands where only a host can: in a URL, before a port, or after a word for it.
func (p places) meansHost(s saying, at int, name string) bool {
	before, after := (*s.text)[max(0, at-near):at], (*s.text)[at+len(name):min(len(*s.text), at+len(name)+near)]
	switch {
	case strings.HasSuffix(before, "//"), strings.HasSuffix(before, "@") && !strings.HasSuffix(before, " @"):
		return true
	case p.port.MatchString(after), p.said.MatchString(before):
		return true
	case strings.Trim(before, ` "'`) == "" && p.flag.MatchString(s.before):
		return true
	}
	return len(*s.text) < len(name)+near && strings.EqualFold(strings.TrimSpace(*s.text), name) && p.variable.MatchString(s.variable)
}

// occurrences are where a text has a name as a whole word that is not within a path, nor before a host.
func occurrences(text, name string) []int {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789_-."
	text, name = lower(text), lower(name)
	user := regexp.MustCompile("^[^\\s/\"'?#,@]*@")
	var all []int
	for from := 0; name != ""; {
		at := strings.Index(text[from:], name)
		if at < 0 {
			break
		}
		at += from
		before, after := text[:at], text[at+len(name):]
		isPath := strings.HasSuffix(before, "/") && !strings.HasSuffix(before, "//")
		isPart := before != "" && strings.Contains(letters, before[len(before)-1:]) || after != "" && strings.Contains(letters, after[:1])
		// Before @ is who comes to a host, and their password.
		isUser := user.MatchString(after[:min(len(after), near)])
		if !isPath && !isPart && !isUser {
			all = append(all, at)
		}
		from = at + 1
	}
	return all
}

// lower makes small letters of ASCII's capitals, and keeps every place.
func lower(text string) string {
	b := []byte(text)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// listText names at most a few places.
func listText(all []string) string {
	const most = 6
	if len(all) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
	}
	return strings.Join(all, ", ")
}
