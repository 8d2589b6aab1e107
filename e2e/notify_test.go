// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
)

const (
	// hookAddress is one that is nobody's, and that the devnet's provider lets webhooks be called at.
	hookAddress = "198.51.100.44"
	hookPath    = "/T0K3N"
	// crasher is a service that ends as soon as it has begun.
	crasher = "  crasher:\n    image: " + bed.ProbeImage + "\n    command: [do, nothing]\n    cpus: 0.1\n    mem_limit: 64m\n"
)

// A publisher's webhook is told what becomes of their app, in the form that docs/protocol/notify.md promises.
func TestAWebhookIsTold(t *testing.T) {
	d := bed.Connect(t)
	hook := newWebhook(t, d)
	p := d.NewPerson(t, true)
	file := p.Write("compose.yaml", bed.ProbeFileWith(crasher)+"x-apocryph: {notify: \"https://"+hookAddress+hookPath+"\"}\n")

	t.Log("a service crashes, and funds are low from the start: it is told where to, and of both")
	p.Run("deploy", file, "--name", "told", "--for", "10m", "--wait", "1s", "--yes")
	defer p.Run("stop", "told", "--yes")
	var app bed.Deployed
	p.MustJSON(&app, "status", "told")
	told := func(kind, more, message string) {
		t.Helper()
		hook.awaits(t, fmt.Sprintf(`^{"type":"%s","timestamp":"20[0-9-]+T[0-9:]+Z","data":{"app":"%s","name":"told",%s,"message":"%s"}}$`, kind, app.App, more, message))
	}
	told("app.webhook.set", `"reason":"Ordered"`, "this is where it is told what becomes of the app")
	told("app.funds.low", `"reason":"Low"`, "the funds run low: apocryph channel deposit[^\"]*")
	told("app.service.crashing", `"service":"crasher","reason":"Crashing"`, "service crasher crashes again and again: it exited with code 1, restarted [0-9]+ times; see apocryph logs")
	if said := p.Must("status", "told"); !strings.Contains(said, "Notified True  Delivered  the webhook at "+hookAddress+" took app.") || strings.Contains(said, hookPath) {
		t.Errorf("status:\n%s", said)
	}

	t.Log("they run out, and it sleeps")
	exhaust(t, d, app.App)
	told("app.funds.exhausted", `"reason":"Exhausted"`, "the funds are used up, and the app sleeps: apocryph channel deposit; [^\"]*")

	t.Log("a deposit wakes it")
	p.Must("channel", "deposit", "told", "0.1")
	told("app.funds.funded", `"reason":"Funded"`, "the channel pays for what runs")

	t.Log("a webhook that refuses is not called again, and that is said")
	hook.refuses(true)
	p.Must("stop", "told", "--yes")
	told("app.ended", `"reason":"StoppedByPublisher"`, "the app has ended: its publisher stopped it")
	bed.Eventually(t, "what came of it is told", func() error {
		if said := p.Must("events", "told"); !strings.Contains(said, "the webhook at "+hookAddress+" answered 404; app.ended was tried 1 times") || strings.Contains(said, hookPath) {
			return fmt.Errorf("events:\n%s", said)
		}
		return nil
	})
	if twice := hook.twice(); len(twice) > 0 {
		t.Errorf("told twice: %v", twice)
	}
}

// exhaust says that an app's funds are used up. What is deposited lasts for ten minutes at least, which nobody waits for here; once it was said,
// the invoicer says so too until there is enough for another ten.
func exhaust(t *testing.T, d *bed.Devnet, id string) {
	t.Helper()
	bed.Eventually(t, "it is said", func() error {
		app := d.Apps(t)[id]
		before := app.DeepCopy()
		meta.SetStatusCondition(&app.Status.Conditions, metav1.Condition{
			Type: v1alpha1.ConditionFunded, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonExhausted, Message: "by a test", ObservedGeneration: app.Generation,
		})
		return d.Kube.Status().Patch(t.Context(), &app, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	})
}

// webhook is one that lies outside of the cluster, on this machine.
type webhook struct {
	mu     sync.Mutex
	bodies []string
	ids    []string
	refuse bool
}

// newWebhook has one listen in a network namespace of its own, and the notifier trust it.
func newWebhook(t *testing.T, d *bed.Devnet) *webhook {
	t.Helper()
	outside := exec.CommandContext(t.Context(), "sleep", "600")
	outside.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := outside.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = outside.Process.Kill()
		_ = outside.Wait()
	})
	d.Outside(t, outside.Process.Pid, hookAddress)
	h := &webhook{}
	s := httptest.NewUnstartedServer(h)
	_ = s.Listener.Close()
	s.Listener = listenWithin(t, outside.Process.Pid, net.JoinHostPort(hookAddress, "443"))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = certified(t, hookAddress)
	s.StartTLS()
	t.Cleanup(s.Close)

	roots := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.TLS.Certificates[0].Certificate[0]})
	trusted := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: bed.SystemNamespace, Name: "webhook-roots"}, Data: map[string]string{"ca.crt": string(roots)},
	}
	_ = d.Kube.Delete(t.Context(), trusted.DeepCopy()) // of a run before
	if err := d.Kube.Create(t.Context(), trusted); err != nil {
		t.Fatal(err)
	}
	// It would come to be seen by itself, in a minute or two.
	if err := d.Kube.DeleteAllOf(t.Context(), &corev1.Pod{}, client.InNamespace(bed.SystemNamespace), client.MatchingLabels{"app.kubernetes.io/component": "notifier"}); err != nil {
		t.Fatal(err)
	}
	return h
}

// listenWithin listens in the network namespace of a process.
func listenWithin(t *testing.T, pid int, address string) net.Listener {
	t.Helper()
	type result struct {
		l   net.Listener
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked, so that the thread ends with it
		f, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err != nil {
			done <- result{err: err}
			return
		}
		defer func() { _ = f.Close() }()
		if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- result{err: err}
			return
		}
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		done <- result{l, err}
	}()
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.l
}

// ServeHTTP implements http.Handler.
func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil || r.Method != http.MethodPost || r.URL.Path != hookPath || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Webhook-Timestamp") == "" {
		h.bodies = append(h.bodies, fmt.Sprintf("%s %s %v", r.Method, r.URL, r.Header))
	}
	h.bodies, h.ids = append(h.bodies, string(body)), append(h.ids, r.Header.Get("Webhook-Id"))
	if h.refuse {
		http.NotFound(w, r)
	}
}

func (h *webhook) refuses(yes bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refuse = yes
}

// awaits waits until it was told what a pattern says.
func (h *webhook) awaits(t *testing.T, pattern string) {
	t.Helper()
	want := regexp.MustCompile(strings.NewReplacer("{", `\{`, "}", `\}`).Replace(pattern))
	bed.Eventually(t, "it is told", func() error {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, body := range h.bodies {
			if want.MatchString(body) {
				return nil
			}
		}
		return fmt.Errorf("no %s in\n%s", pattern, strings.Join(h.bodies, "\n"))
	})
}

// twice are ids that came more than once, or not at all.
func (h *webhook) twice() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen, again := map[string]bool{}, []string{}
	for _, id := range h.ids {
		if seen[id] || id == "" {
			again = append(again, id)
		}
		seen[id] = true
	}
	return again
}

// certified is a certificate for an address, by an authority of its own.
func certified(t *testing.T, address string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "webhook"}, IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}}
}
