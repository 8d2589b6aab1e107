// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
)

const (
	metadata = "169.254.169.254"
	// mail is an address of a documentation range: to the policies it is as public as any.
	mail = "198.51.100.25"

	controlNamespace = "attacks-control"
	controlLimit     = "64Mi"
)

// neighbours are what a provider's network might have.
func neighbours() []string {
	return []string{"10.77.0.5", "172.16.77.5", "192.168.77.5", "100.64.77.5", "198.18.77.5"}
}

// outside is what lies around the cluster.
type outside struct {
	// node is the machine's address in the devnet, host the address of what the devnet runs on; port is one that answers there.
	node, host string
	port       int
	// init is process 1 of the devnet, as this machine knows it.
	init int
}

// newOutside puts the stand-ins up. They end with the test.
func newOutside(t *testing.T, w *world) *outside {
	t.Helper()
	o := &outside{init: w.Init(t)}
	var nodes corev1.NodeList
	if err := w.Kube.List(t.Context(), &nodes); err != nil || len(nodes.Items) != 1 {
		t.Fatalf("%d machines, %v", len(nodes.Items), err)
	}
	for _, a := range nodes.Items[0].Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			o.node = a.Address
		}
	}
	o.host = netip.MustParseAddr(o.node).Prev().String() // the other end of the devnet's link
	l, err := net.Listen("tcp", net.JoinHostPort(o.host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	o.port = l.Addr().(*net.TCPAddr).Port

	program := bed.BuildProgram(t)
	o.start(t, program, "10255") // the machine: who would answer at kubelet's old port
	w.Outside(t, o.start(t, "unshare", "25 80", "--net", program), append(neighbours(), metadata, mail)...)
	return o
}

// start runs a probe in the devnet's network namespace.
func (o *outside) start(t *testing.T, program, ports string, args ...string) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "nsenter", append([]string{"--net=" + o.namespace(), program}, args...)...)
	cmd.Env = append(os.Environ(), "PROBE_PORTS="+ports)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	bed.Eventually(t, "a stand-in runs", func() error {
		name, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", cmd.Process.Pid))
		if err == nil && filepath.Base(name) != "probe" {
			err = fmt.Errorf("it is still %s", name)
		}
		return err
	})
	return cmd.Process.Pid
}

func (o *outside) namespace() string { return fmt.Sprintf("/proc/%d/ns/net", o.init) }

// free makes a namespace that is no app's, and two pods that nothing confines: the second may do anything to the machine.
func (w *world) free(t *testing.T) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: controlNamespace}}
	bed.Eventually(t, "an earlier run's namespace is gone", func() error {
		err := w.Kube.Create(t.Context(), ns)
		if apierrors.IsAlreadyExists(err) {
			return errors.Join(err, client.IgnoreNotFound(w.Kube.Delete(t.Context(), ns)))
		}
		return err
	})
	t.Cleanup(func() {
		if err := w.Kube.Delete(context.WithoutCancel(t.Context()), ns); err != nil {
			t.Error(err)
		}
	})
	class := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: runtimeClass}, Handler: "runc"}
	if err := w.Kube.Create(t.Context(), class); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Kube.Delete(context.WithoutCancel(t.Context()), class); err != nil {
			t.Error(err)
		}
	})
	for _, at := range []place{w.open(), w.mighty()} {
		p := w.freePod(t, at.service)
		if at == w.mighty() {
			p.Spec.HostPID = true
			p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: new(true)}
		}
		if err := w.Kube.Create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []place{w.open(), w.mighty()} {
		bed.Eventually(t, at.service+" answers", func() error { return w.does(func() place { return at }, "loopback")(t.Context()) })
	}
}

func (w *world) freePod(t *testing.T, name string) *corev1.Pod {
	t.Helper()
	limits := corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(controlLimit)}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: controlNamespace, Name: name, Labels: map[string]string{v1alpha1.LabelService: name}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64(0)),
			Containers: []corev1.Container{{
				Name:      "probe",
				Image:     w.image(t, w.attacker.App, w.images.attacker),
				Env:       []corev1.EnvVar{{Name: "PROBE_RUSH", Value: strings.Join(w.forbidden(t), " ")}},
				Resources: corev1.ResourceRequirements{Limits: limits},
			}},
		},
	}
}

func (w *world) open() place   { return place{controlNamespace, "open"} }
func (w *world) mighty() place { return place{controlNamespace, "mighty"} }

// onMachine is an attempt from the machine itself, which policies don't hold back.
func (w *world) onMachine(pairs ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := askAt(ctx, http.DefaultClient, "http://"+net.JoinHostPort(w.outside.node, "8080"), "dial", pairs...)
		return err
	}
}

// systemPod is the address of a pod of the provider's, or of cluster DNS.
func (w *world) systemPod(ctx context.Context, namespace string, labels client.MatchingLabels) (string, error) {
	var pods corev1.PodList
	if err := w.Kube.List(ctx, &pods, client.InNamespace(namespace), labels); err != nil {
		return "", err
	}
	for _, p := range pods.Items {
		if p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil {
			return p.Status.PodIP, nil
		}
	}
	return "", fmt.Errorf("no pod of %v runs", labels)
}

// macOf is the address of the machine's end of a pod's link, by the number that the kernel gives it.
func (o *outside) macOf(ctx context.Context, index string) (string, error) {
	out, err := exec.CommandContext(ctx, "nsenter", "--net="+o.namespace(), "ip", "-o", "link").Output()
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); f[0] == index+":" {
			for i := range f {
				if f[i] == "link/ether" {
					return f[i+1], nil
				}
			}
		}
	}
	return "", fmt.Errorf("no link %s in %s", index, out)
}

// sizeOf is what lies below a folder of the machine, in files whose path has a part.
func (o *outside) sizeOf(dir, part string) (total int64, err error) {
	root := filepath.Join(fmt.Sprintf("/proc/%d/root", o.init), dir)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, part) {
			return nil //nolint:nilerr // it changes while one looks
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total, err
}
