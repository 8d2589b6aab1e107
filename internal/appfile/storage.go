// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/go-units"
	"go.yaml.in/yaml/v4"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// storage is what a service mounts.
type storage struct {
	mounts []*manifestv1.Mount
	files  []*manifestv1.FileMount
	memory []*manifestv1.MemoryMount
	// at says where in the service each path is written.
	at map[string][]string
}

// file is a small one that services mount.
type file struct {
	// name is its label, source says for people where it came from.
	name, source string
	content      []byte
}

// storageCheck reads what one service mounts.
type storageCheck struct {
	serviceCheck
	r *reader
	s types.ServiceConfig
	*storage
}

// readStorage reads every volume, file and directory in memory that services mount.
func (f *File) readStorage(r *reader) Problems {
	f.storage, f.volumes = map[string]*storage{}, map[string]uint64{}
	var found Problems
	for _, name := range f.serviceNames() {
		c := &storageCheck{serviceCheck{f: f, name: name}, r, f.project.Services[name], &storage{at: map[string][]string{}}}
		for _, read := range []func(){c.readVolumes, c.readTmpfs, c.readConfigs, c.readSecrets, c.finish} {
			read()
		}
		f.storage[name] = c.storage
		found = append(found, c.problems...)
	}
	if len(f.files) > manifest.MaxFiles {
		found = append(found, f.doc.problem([]string{"services"}, fmt.Sprintf("the services mount %d files, at most %d", len(f.files), manifest.MaxFiles), "put the files into the image"))
	}
	return found
}

// take claims a path for one mount, and reports whether something can be mounted there.
func (c *storageCheck) take(target string, at ...string) (string, bool) {
	clean := path.Clean(target)
	switch _, taken := c.at[clean]; {
	case !strings.HasPrefix(target, "/") || !manifest.IsPath(clean) || strings.Contains(target, "/../"):
		c.problem(fmt.Sprintf("%q is no absolute path to mount at", target), "write an absolute path below /, without .. and :", at...)
		return "", false
	case taken:
		c.problem(fmt.Sprintf("two things are mounted at %s", clean), "mount each at a path of its own", at...)
		return "", false
	}
	c.at[clean] = at
	return clean, true
}

func (c *storageCheck) readVolumes() {
	for i, v := range c.s.Volumes {
		at := []string{"volumes", strconv.Itoa(i)}
		switch v.Type {
		case types.VolumeTypeVolume:
			c.readVolume(v, at)
		case types.VolumeTypeBind:
			c.readBind(v, at)
		case types.VolumeTypeTmpfs:
			size := uint64(0)
			if v.Tmpfs != nil {
				size = uint64(max(0, v.Tmpfs.Size))
			}
			c.inMemory(v.Target, size, at...)
		case types.VolumeTypeImage, types.VolumeTypeNamedPipe, types.VolumeTypeCluster: // the rules have said so
		default:
			c.problem(fmt.Sprintf("not supported: a mount of type %s", v.Type), "use a named volume", at...)
		}
	}
}

func (c *storageCheck) readVolume(v types.ServiceVolumeConfig, at []string) {
	target, ok := c.take(v.Target, at...)
	if !ok {
		return
	}
	m := &manifestv1.Mount{Path: target, ReadOnly: v.ReadOnly}
	size := uint64(DefaultVolumeBytes)
	if v.Source == "" {
		if c.f.copies(c.name) > 1 {
			c.problem("each replica would need a volume of its own", "give the volume a name, if they may share it", at...)
		}
		m.Volume = c.f.volumeName(c.f.label(c.name)+"-"+target, "")
		c.f.note(c.path(at...), fmt.Sprintf("a volume without a name: it is kept, as %s", m.Volume))
	} else {
		m.Volume = Label(v.Source)
		if n, ok := c.f.sizes[v.Source]; ok {
			size = n
		}
	}
	if v.Volume != nil {
		m.NoCopy, m.Subpath = v.Volume.NoCopy, strings.TrimPrefix(path.Clean("/"+v.Volume.Subpath), "/")
		if strings.Contains("/"+v.Volume.Subpath+"/", "/../") {
			c.problem("the subpath leads out of the volume", "write a path within it, without ..", append(at, "volume", "subpath")...)
		}
	}
	c.f.volumes[m.Volume] = size
	c.mounts = append(c.mounts, m)
}

