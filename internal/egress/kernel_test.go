// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/kube"
)

// TestInTheKernel runs the tests of this file in namespaces of their own, so that no link, rule or packet is the machine's.
func TestInTheKernel(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("links and counters take root")
	}
	for _, program := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s here", program)
		}
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestWithin$", "-test.v", "-test.timeout=5m") //nolint:gosec // itself
	cmd.Env = append(os.Environ(), within+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
	if !strings.Contains(string(out), "--- PASS: TestWithin/") {
		t.Error("nothing ran within")
	}
}

const (
	within = "APOCRYPH_EGRESS_WITHIN"

	public, public6  = "198.51.100.7", "2001:db8:7::7"
	private          = "10.77.0.5"
	datagrams        = 50
	payload          = 1000
	header4, header6 = 20 + 8, 40 + 8
)

// TestWithin is run by TestInTheKernel.
func TestWithin(t *testing.T) {
	if os.Getenv(within) == "" {
		t.Skip("run by TestInTheKernel")
	}
	if err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("proc", "/proc", "proc", 0, ""),
		unix.Mount("sysfs", "/sys", "sysfs", 0, ""), // of this network namespace
	); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]func(*world){
		"what is sent outside counts to the byte":           (*world).testExact,
		"what is sent inside does not count":                (*world).testInside,
		"who says to be another counts for itself":          (*world).testSpoof,
		"what a policy drops does not count":                (*world).testDropped,
		"an address that stands for another counts as that": (*world).testTranslated,
		"an agent goes on where the last one stopped":       (*world).testRestart,
		"a table that somebody flushed goes on":             (*world).testFlushed,
		"a chain that somebody flushed counts again":        (*world).testFlushedChain,
		"the API server is away, and the table too":         (*world).testBlind,
		"a pod that is gone is closed with its last bytes":  (*world).testClosed,
		"two agents at once count once":                     (*world).testTwo,
		"as many pods as a machine has":                     (*world).testMany,
		"other addresses of the cluster's own":              (*world).testOwn,
		"a link of the same name is another pod's":          (*world).testReused,
		"a plugin that does not say what it made":           (*world).testUnnamed,
		"what it costs": (*world).testCost,
		"what others have in the packet filter is left alone": (*world).testOthers,
	} {
		t.Run(name, func(t *testing.T) { test(newWorld(t)) })
	}
}

// world is a machine with an outside. Everything in it lies in network namespaces that end with the test.
type world struct {
	*testing.T

	dir     string
	api     client.Client
	outside int
	pods    int
	agent   *Agent
}

type pod struct {
	name, link, addr, box string
	pid                   int
}

