// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/delegation"
)

const (
	// maxFile bounds what is read of a file; the largest have a few kilobytes.
	maxFile = 256 << 10
	// What names a sandbox has bounds, so that a counter can say all of it of itself.
	maxBox, maxUID = 128, 36
)

// word reports whether a name is one that a counter's comment can hold.
func word(s string, most int) bool {
	return s != "" && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// errFile says that a file is not what libcni keeps of a sandbox.
var errFile = errors.New("not a kept result of a network plugin")

// attachment is one network of one sandbox of an app's pod, as the plugin that made it said.
type attachment struct {
	// box is the sandbox's id, which no other has.
	box, app, uid string
	// ends are interfaces outside of the sandbox, addresses those of the pod.
	ends      []string
	addresses []netip.Addr
}

// files are what libcni keeps, a file for each network of each sandbox, from before the pod's first container starts until the network is
// taken down. containerd and CRI-O both have it do so. Files do not change once they are whole, so each is read once.
type files struct {
	dir  string
	seen map[string]*attachment // nil for what is no app's
}

func newFiles(dir string) *files { return &files{dir: dir, seen: map[string]*attachment{}} }

// read returns the attachments of apps' pods. A file that is still being written is read the next time.
func (f *files) read() ([]attachment, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("looking for pods: %w", err)
	}
	there := map[string]*attachment{}
	var all []attachment
	for _, e := range entries {
		a, known := f.seen[e.Name()]
		if !known {
			if a, err = readFile(filepath.Join(f.dir, e.Name())); err != nil {
				continue
			}
		}
		there[e.Name()] = a
		if a != nil {
			all = append(all, *a)
		}
	}
	f.seen = there
	return all, nil
}

func readFile(path string) (*attachment, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	b, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return nil, err
	}
	return parse(b)
}

// parse reads what libcni keeps. It returns nil for what is no app's, and errFile for what is not whole.
func parse(b []byte) (*attachment, error) {
	var kept struct {
		Kind        string      `json:"kind"`
		ContainerID string      `json:"containerId"`
		Args        [][2]string `json:"cniArgs"`
		Result      struct {
			Interfaces []struct{ Name, Sandbox string } `json:"interfaces"`
			IPs        []struct{ Address string }       `json:"ips"`
		} `json:"result"`
	}
	if err := json.Unmarshal(b, &kept); err != nil || kept.Kind != "cniCacheV1" {
		return nil, errFile
	}
	args := map[string]string{}
	for _, a := range kept.Args {
		args[a[0]] = a[1]
	}
	app, ok := v1alpha1.AppOf(args["K8S_POD_NAMESPACE"])
	if !ok || !isApp(app) {
		return nil, nil //nolint:nilnil // it is read, and there is nothing to count
	}
	a := &attachment{box: kept.ContainerID, app: app, uid: args["K8S_POD_UID"]}
	if !word(a.box, maxBox) || !word(a.uid, maxUID) {
		return nil, errFile
	}
	for _, i := range kept.Result.Interfaces {
		if i.Sandbox == "" && i.Name != "" {
			a.ends = append(a.ends, i.Name)
		}
	}
	for _, ip := range kept.Result.IPs {
		if p, err := netip.ParsePrefix(ip.Address); err == nil && !p.Addr().IsLoopback() {
			a.addresses = append(a.addresses, p.Addr())
		}
	}
	return a, nil
}

// machine is what the kernel has of links.
type machine struct {
	// routed are those that exist; true for those by which packets come in that are the link's own, and not those of a bridge's other ports.
	routed map[string]bool
	// hosts are the links to which an address alone is routed.
	hosts map[netip.Addr]string
}

// sandbox is one pod's network with the links that are its own.
type sandbox struct {
	id, app, uid string
	links        []string
}

// links gives each sandbox the links that only its pod's packets come in by; bare counts the sandboxes without any, whose network is one that
// can't be counted, or is just being taken down.
func (m machine) links(all []attachment) (boxes []sandbox, bare int) {
	users := map[string]map[string]bool{}
	for _, a := range all {
		for _, end := range a.ends {
			if users[end] == nil {
				users[end] = map[string]bool{}
			}
			users[end][a.box] = true
		}
	}
	at := map[string]int{}
	networks := map[string]bool{}
	for _, a := range all {
		i, ok := at[a.box]
		if !ok {
			i = len(boxes)
			at[a.box] = i
			boxes = append(boxes, sandbox{id: a.box, app: a.app, uid: a.uid})
		}
		networks[a.box] = networks[a.box] || len(a.addresses) > 0
		var own []string
		for _, end := range a.ends {
			if m.routed[end] && len(users[end]) == 1 {
				own = append(own, end)
			}
		}
		if len(own) == 0 {
			own = m.routes(a.addresses)
		}
		boxes[i].links = append(boxes[i].links, own...)
	}
	kept := boxes[:0]
	for _, b := range boxes {
		if len(b.links) > 0 {
			kept = append(kept, b)
		} else if networks[b.id] {
			bare++
		}
	}
	return kept, bare
}

// routes are the links that addresses are routed to one by one, for plugins that do not say what they made.
func (m machine) routes(addresses []netip.Addr) []string {
	var own []string
	for _, a := range addresses {
		if link, ok := m.hosts[a]; ok && m.routed[link] {
			own = append(own, link)
			break
		}
	}
	return own
}

// look reads the links and routes of the network namespace that this process runs in, below root.
func look(root string) (machine, error) {
	const links = "sys/class/net"
	m := machine{routed: map[string]bool{}, hosts: map[netip.Addr]string{}}
	entries, err := os.ReadDir(filepath.Join(root, links))
	if err != nil {
		return m, fmt.Errorf("looking for links: %w", err)
	}
	for _, e := range entries {
		own := true
		for _, sign := range []string{"bridge", "brport", "bonding_slave"} {
			_, err := os.Stat(filepath.Join(root, links, e.Name(), sign))
			own = own && errors.Is(err, fs.ErrNotExist)
		}
		m.routed[e.Name()] = own
	}
	for file, read := range map[string]func(string) (netip.Addr, string, bool){"route": hostRoute, "ipv6_route": hostRoute6} {
		b, err := os.ReadFile(filepath.Join(root, "proc/thread-self/net", file))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a kernel without that family
		}
		if err != nil {
			return m, fmt.Errorf("looking for routes: %w", err)
		}
		readRoutes(string(b), read, m.hosts)
	}
	return m, nil
}

func isApp(id string) bool {
	_, err := delegation.ParseAppID(id)
	return err == nil
}