// mountOptions finds options of short mounts that there are none of: the Compose loader leaves out what it does not know.
func (d *document) mountOptions() Problems {
	known := []string{
		"ro", "rw", "nocopy", "z", "Z", "U", "cached", "delegated", "consistent", "rprivate", "private", "rshared", "shared", "rslave", "slave",
	}
	var found Problems
	d.scalars(func(path []string, n *yaml.Node) {
		if len(path) != 4 || path[0] != "services" || path[2] != "volumes" || strings.Contains(n.Value, "$") {
			return
		}
		parts := strings.Split(n.Value, ":")
		if len(parts) != 3 || len(parts[0]) == 1 {
			return
		}
		for option := range strings.SplitSeq(parts[2], ",") {
			if !slices.Contains(known, option) {
				found = append(found, d.problem(path, fmt.Sprintf("%.80q is no option of a mount", option), "write ro, rw or nocopy after the second colon, or nothing"))
			}
		}
	})
	return found
}

// Shrinks finds the volumes that are smaller in the file than they are, by name: their data would have no place to go.
func (f *File) Shrinks(are map[string]uint64) Problems {
	var found Problems
	for _, name := range slices.Sorted(maps.Keys(f.volumes)) {
		if f.volumes[name] >= are[name] {
			continue
		}
		at := []string{"volumes"}
		for declared := range f.project.Volumes {
			if Label(declared) == name {
				at = append(at, declared)
				if _, says := f.sizes[declared]; says {
					at = append(at, extension, "size")
				}
			}
		}
		found = append(found, f.doc.problem(at, fmt.Sprintf("volume %s has %s, and can't shrink to %s", name, sizeText(are[name]), sizeText(f.volumes[name])),
			fmt.Sprintf("write size: %d or more below %s, or use a volume of another name", are[name], extension)))
	}
	return sortProblems(found)
}

// volumeName is a label that no volume of the file has, for one that it does not name.
func (f *File) volumeName(text, prefix string) string {
	name := cmpOr(Label(prefix+Label(text)), "data")
	for n := 2; ; n++ {
		taken := false
		for declared := range f.project.Volumes {
			taken = taken || Label(declared) == name
		}
		if !taken {
			return name
		}
		name = fmt.Sprintf("%s-%d", strings.TrimRight(name[:min(len(name), 60)], "-"), n)
	}
}

// inMemory adds a directory in memory.
func (c *storageCheck) inMemory(target string, size uint64, at ...string) {
	target, ok := c.take(target, at...)
	if !ok {
		return
	}
	if size == 0 {
		size = defaultTmpfsBytes
		if stated := c.memoryLimit(); stated > 0 {
			size = min(size, stated/2)
		}
	}
	c.memory = append(c.memory, &manifestv1.MemoryMount{Path: target, SizeBytes: size})
}

func (c *storageCheck) readTmpfs() {
	for i, text := range c.s.Tmpfs {
		at := []string{"tmpfs", strconv.Itoa(i)}
		target, options, _ := strings.Cut(text, ":")
		var size uint64
		for _, o := range strings.FieldsFunc(options, func(r rune) bool { return r == ',' }) {
			key, value, _ := strings.Cut(o, "=")
			if key != "size" {
				continue // who may do what in it: every user can write, and nobody can gain rights
			}
			n, err := units.RAMInBytes(value)
			if err != nil || n <= 0 {
				c.problem(fmt.Sprintf("%q is no size", value), "write a number with a unit, as in size=64m", at...)
				continue
			}
			size = uint64(n)
		}
		c.inMemory(target, size, at...)
	}
}

func (c *storageCheck) readConfigs() {
	for i, ref := range c.s.Configs {
		at := []string{"configs", strconv.Itoa(i)}
		content, from, ok := c.content(types.FileObjectConfig(c.f.project.Configs[ref.Source]), []string{"configs", ref.Source})
		if target, free := c.take(cmpOr(ref.Target, "/"+ref.Source), at...); ok && free {
			c.mountFile(target, c.f.file("config-"+ref.Source, from, content), modeOf(ref.Mode))
		}
	}
}

func (c *storageCheck) readSecrets() {
	for i, ref := range c.s.Secrets {
		at := []string{"secrets", strconv.Itoa(i)}
		target := cmpOr(ref.Target, ref.Source)
		if !path.IsAbs(target) {
			target = "/run/secrets/" + target
		}
		content, from, ok := c.content(types.FileObjectConfig(c.f.project.Secrets[ref.Source]), []string{"secrets", ref.Source})
		if target, free := c.take(target, at...); ok && free {
			c.mountFile(target, c.f.file("secret-"+ref.Source, from, content), modeOf(ref.Mode))
		}
	}
}

