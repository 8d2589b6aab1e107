// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// machinePaths are those of the machine itself: what is there means nothing elsewhere.
func machinePaths() []string {
	return []string{"/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/tmp", "/usr", "/var/lib/docker", "/var/log", "/var/run"}
}

// harmless are paths of the machine that containers do without, and why.
func harmless() map[string]string {
	const clock = "the machine's clock is at UTC; set TZ in environment for another zone"
	const random = "containers have random numbers of their own, and never wait for them"
	return map[string]string{"/etc/localtime": clock, "/etc/timezone": clock, "/dev/urandom": random, "/dev/random": random}
}

// watched are paths of the machine that are mounted to look at it.
func watched() []string { return []string{"/proc", "/sys", "/var/lib/docker"} }

// isProxy reports whether an image is of a proxy that finds the containers behind it.
func isProxy(image string) bool {
	return slices.ContainsFunc([]string{"traefik", "nginx-proxy", "docker-gen", "acme-companion", "caddy", "haproxy", "swag"}, func(name string) bool { return strings.Contains(image, name) })
}

// ofTheMachine refuses what is of the machine itself, and reports whether it did so or the service does without.
func (c *storageCheck) ofTheMachine(source string, at []string) bool {
	within := func(dirs []string) bool {
		return slices.ContainsFunc(dirs, func(dir string) bool { return isBelow(dir, source) })
	}
	switch reason := harmless()[source]; {
	case reason != "":
		c.f.note(c.path(at...), "no effect: "+reason)
	case strings.HasSuffix(source, "docker.sock") || strings.HasSuffix(source, "podman.sock"):
		remedy := "remove what manages other containers: services are watched with apocryph status and apocryph logs"
		if isProxy(c.s.Image) {
			remedy = "remove the proxy: http comes in by itself"
		}
		c.problem("not supported: there is no container engine at the provider", remedy, at...)
	case isBelow(c.r.src.Dir, source):
		return false
	case source == "/" || within(watched()):
		c.problem(fmt.Sprintf("not supported: %s is of this machine, the provider's has none of it", source), "remove the service: it watches the machine", at...)
	case within(machinePaths()):
		c.problem(fmt.Sprintf("not supported: %s is of this machine, the provider's has none of it", source), "remove it, use a named volume, or put the files beside the app file", at...)
	default:
		return false
	}
	return true
}

// readBind makes of a bind mount what it most likely is: files that the service reads, or a directory that it keeps its data in.
func (c *storageCheck) readBind(v types.ServiceVolumeConfig, at []string) {
	source := path.Clean(v.Source)
	shown := c.r.shown(source)
	inside := isBelow(c.r.src.Dir, source)
	if c.ofTheMachine(source, at) {
		return
	}
	target, ok := c.take(v.Target, at...)
	if !ok {
		return
	}
	info, err := c.stat(source)
	switch {
	case errors.Is(err, fs.ErrNotExist) && (v.ReadOnly || looksLikeFile(source)):
		c.problem(fmt.Sprintf("%s is not there", shown), "create it, or correct its path", at...)
	case errors.Is(err, fs.ErrNotExist):
		c.keep(v, source, target, at)
	case err != nil:
		c.problem(fmt.Sprintf("%s can't be read: %s", shown, rootCause(err)), "make it readable, or remove it", at...)
	case !inside && !info.IsDir():
		c.problem(fmt.Sprintf("not supported: %s is outside of the app file's directory", shown), "copy the file there", at...)
	case info.IsDir():
		c.readDirectory(v, source, target, at)
	case !info.Mode().IsRegular():
		c.problem(fmt.Sprintf("not supported: %s is no regular file", shown), "remove it", at...)
	default:
		if !v.ReadOnly {
			c.f.note(c.path(at...), fmt.Sprintf("%s is sent with the app, and mounted read-only", shown))
		}
		c.send(source, target, info.Mode(), at)
	}
}

// looksLikeFile reports whether a path that is not there was meant as a file, where Compose would make a directory.
func looksLikeFile(source string) bool {
	others := []string{".cer", ".crt", ".css", ".db", ".gz", ".html", ".jar", ".jks", ".key", ".lic", ".log", ".p12", ".pem", ".pfx", ".php", ".py", ".sqlite", ".sqlite3", ".tar", ".war", ".zip"}
	return looksLikeConfiguration(source) || slices.Contains(others, strings.ToLower(filepath.Ext(source)))
}

