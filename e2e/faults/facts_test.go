// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/evm"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
)

// collect gathers what is left of a life. The chain is asked itself, past all weather.
func (l *life) collect(ctx context.Context, c *evm.Client) (facts, error) {
	f := facts{wall: time.Since(l.begin)}
	apps, err := l.apps(ctx)
	if err != nil {
		return f, err
	}
	f.apps = apps
	opened, err := c.Openings(ctx, l.Address(), l.block+1)
	if err != nil {
		return f, err
	}
	for _, o := range opened {
		s, err := c.State(ctx, o.ID)
		if err != nil {
			return f, err
		}
		f.channels = append(f.channels, channelFact{
			id: o.ID.String(), closed: s.Status() == channel.Closed,
			deposited: s.Deposited.Big(), claimed: s.Claimed.Big(), refunded: s.Remaining().Big(),
		})
	}
	now, err := c.Balance(ctx, common.HexToAddress(l.Env["APOCRYPH_TOKEN"]), l.Address())
	if err != nil {
		return f, err
	}
	f.spent = new(big.Int).Sub(l.balance.Big(), now.Big())
	if err := l.records(&f); err != nil {
		return f, err
	}
	f.orphans, err = l.orphans(ctx)
	return f, err
}

// apps are the provider's objects with the life's name.
func (l *life) apps(ctx context.Context) ([]appFact, error) {
	var list v1alpha1.AppList
	if err := l.Kube.List(ctx, &list, client.InNamespace(bed.SystemNamespace)); err != nil {
		return nil, err
	}
	var out []appFact
	for _, a := range list.Items {
		if a.Spec.Name != l.name || !strings.EqualFold(a.Spec.Publisher, l.Address().Hex()) {
			continue
		}
		var u v1alpha1.Usage
		if err := l.Kube.Get(ctx, client.ObjectKeyFromObject(&a), &u); err != nil {
			return nil, err
		}
		prices, err := pricesOf(&a)
		if err != nil {
			return nil, err
		}
		verdict, err := l.oracle.Verdict(a.Name, bed.Quantities{CPU: prices.cpu, Memory: prices.memory, Ephemeral: prices.ephemeral, Storage: prices.storage})
		if err != nil {
			return nil, err
		}
		out = append(out, appFact{
			id: a.Name, runtime: verdict, phase: string(a.Status.Phase), end: string(a.Status.EndReason),
			settled: meta.IsStatusConditionTrue(a.Status.Conditions, v1alpha1.ConditionSettled),
			final:   u.Status.Final, open: len(u.Status.Open), prices: prices,
			used: quantities{
				number(u.Status.Totals.CPUMilliSeconds), number(u.Status.Totals.MemoryByteSeconds),
				number(u.Status.Totals.EphemeralByteSeconds), number(u.Status.Totals.StorageByteSeconds),
				number(u.Status.Totals.EgressBytes),
			},
		})
	}
	return out, nil
}

// number is 0 for an empty text.
func number(s string) *big.Int {
	n, _ := new(big.Int).SetString("0"+s, 10)
	return n
}

// pricesOf reads the tariff that the publisher agreed to.
func pricesOf(a *v1alpha1.App) (quantities, error) {
	var terms orderv1.Terms
	var signed orderv1.SignedQuote
	if err := errors.Join(proto.Unmarshal(a.Spec.Terms, &terms), proto.Unmarshal(a.Spec.Quote, &signed)); err != nil {
		return quantities{}, err
	}
	q, err := quote.Verify(&signed, common.BytesToAddress(terms.Signer))
	if err != nil {
		return quantities{}, err
	}
	t, err := tariff.FromProto(q.Tariff)
	if err != nil {
		return quantities{}, err
	}
	return quantities{t.CPUHour.Big(), t.MemoryGiBHour.Big(), t.EphemeralGiBHour.Big(), t.StorageGiBHour.Big(), t.EgressGiB.Big()}, nil
}