func (w *world) run(args ...string) {
	w.Helper()
	if out, err := exec.CommandContext(w.Context(), args[0], args[1:]...).CombinedOutput(); err != nil { //nolint:gosec // the test's own
		w.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (w *world) in(pid int, args ...string) {
	w.Helper()
	w.run(append([]string{"nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", pid)}, args...)...)
}

// newWorld makes the machine anew: of the last one nothing is left but the process's network namespace.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, dir: t.TempDir(), api: fake.NewClientBuilder().WithScheme(kube.Scheme()).WithStatusSubresource(&v1alpha1.Usage{}).Build()}
	for key, value := range map[string]string{"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1", "ipv4/conf/all/rp_filter": "0"} {
		if err := os.WriteFile(filepath.Join("/proc/sys/net", key), []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	w.run("nft", "flush", "ruleset")
	w.run("ip", "link", "set", "lo", "up")
	t.Cleanup(func() {
		links, _ := net.Interfaces()
		for _, l := range links {
			_ = exec.Command("ip", "link", "del", l.Name).Run() // the context is over
		}
	})
	w.outside = w.namespace()
	w.run("ip", "link", "add", "outside", "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(w.outside))
	w.run("ip", "addr", "add", "192.0.2.1/30", "dev", "outside")
	w.run("ip", "addr", "add", "fd00:2::1/64", "dev", "outside", "nodad")
	w.run("ip", "link", "set", "outside", "up")
	w.in(w.outside, "ip", "addr", "add", "192.0.2.2/30", "dev", "eth0")
	w.in(w.outside, "ip", "addr", "add", "fd00:2::2/64", "dev", "eth0", "nodad")
	w.in(w.outside, "ip", "link", "set", "lo", "up")
	w.in(w.outside, "ip", "link", "set", "eth0", "up")
	w.in(w.outside, "ip", "route", "add", "default", "via", "192.0.2.1")
	w.in(w.outside, "ip", "route", "add", "default", "via", "fd00:2::1")
	for _, addr := range []string{public, private} {
		w.in(w.outside, "ip", "addr", "add", addr+"/32", "dev", "lo")
		w.run("ip", "route", "add", addr+"/32", "via", "192.0.2.2")
	}
	w.in(w.outside, "ip", "addr", "add", public6+"/128", "dev", "lo", "nodad")
	w.run("ip", "route", "add", public6+"/128", "via", "fd00:2::2")
	w.carries(w.outside)
	w.agent = w.newAgent()
	return w
}

// carries waits until a namespace's link does: what is sent before is lost, and the kernel takes its time.
func (w *world) carries(pid int) {
	w.Helper()
	for range 200 {
		out, err := exec.CommandContext(w.Context(), "nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", pid), "ip", "-o", "link", "show", "eth0").Output() //nolint:gosec // the test's own
		if err == nil && strings.Contains(string(out), "state UP") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.Fatal("the link does not come up")
}

func (w *world) newAgent() *Agent {
	w.Helper()
	a, err := New(Config{Machine: "m1", Namespace: "system", Results: w.dir, Every: time.Nanosecond}, w.api, slog.New(slog.DiscardHandler))
	if err != nil {
		w.Fatal(err)
	}
	clock := time.Now()
	a.now = func() time.Time { clock = clock.Add(2 * hurry); return clock } // each round may report
	return a
}

// namespace makes a network namespace, and returns a process that is in it.
func (w *world) namespace() int {
	w.Helper()
	cmd := exec.CommandContext(w.Context(), "sleep", "600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

// pod makes a pod as the ptp plugin does: a routed link, and then the file that the network library keeps.
func (w *world) pod(name string) pod {
	w.Helper()
	p := w.linked(name)
	w.keep(p, p.link)
	return p
}

func (w *world) linked(name string) pod {
	w.Helper()
	w.pods++
	p := pod{name: name, link: "veth" + name, addr: fmt.Sprintf("10.244.0.%d", 1+w.pods), box: "box-" + name, pid: w.namespace()}
	w.run("ip", "link", "add", p.link, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(p.pid))
	w.run("ip", "addr", "add", "10.244.0.1/32", "dev", p.link)
	w.run("ip", "addr", "add", fmt.Sprintf("fd00:%d::1/64", 100+w.pods), "dev", p.link, "nodad")
	w.run("ip", "link", "set", p.link, "up")
	w.run("ip", "route", "add", p.addr+"/32", "dev", p.link)
	w.in(p.pid, "ip", "link", "set", "lo", "up")
	w.in(p.pid, "ip", "link", "set", "eth0", "up")
	w.in(p.pid, "ip", "addr", "add", p.addr+"/32", "dev", "eth0")
	w.in(p.pid, "ip", "addr", "add", fmt.Sprintf("fd00:%d::2/64", 100+w.pods), "dev", "eth0", "nodad")
	w.in(p.pid, "ip", "route", "add", "10.244.0.1", "dev", "eth0")
	w.in(p.pid, "ip", "route", "add", "default", "via", "10.244.0.1")
	w.in(p.pid, "ip", "route", "add", "default", "via", fmt.Sprintf("fd00:%d::1", 100+w.pods))
	w.carries(p.pid)
	return p
}

func (w *world) file(p pod) string { return filepath.Join(w.dir, "pods-"+p.box+"-eth0") }

func (w *world) keep(p pod, ends ...string) {
	w.Helper()
	if err := os.WriteFile(w.file(p), []byte(result(p.box, "app-"+appID, "uid-"+p.name, p.addr, ends...)), 0o600); err != nil {
		w.Fatal(err)
	}
}

func (w *world) gone(p pod) {
	w.Helper()
	w.run("ip", "link", "del", p.link)
	if err := os.Remove(w.file(p)); err != nil {
		w.Fatal(err)
	}
}

func (w *world) round(agents ...*Agent) {
	w.Helper()
	if len(agents) == 0 {
		agents = append(agents, w.agent)
	}
	for _, a := range agents {
		if err := a.round(w.Context()); err != nil {
			w.Error(err)
		}
	}
}

// reported is what the API server has.
func (w *world) reported() map[string]v1alpha1.TrafficCounter {
	w.Helper()
	var object v1alpha1.Traffic
	if err := w.api.Get(w.Context(), client.ObjectKey{Namespace: "system", Name: "machine-m1"}, &object); err != nil {
		w.Fatal(err)
	}
	all := map[string]v1alpha1.TrafficCounter{}
	for _, c := range object.Counters {
		all[c.Source] = c
	}
	return all
}

// wants compares what is reported of a pod, after another round.
func (w *world) wants(p pod, bytes int64, agents ...*Agent) {
	w.Helper()
	w.round(agents...)
	if got := w.reported()[p.box]; got.Bytes != bytes || got.App != appID || got.PodUID != "uid-"+p.name {
		w.Errorf("%s: reported %+v, want %d bytes", p.name, got, bytes)
	}
}

// send sends the datagrams from a pod.
func (w *world) send(p pod, to string) { w.sendFrom(p, "", to) }

func (w *world) sendFrom(p pod, from, to string) {
	w.Helper()
	var local *net.UDPAddr
	if from != "" {
		local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0))
	}
	remote := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(to), 9))
	var conn *net.UDPConn
	if err := inside(p.pid, func() (err error) {
		conn, err = net.DialUDP("udp", local, remote)
		return err
	}); err != nil {
		w.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for range datagrams {
		// Nobody listens there: the word of it comes back as an error of the next one, which is not sent.
		for range 3 {
			if _, err := conn.Write(make([]byte, payload)); err == nil {
				break
			}
		}
	}
}

// inside runs f in the network namespace of a process.
func inside(pid int, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked, so that the thread ends with it
		file, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err == nil {
			err = unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)
			_ = file.Close()
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

const sent4, sent6 = datagrams * (payload + header4), datagrams * (payload + header6)

func (w *world) testExact() {
	a, b := w.pod("a"), w.pod("b")
	w.round()
	w.send(a, public)
	w.wants(a, sent4)
	w.wants(b, 0)
	w.send(a, public6)
	w.send(b, public6)
	w.wants(a, sent4+sent6)
	w.wants(b, sent6)
}

func (w *world) testInside() {
	a, b := w.pod("a"), w.pod("b")
	w.round()
	for _, to := range []string{b.addr, private, "192.0.2.1", "10.244.0.1", "fd00:2::2"} {
		w.send(a, to)
	}
	w.wants(a, 0)
	w.wants(b, 0)
	w.send(a, public)
	w.wants(a, sent4)
}

func (w *world) testSpoof() {
	a, b := w.pod("a"), w.pod("b")
	w.round()
	for _, as := range []string{b.addr, "203.0.113.9"} {
		w.in(a.pid, "ip", "addr", "add", as+"/32", "dev", "lo")
		w.sendFrom(a, as, public)
	}
	w.wants(a, 2*sent4)
	w.wants(b, 0)
}

func (w *world) testDropped() {
	a, b := w.pod("a"), w.pod("b")
	w.round()
	// Made after the agent's chain, and of a later priority than most.
	w.run("nft", "add table inet rules; add chain inet rules forward { type filter hook forward priority 100; }; add rule inet rules forward ip saddr "+a.addr+" drop")
	w.send(a, public)
	w.send(b, public)
	w.wants(a, 0)
	w.wants(b, sent4)
}

func (w *world) testTranslated() {
	a, b := w.pod("a"), w.pod("b")
	w.round()
	w.run("nft", "add table ip services; add chain ip services in { type nat hook prerouting priority -100; }; "+
		"add rule ip services in ip daddr 10.96.0.1 dnat to "+public+"; add rule ip services in ip daddr 198.51.100.99 dnat to "+b.addr+"; "+
		"add chain ip services out { type nat hook postrouting priority 100; }; add rule ip services out oifname outside masquerade")
	w.send(a, "198.51.100.99")
	w.wants(a, 0)
	w.send(a, "10.96.0.1")
	w.wants(a, sent4)
	w.wants(b, 0)
}

func (w *world) testRestart() {
	a := w.pod("a")
	w.round()
	w.send(a, public)
	w.round()
	w.send(a, public) // nobody looks
	w.agent = w.newAgent()
	w.wants(a, 2*sent4)
}

func (w *world) testFlushed() {
	a := w.pod("a")
	w.round()
	w.send(a, public)
	w.wants(a, sent4)
	for range 2 {
		w.run("nft", "flush", "ruleset")
		w.round()
	}
	w.wants(a, sent4)
	w.send(a, public)
	w.wants(a, 2*sent4)
	w.agent = w.newAgent()
	w.wants(a, 2*sent4)
	w.run("nft", "flush", "ruleset")
	w.agent = w.newAgent() // it knows from the API server alone
	w.round()
	w.send(a, public)
	w.wants(a, 3*sent4)
}

func (w *world) testFlushedChain() {
	a := w.pod("a")
	w.round()
	w.send(a, public)
	w.run("nft", "flush chain inet "+Table+" "+chainName)
	w.round()
	w.send(a, public)
	w.wants(a, 2*sent4)
}

func (w *world) testBlind() {
	a := w.pod("a")
	w.round()
	w.send(a, public)
	w.round()
	w.run("nft", "flush", "ruleset")
	w.agent = w.newAgent()
	if err := w.agent.count(); err != nil { // a round, as far as it comes without the API server
		w.Fatal(err)
	}
	w.send(a, public)
	w.agent = w.newAgent() // once more, so that only the kernel knows that something is missing
	if err := w.agent.count(); err != nil {
		w.Fatal(err)
	}
	w.send(a, public)
	w.wants(a, 3*sent4)
	w.send(a, public)
	w.agent = w.newAgent()
	w.wants(a, 4*sent4)
}

func (w *world) testClosed() {
	a, b := w.pod("a"), w.pod("b")
	w.round()
	w.send(a, public)
	w.gone(a)
	w.wants(a, sent4)
	if got := w.reported(); !got[a.box].Closed || got[b.box].Closed {
		w.Errorf("reported %v: only what is gone is closed", got)
	}
	w.round()
	if have, _, err := w.agent.kernel.read(); err != nil || len(have) != 1 || have[0].box != b.box {
		w.Errorf("the kernel has %v, %v", have, err)
	}
	w.gone(b)
	w.round()
	w.round()
	if out, err := exec.CommandContext(w.Context(), "nft", "list", "tables").Output(); err != nil || strings.Contains(string(out), Table) {
		w.Errorf("left: %s, %v", out, err)
	}
}

func (w *world) testTwo() {
	a, b := w.pod("a"), w.pod("b")
	agents := []*Agent{w.newAgent(), w.newAgent()}
	// In turn, as the library numbers sets in a variable that all of a process share; agents are processes of their own.
	for range 20 {
		for _, agent := range agents {
			_ = agent.round(w.Context()) // a conflict is put right by the next round
		}
	}
	w.send(a, public)
	w.send(b, public6)
	for _, agent := range agents {
		w.wants(a, sent4, agent)
		w.wants(b, sent6, agent)
	}
	w.run("nft", "flush", "ruleset")
	w.round(agents...)
	w.send(a, public)
	w.gone(b)
	w.wants(a, 2*sent4, agents...)
	w.wants(b, sent6, agents...)
}

func (w *world) testMany() {
	const pods = 70 // more than a message takes
	var commands strings.Builder
	for i := range pods {
		fmt.Fprintf(&commands, "link add many%d type veth peer name many%dp\n", i, i)
	}
	batch := filepath.Join(w.TempDir(), "batch")
	if err := os.WriteFile(batch, []byte(commands.String()), 0o600); err != nil {
		w.Fatal(err)
	}
	w.run("ip", "-batch", batch)
	for i := range pods {
		p := pod{name: strconv.Itoa(i), box: strings.Repeat("f", 60) + strconv.Itoa(i), addr: "10.245.0.1"}
		w.keep(p, "many"+p.name)
	}
	a := w.pod("a")
	start := time.Now()
	w.round()
	w.Logf("%d pods at once take %s", pods, time.Since(start))
	have, whole, err := w.agent.kernel.read()
	if err != nil || !whole || len(have) != pods+1 {
		w.Errorf("%d counters, whole %v, %v", len(have), whole, err)
	}
	w.send(a, public)
	w.wants(a, sent4)
}

func (w *world) testOwn() {
	a := w.pod("a")
	w.round()
	w.send(a, public)
	w.wants(a, sent4)
	w.agent.kernel = newTable([]netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}) // as a new agent is told
	w.round()
	w.send(a, public)
	w.wants(a, sent4)
	w.agent.kernel = newTable([]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")})
	w.round()
	w.send(a, public)
	w.send(a, public6)
	w.wants(a, sent4+sent6)
}

func (w *world) testReused() {
	a := w.pod("a")
	w.round()
	w.send(a, public)
	if err := os.Remove(w.file(a)); err != nil {
		w.Fatal(err)
	}
	next := a
	next.name, next.box = "next", "box-next"
	w.keep(next, next.link)
	w.round()
	w.send(next, public6)
	w.wants(a, sent4)
	w.wants(next, sent6)
	if got := w.reported(); !got[a.box].Closed || got[next.box].Closed {
		w.Errorf("reported %v", got)
	}
}

func (w *world) testUnnamed() {
	a := w.linked("a")
	w.keep(a)
	w.round()
	w.send(a, public)
	w.wants(a, sent4)
}

func (w *world) testOthers() {
	w.run("nft", "add table inet other; add chain inet other forward { type filter hook forward priority 0; policy drop; }; add rule inet other forward accept")
	list := func() string {
		out, err := exec.CommandContext(w.Context(), "nft", "list", "table", "inet", "other").Output()
		if err != nil {
			w.Fatal(err)
		}
		return string(out)
	}
	before := list()
	a := w.pod("a")
	w.round()
	w.send(a, public)
	w.wants(a, sent4)
	w.gone(a)
	w.round()
	w.round()
	if after := list(); after != before {
		w.Errorf("it was\n%s\nand is\n%s", before, after)
	}
}