// looksLikeConfiguration reports whether a file is, by its name, a text that a program reads and does not write.
func looksLikeConfiguration(name string) bool {
	base := strings.ToLower(filepath.Base(name))
	ends := []string{".acl", ".cfg", ".cnf", ".conf", ".config", ".env", ".ini", ".js", ".json", ".lua", ".map", ".properties", ".rules", ".sh", ".sql", ".sql.gz", ".template", ".tmpl", ".toml", ".txt", ".vcl", ".xml", ".yaml", ".yml"}
	return slices.Contains([]string{"caddyfile", "corefile", "hosts", "htpasswd", "passwd"}, base) || slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(base, end) })
}

// isPlaceholder reports whether a file is there only so that a repository keeps its directory.
func isPlaceholder(name string) bool {
	return slices.Contains([]string{".gitkeep", ".gitignore", ".keep"}, filepath.Base(name))
}

func (c *storageCheck) stat(source string) (fs.FileInfo, error) {
	if c.r.src.Stat == nil {
		return nil, errors.New("files are not read here")
	}
	return c.r.src.Stat(source)
}

// readDirectory sends what is in a directory that is only read, and makes a volume of an empty one.
func (c *storageCheck) readDirectory(v types.ServiceVolumeConfig, source, target string, at []string) {
	var names []string
	var err error
	if c.r.src.List != nil {
		names, err = c.r.src.List(source, manifest.MaxFiles)
	}
	names = slices.DeleteFunc(names, isPlaceholder)
	shown := c.r.shown(source)
	isRead := v.ReadOnly || isConfiguration(target) && !slices.ContainsFunc(names, func(name string) bool { return !looksLikeConfiguration(name) })
	switch {
	case err != nil:
		c.problem(fmt.Sprintf("%s can't be read: %s", shown, rootCause(err)), "make it readable, or remove it", at...)
	case len(names) == 0 && !v.ReadOnly:
		c.keep(v, source, target, at)
	case !isRead:
		c.problem(fmt.Sprintf("not supported: %s has files, and the service can write there", shown), fmt.Sprintf("add :ro if it only reads them; else mount a volume named %s, and bring in what the directory has, once it is deployed, with: apocryph volume put", c.f.volumeName(shown, "dir-")), at...)
	case !isBelow(c.r.src.Dir, source):
		c.problem(fmt.Sprintf("not supported: %s is outside of the app file's directory", shown), "copy the files there", at...)
	case len(names) > manifest.MaxFiles:
		c.problem(fmt.Sprintf("not supported: %s has more than %d files", shown, manifest.MaxFiles), "put the files into the image", at...)
	default:
		if !v.ReadOnly {
			c.f.note(c.path(at...), fmt.Sprintf("the files in %s are sent with the app, and mounted read-only", shown))
		}
		for _, name := range names {
			from := filepath.Join(source, name)
			info, err := c.stat(from)
			if err != nil {
				c.problem(fmt.Sprintf("%s can't be read: %s", c.r.shown(from), rootCause(err)), "make it readable, or remove it", at...)
				continue
			}
			if to, ok := c.take(path.Join(target, filepath.ToSlash(name)), at...); ok {
				c.send(from, to, info.Mode(), at)
			}
		}
		delete(c.at, target) // the directory itself is nothing that is mounted
	}
}

// isConfiguration reports whether what is mounted there is read and not written.
func isConfiguration(target string) bool {
	return isBelow("/etc", target) || isBelow("/docker-entrypoint-initdb.d", target) || strings.HasSuffix(target, ".d")
}

// keep makes a volume of a directory that has nothing in it yet.
func (c *storageCheck) keep(v types.ServiceVolumeConfig, source, target string, at []string) {
	name := c.f.volumeName(c.r.shown(source), "dir-")
	c.f.note(c.path(at...), fmt.Sprintf("%s becomes a volume of %s, %s; to choose its size mount a volume called %s instead", c.r.shown(source), sizeText(DefaultVolumeBytes), name, name))
	c.f.volumes[name] = DefaultVolumeBytes
	// Unlike in Compose it begins with what the image has there, and so with an owner who can write.
	c.mounts = append(c.mounts, &manifestv1.Mount{Volume: name, Path: target, ReadOnly: v.ReadOnly})
}

// send mounts one file. Its mode keeps the right to run it, but not to write it.
func (c *storageCheck) send(source, target string, mode fs.FileMode, at []string) {
	content, err := c.r.read(source)
	switch {
	case err != nil:
		c.problem(fmt.Sprintf("%s can't be read: %s", c.r.shown(source), err), "make it readable, or remove it", at...)
	case len(content) > manifest.MaxFileBytes:
		c.problem(fmt.Sprintf("%s has %d bytes, at most %d are sent", c.r.shown(source), len(content), manifest.MaxFileBytes), "put it into the image or a volume", at...)
	default:
		shown := c.r.shown(source)
		c.mountFile(target, c.f.file("file-"+shown, shown, content), uint32(mode.Perm()|0o444)&^0o222)
	}
}
