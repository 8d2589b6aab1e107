// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"slices"
	"strings"
)

// isMentioned reports whether another service, or a file, has a text in it, in capitals or not.
func (f *File) isMentioned(name, text string) bool {
	text = strings.ToLower(text)
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	return slices.ContainsFunc(f.serviceNames(), func(other string) bool {
		return other != name && slices.ContainsFunc(f.words(other), func(v variable) bool { return has(v.value) })
	}) || slices.ContainsFunc(f.files, func(o *file) bool { return has(string(o.content)) })
}

// isSaid reports whether another service, or a file, looks for a host of that name.
func (f *File) isSaid(name, host string) bool {
	return f.filesSay(host) || slices.ContainsFunc(f.serviceNames(), func(other string) bool { return other != name && f.says(other, host) })
}

func (f *File) filesSay(host string) bool {
	return slices.ContainsFunc(f.files, func(o *file) bool { return saysHost(string(o.content), host) })
}

// says reports whether a service's variables, command or health check look for a host of that name.
func (f *File) says(name, host string) bool {
	return slices.ContainsFunc(f.words(name), func(v variable) bool {
		return !saying{variable: v.name, text: &v.value}.isOther(host) && saysHost(v.value, host)
	})
}

// words are the texts of a service that its program reads; those that are no variables have no name.
func (f *File) words(name string) []variable {
	s := f.project.Services[name]
	all := slices.Clone(f.env[name])
	texts := slices.Concat([]string(s.Command), []string(s.Entrypoint))
	if s.HealthCheck != nil {
		texts = append(texts, s.HealthCheck.Test...)
	}
	for _, text := range texts {
		all = append(all, variable{"", text})
	}
	return all
}

// saysHost reports whether a text has a name where a host's would be.
func saysHost(text, name string) bool { return len(occurrences(text, name)) > 0 }