// records reads the publisher's own.
func (l *life) records(f *facts) error {
	files, err := filepath.Glob(filepath.Join(l.Home, "state", "apps", "*.json"))
	if err != nil {
		return err
	}
	for _, file := range files {
		var a struct{ Name, Stage string }
		if err := readJSON(file, &a); err != nil {
			return err
		}
		if a.Name == l.name {
			f.stages = append(f.stages, a.Stage)
		}
	}
	var under struct {
		Done bool `json:"done"`
	}
	journal := filepath.Join(l.Home, "wallet.json."+l.Env["APOCRYPH_CHAIN_ID"]+".journal")
	err = readJSON(journal, &under)
	f.pending = err == nil && !under.Done
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	rest, err2 := filepath.Glob(filepath.Join(l.Home, "state", "*", ".new-*"))
	for _, r := range rest {
		f.orphans = append(f.orphans, "file "+r)
	}
	return errors.Join(err, err2)
}

func readJSON(path string, into any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(content, into)
}

// orphans are what is left in the cluster and on the machine though the app has ended.
func (l *life) orphans(ctx context.Context) ([]string, error) {
	var out []string
	var spaces corev1.NamespaceList
	var claims corev1.PersistentVolumeClaimList
	var pods corev1.PodList
	if err := errors.Join(l.Kube.List(ctx, &spaces), l.Kube.List(ctx, &claims), l.Kube.List(ctx, &pods)); err != nil {
		return nil, err
	}
	own := v1alpha1.Namespace(l.app.App)
	for _, n := range spaces.Items {
		if n.Name == own {
			out = append(out, "namespace "+n.Name)
		}
	}
	for _, c := range claims.Items {
		if c.Namespace == own {
			out = append(out, "claim "+c.Name)
		}
	}
	for _, p := range pods.Items {
		if p.Namespace == own {
			out = append(out, "pod "+p.Name)
		}
	}
	return out, nil
}

// orphansOfAll are volumes that nobody claims, files, mounts and loop devices of volumes that are no more, and mounts of pods that are no more:
// what can't be told by the name of the app whose it was.
func (g *ground) orphansOfAll(ctx context.Context) ([]string, error) {
	var out []string
	var volumes corev1.PersistentVolumeList
	var pods corev1.PodList
	if err := errors.Join(g.Kube.List(ctx, &volumes), g.Kube.List(ctx, &pods)); err != nil {
		return nil, err
	}
	known := []string{"disk0"}
	for _, v := range volumes.Items {
		known = append(known, v.Name)
		if v.Status.Phase != corev1.VolumeBound {
			out = append(out, fmt.Sprintf("volume %s is %s", v.Name, v.Status.Phase))
		}
	}
	dir, err := g.Inside(g.volume)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !slices.Contains(known, strings.TrimSuffix(e.Name(), ".ext4")) {
			out = append(out, "volume's file "+e.Name())
		}
	}
	loops, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, err
	}
	for _, loop := range loops {
		file, err := os.ReadFile(loop)
		name, ours := strings.CutPrefix(strings.TrimSpace(string(file)), g.volume+"/")
		if err == nil && ours && !slices.Contains(known, strings.TrimSuffix(name, ".ext4")) {
			out = append(out, "loop device of "+name)
		}
	}
	mounts, err := g.podMounts()
	if err != nil {
		return nil, err
	}
	for _, uid := range mounts {
		if !slices.ContainsFunc(pods.Items, func(p corev1.Pod) bool { return string(p.UID) == uid }) {
			out = append(out, "mount of pod "+uid)
		}
	}
	return out, nil
}

// podMounts are the UIDs of the pods that kubelet holds mounts for.
func (g *ground) podMounts() ([]string, error) {
	root, err := g.Inside("")
	if err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(filepath.Dir(root), "mountinfo"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var out []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		_, rest, ok := strings.Cut(lines.Text(), "/var/lib/kubelet/pods/")
		uid, _, _ := strings.Cut(rest, "/")
		if ok && !slices.Contains(out, uid) {
			out = append(out, uid)
		}
	}
	return out, nil
}

// claimedByAll is what was ever claimed on the channels of all apps that the provider knows.
func (g *ground) claimedByAll(ctx context.Context, c *evm.Client) (*big.Int, error) {
	var list v1alpha1.AppList
	if err := g.Kube.List(ctx, &list, client.InNamespace(bed.SystemNamespace)); err != nil {
		return nil, err
	}
	sum := new(big.Int)
	for _, a := range list.Items {
		id, err := channel.ParseID(a.Spec.Channel)
		if err != nil {
			return nil, err
		}
		s, err := c.State(ctx, id)
		if err != nil {
			return nil, err
		}
		sum.Add(sum, s.Claimed.Big())
	}
	return sum, nil
}
