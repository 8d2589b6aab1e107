// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// Change is one difference between two versions of an app.
type Change struct {
	// Service is the service's name; empty for what is the app's.
	Service string `json:"service,omitempty"`
	// What is the key of the app file, as in image or environment.TZ.
	What string `json:"what"`
	// Before and After are its values; an empty one is not there. Those of environment variables and files are never shown.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// String is one line.
func (c Change) String() string {
	at := c.What
	if c.Service != "" {
		at = strings.TrimSuffix(c.Service+"."+c.What, ".")
	}
	switch {
	case c.Before == "":
		return fmt.Sprintf("+ %s: %s", at, c.After)
	case c.After == "":
		return fmt.Sprintf("- %s: %s", at, c.Before)
	}
	return fmt.Sprintf("~ %s: %s → %s", at, c.Before, c.After)
}

// Diff returns what differs between two manifests: what is the app's first, then service by service.
func Diff(before, after *manifestv1.Manifest) []Change {
	var all []Change
	all = append(all, parts("", appParts(before), appParts(after))...)
	was, is := byName(before), byName(after)
	for _, name := range keysOf(was, is) {
		switch {
		case was[name] == nil:
			all = append(all, Change{Service: name, After: "new, of image " + is[name].Image})
		case is[name] == nil:
			all = append(all, Change{Service: name, Before: "removed, of image " + was[name].Image})
		default:
			all = append(all, parts(name, serviceParts(was[name]), serviceParts(is[name]))...)
		}
	}
	return all
}

func byName(m *manifestv1.Manifest) map[string]*manifestv1.Service {
	all := map[string]*manifestv1.Service{}
	for _, s := range m.GetServices() {
		all[s.Name] = s
	}
	return all
}

// keysOf are the keys of either map, sorted.
func keysOf[V any](a, b map[string]V) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b)))))
}

// part is something that can differ: what to compare, and what of it to show.
type part struct{ same, shown string }

func plain(text string) part { return part{text, text} }

// parts compares by key, in the order of the keys.
func parts(service string, before, after map[string]part) []Change {
	var all []Change
	for _, key := range keysOf(before, after) {
		was, is := before[key], after[key]
		if was.same != is.same {
			all = append(all, Change{Service: service, What: key, Before: was.shown, After: is.shown})
		}
	}
	return all
}

// secret shows that something is there, and whether it is still the same, but not what it is.
func secret(value, salt []byte) part {
	return part{same: fmt.Sprintf("%x %x", salt, value), shown: fmt.Sprintf("(%d bytes)", len(value))}
}

func appParts(m *manifestv1.Manifest) map[string]part {
	all := map[string]part{}
	for _, v := range m.GetVolumes() {
		all["volumes."+v.Name] = plain(units.BytesSize(float64(v.SizeBytes)))
	}
	for _, f := range m.GetFiles() {
		all["files."+f.Name] = secret(f.Content, f.Salt)
	}
	for _, n := range m.GetNetworks() {
		all["networks."+n.Name] = plain(map[bool]string{true: "internal", false: "open"}[n.Internal])
	}
	if n := m.GetNotify(); n != nil {
		all["notify"] = part{same: secret([]byte(n.Webhook), n.Salt).same, shown: "(a webhook)"}
		if w, err := manifest.ParseWebhook(n.Webhook); err == nil {
			all["notify"] = part{all["notify"].same, "a webhook at " + w.Host}
		}
	}
	if h := m.GetHttp(); h != nil {
		all["http"] = plain(strings.TrimSpace(fmt.Sprintf("%s:%d %s", h.Service, h.Port, h.Host)))
	}
	return all
}

// serviceParts takes every field that a service has, so that none is forgotten.
func serviceParts(s *manifestv1.Service) map[string]part {
	all := map[string]part{}
	for _, e := range s.GetEnv() {
		all["environment."+e.Name] = secret([]byte(e.Value), e.Salt)
	}
	image := s.GetImage()
	if digest := s.GetDigest(); len(digest) > shownDigest {
		image += " " + digest[:shownDigest]
	}
	all["image"] = part{same: s.GetDigest(), shown: image}
	s.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch f.Name() {
		case "name", "image", "digest", "env":
		default:
			all[composeKey(f)] = plain(show(f, v))
		}
		return true
	})
	return all
}

const shownDigest = len("sha256:") + 12

// composeKey is how app files call a field, where that is another name.
func composeKey(f protoreflect.FieldDescriptor) string {
	name := string(f.Name())
	return cmp.Or(map[string]string{
		"mounts": "volumes", "files": "configs", "memory_mounts": "tmpfs", "shared_memory_bytes": "shm_size", "health": "healthcheck", "groups": "group_add",
		"hosts": "extra_hosts", "stop_grace_seconds": "stop_grace_period", "restart_attempts": "restart attempts",
	}[name], name)
}

func show(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch {
	case f.IsList() && f.Message() != nil:
		var items []string
		for i := range v.List().Len() {
			items = append(items, compact(v.List().Get(i).Message().Interface()))
		}
		return strings.Join(items, ", ")
	case f.IsList():
		var items []string
		for i := range v.List().Len() {
			items = append(items, fmt.Sprintf("%q", v.List().Get(i).Interface()))
		}
		return strings.Join(items, " ")
	case f.Message() != nil:
		return compact(v.Message().Interface())
	case f.Enum() != nil:
		number := f.Enum().Values().ByNumber(v.Enum())
		if number == nil {
			return fmt.Sprint(v.Enum())
		}
		return strings.ToLower(string(number.Name()))
	}
	return fmt.Sprint(v.Interface())
}

// compact is a message as JSON in a fixed form: protojson's own varies in its spaces.
func compact(m proto.Message) string {
	raw, err := protojson.Marshal(m)
	if err != nil {
		return err.Error()
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return err.Error()
	}
	out, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(out)
}