func modeOf(mode *types.FileMode) uint32 {
	if mode == nil || *mode&0o777 == 0 {
		return 0o444
	}
	return uint32(*mode & 0o777)
}

// content reads a config or a secret.
func (c *storageCheck) content(o types.FileObjectConfig, at []string) (content []byte, from string, ok bool) {
	bad := func(message, remedy string) ([]byte, string, bool) {
		c.problems = append(c.problems, c.f.doc.problem(at, message, remedy))
		return nil, "", false
	}
	switch {
	case bool(o.External): // the rules have said so
		return nil, "", false
	case o.File != "":
		read, err := c.r.read(o.File)
		if err != nil {
			return bad(fmt.Sprintf("file %s can't be read: %s", c.r.shown(o.File), err), "create the file, or correct its path")
		}
		content, from = read, c.r.shown(o.File)
	case o.Environment != "":
		value, set := c.r.src.Env[o.Environment]
		if !set {
			return bad(fmt.Sprintf("variable %s is not set", o.Environment), fmt.Sprintf("set it: export %s=…, or write it into .env beside the file", o.Environment))
		}
		content, from = []byte(value), "variable "+o.Environment
	case o.Content != "":
		content, from = []byte(o.Content), "content"
	default:
		return bad("it has no source", "write file: FILE, content: or environment: NAME")
	}
	if len(content) > manifest.MaxFileBytes {
		return bad(fmt.Sprintf("it has %d bytes, at most %d", len(content), manifest.MaxFileBytes), "put it into the image or a volume")
	}
	return content, from, true
}

// file returns the one with a source, made new if need be.
func (f *File) file(name, from string, content []byte) *file {
	label := cmpOr(Label(name), "file")
	base := label
	for n := 2; ; n++ {
		i := slices.IndexFunc(f.files, func(o *file) bool { return o.name == label })
		if i < 0 {
			f.files = append(f.files, &file{label, from, content})
			return f.files[len(f.files)-1]
		}
		if f.files[i].source == from && string(f.files[i].content) == string(content) {
			return f.files[i]
		}
		label = fmt.Sprintf("%s-%d", strings.TrimRight(base[:min(len(base), 58)], "-"), n)
	}
}

func (c *storageCheck) mountFile(target string, f *file, mode uint32) {
	c.files = append(c.files, &manifestv1.FileMount{File: f.name, Path: target, Mode: mode})
}

// finish puts everything in order and keeps it within what a manifest can say.
func (c *storageCheck) finish() {
	slices.SortFunc(c.mounts, func(a, b *manifestv1.Mount) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(c.files, func(a, b *manifestv1.FileMount) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(c.memory, func(a, b *manifestv1.MemoryMount) int { return strings.Compare(a.Path, b.Path) })
	if c.s.ShmSize > 0 {
		c.take("/dev/shm", "shm_size")
	}
	if n := len(c.mounts) + len(c.files) + len(c.memory) + 1; n > manifest.MaxMounts {
		c.problem(fmt.Sprintf("the service mounts %d things, at most %d", n-1, manifest.MaxMounts-1), "put the files into the image", "volumes")
	}
	total := c.inMemoryBytes()
	if stated := c.memoryLimit(); stated > 0 && total > stated {
		c.problem(fmt.Sprintf("its directories in memory hold %s, its memory is %s", units.BytesSize(float64(total)), units.BytesSize(float64(stated))), "raise mem_limit, or lower their sizes", cmpOr(c.memoryKey(), "tmpfs"))
	}
}

func (c *storageCheck) memoryKey() string {
	switch {
	case c.s.ShmSize > 0:
		return "shm_size"
	case len(c.s.Tmpfs) > 0:
		return "tmpfs"
	}
	return "volumes"
}

// inMemoryBytes is what a service's directories in memory can hold.
func (c *storageCheck) inMemoryBytes() uint64 { return c.f.inMemoryBytes(c.s, c.storage) }

func (f *File) inMemoryBytes(s types.ServiceConfig, st *storage) uint64 {
	total := uint64(max(0, s.ShmSize))
	for _, m := range st.memory {
		total += m.SizeBytes
	}
	return total
}

// path is where something of the service is written.
func (c *serviceCheck) path(below ...string) []string {
	return append([]string{"services", c.name}, below...)
}

// sizeText is a number of bytes for people.
func sizeText(n uint64) string { return units.BytesSize(float64(n)) }

// isBelow reports whether a path is dir or in it.
func isBelow(dir, p string) bool {
	rel, err := filepath.Rel(dir, p)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}
