// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
)

// widget is an extended resource that the devnet's provider sells, and that no machine has before somebody says so.
const widget = "example.org/widget"

// An app with an extended resource is billed for it, and for what the facade sends for it to its users, and all of it is paid to the unit.
func TestExtendedResourcesAndEgressAreBilled(t *testing.T) {
	d := bed.Connect(t)
	p := d.NewPerson(t, true)
	with := func(resource string) string {
		return p.Write("compose.yaml", strings.Replace(bed.ProbeFile(""), "    cpus: 0.1\n", "    cpus: 0.1\n    x-apocryph: {resources: {"+resource+": 2}}\n", 1))
	}
	if r := p.Run("deploy", with("example.org/other"), "--name", "widgets", "--for", "1h", "--yes"); r.Code == 0 || !strings.Contains(r.Stderr, "the app wants example.org/other, for which there is no price here") {
		t.Errorf("what has no price: %d %s", r.Code, r.Stderr)
	}
	if r := p.Run("deploy", with(widget), "--name", "widgets", "--for", "1h", "--yes"); r.Code == 0 || !strings.Contains(r.Stderr, "fits on no machine: it wants 2 of "+widget) {
		t.Errorf("what no machine has: %d %s", r.Code, r.Stderr)
	}
	giveMachines(t, d, 4) // two, and two more while they are replaced

	var app bed.Deployed
	p.MustJSON(&app, "deploy", with(widget), "--name", "widgets", "--for", "1h", "--yes")
	var pods corev1.PodList
	if err := d.Kube.List(t.Context(), &pods, client.InNamespace(v1alpha1.Namespace(app.App)), client.HasLabels{v1alpha1.LabelService}); err != nil || len(pods.Items) != 1 {
		t.Fatalf("%d pods, %v", len(pods.Items), err)
	}
	if n := pods.Items[0].Spec.Containers[0].Resources.Limits[widget]; n.Value() != 2 {
		t.Errorf("its pod has %s of it", n.String())
	}
	came := int64(0)
	for range 20 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, app.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := d.Web().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%d after %d bytes: %v", answer.StatusCode, n, err)
		}
		_ = answer.Body.Close()
		came += n
	}
	var bill struct {
		Usage struct {
			Egress   string            `json:"egress_bytes"`
			Extended map[string]string `json:"extended_unit_seconds"`
		} `json:"usage"`
		Lines []struct {
			Resource string `json:"resource"`
			Quantity string `json:"quantity"`
			PerUnit  int64  `json:"quantity_per_unit"`
			Seconds  int64  `json:"seconds_per_unit"`
			Price    string `json:"price_per_unit_hour"`
		} `json:"lines"`
		Owed   string `json:"owed"`
		Signed bool   `json:"signed"`
	}
	bed.Eventually(t, "every byte that came is billed, and the widgets are", func() error {
		p.MustJSON(&bill, "bill", "widgets")
		if bill.Usage.Egress != fmt.Sprint(came) || bill.Usage.Extended[widget] == "" || !bill.Signed {
			return fmt.Errorf("%d bytes came; bill: %+v", came, bill)
		}
		return nil
	})
	if out := p.Must("bill", "widgets", "--csv"); !strings.Contains(out, "\nexample.org/widget,") || !strings.Contains(out, "\negress,") {
		t.Errorf("the table lacks them:\n%s", out)
	}

	var receipt struct {
		bed.Receipt
		Bill struct {
			Usage any    `json:"usage"`
			Owed  string `json:"owed"`
			Lines []struct {
				Resource string `json:"resource"`
				Quantity string `json:"quantity"`
				PerUnit  int64  `json:"quantity_per_unit"`
				Seconds  int64  `json:"seconds_per_unit"`
				Price    string `json:"price_per_unit_hour"`
			} `json:"lines"`
		} `json:"bill"`
	}
	p.MustJSON(&receipt, "stop", "widgets", "--yes")
	if err := receipt.Adds(); err != nil {
		t.Error(err)
	}
	// Usage × tariff once more, as the page on bills has it and not with the product's code.
	sum, lines := new(big.Rat), map[string]bool{}
	for _, l := range receipt.Bill.Lines {
		n, ok1 := new(big.Rat).SetString(l.Quantity)
		price, ok2 := new(big.Rat).SetString(l.Price)
		if !ok1 || !ok2 {
			t.Fatalf("line %+v", l)
		}
		lines[l.Resource] = n.Sign() > 0
		sum.Add(sum, n.Mul(n, price).Quo(n, big.NewRat(l.PerUnit*l.Seconds, 1)))
	}
	due := new(big.Int).Quo(sum.Num(), sum.Denom()).String()
	if due != receipt.Claimed || !lines[widget] || !lines["egress"] {
		t.Errorf("claimed %s, usage × tariff is %s of %v", receipt.Claimed, due, lines)
	}
	var u v1alpha1.Usage
	if err := d.Kube.Get(t.Context(), client.ObjectKey{Namespace: bed.SystemNamespace, Name: app.App}, &u); err != nil || !u.Status.Final {
		t.Fatalf("its account: %+v, %v", u.Status, err)
	}
	// Each second of the pod has two widgets and a tenth of a vCPU; what filled its volume had none.
	cpu, _ := new(big.Int).SetString(u.Status.Totals.CPUMilliSeconds, 10)
	units, _ := new(big.Int).SetString(u.Status.Totals.ExtendedUnitSeconds[widget], 10)
	if cpu == nil || units == nil || cpu.Cmp(new(big.Int).Mul(units, big.NewInt(50))) < 0 || units.Sign() == 0 {
		t.Errorf("%s m·s of cpu beside %s unit seconds of two widgets", cpu, units)
	}
}

// giveMachines puts so many widgets into every Node's status, until the test ends.
func giveMachines(t *testing.T, d *bed.Devnet, n int) {
	t.Helper()
	var nodes corev1.NodeList
	if err := d.Kube.List(t.Context(), &nodes); err != nil {
		t.Fatal(err)
	}
	const path = "/status/capacity/example.org~1widget"
	for i := range nodes.Items {
		node := &nodes.Items[i]
		set := func(patch string) error {
			return d.Kube.Status().Patch(t.Context(), node.DeepCopy(), client.RawPatch(types.JSONPatchType, []byte(patch)))
		}
		if err := set(fmt.Sprintf(`[{"op":"add","path":%q,"value":"%d"}]`, path, n)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := d.Kube.Status().Patch(context.WithoutCancel(t.Context()), node.DeepCopy(), client.RawPatch(types.JSONPatchType, []byte(fmt.Sprintf(`[{"op":"remove","path":%q}]`, path)))); err != nil {
				t.Error(err)
			}
		})
	}
	bed.Eventually(t, "the machines have widgets to give", func() error {
		if err := d.Kube.List(t.Context(), &nodes); err != nil {
			return err
		}
		for _, node := range nodes.Items {
			if has := node.Status.Allocatable[widget]; has.Value() != int64(n) {
				return fmt.Errorf("%s has %s", node.Name, has.String())
			}
		}
		return nil
	})
}
