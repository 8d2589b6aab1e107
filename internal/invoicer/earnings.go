// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/metered"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

// Earning is what one app that is there has brought, and still should. Amounts are base units of Token.
type Earning struct {
	App   string `json:"app"`
	Name  string `json:"name"`
	Token string `json:"token"`
	// Funded is the reason of the condition Funded, Ended why the app ended.
	Funded string `json:"funded"`
	Ended  string `json:"ended,omitempty"`
	// Owed is usage × tariff; Claimed is paid; Due is owed, not paid, and covered by the deposit; Uncovered is owed and not covered.
	Owed      tariff.Amount `json:"owed"`
	Vouchered tariff.Amount `json:"vouchered"`
	Claimed   tariff.Amount `json:"claimed"`
	Due       tariff.Amount `json:"due"`
	Uncovered tariff.Amount `json:"uncovered"`
	Deposited tariff.Amount `json:"deposited"`
	// Hourly is what it costs now.
	Hourly tariff.Amount `json:"hourly"`
	// SeenAt is when the chain was read; zero if it never was.
	SeenAt time.Time `json:"seen_at"`
}

// Earnings returns one for each app that is there, by app, from what the services wrote down. An app whose order can't be read is left out
// and joined to the error.
func Earnings(ctx context.Context, cluster client.Reader, namespace string) ([]Earning, error) {
	var apps v1alpha1.AppList
	if err := cluster.List(ctx, &apps, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing apps: %w", err)
	}
	var all []Earning
	var errs []error
	for i := range apps.Items {
		app := &apps.Items[i]
		var u v1alpha1.Usage
		err := cluster.Get(ctx, client.ObjectKeyFromObject(app), &u)
		if apierrors.IsNotFound(err) {
			err = nil // nothing was used yet
		}
		var e Earning
		if err == nil {
			e, err = earning(app, u.Status)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("app %s: %w", app.Name, err))
			continue
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Earning) int { return cmp.Compare(a.App, b.App) })
	return all, errors.Join(errs...)
}

func earning(app *v1alpha1.App, u v1alpha1.UsageStatus) (Earning, error) {
	e := Earning{App: app.Name, Name: app.Spec.Name, Ended: string(app.Status.EndReason)}
	var wire orderv1.Terms
	var signed orderv1.SignedQuote
	var q orderv1.Quote
	for _, f := range []struct {
		from []byte
		to   proto.Message
	}{{app.Spec.Terms, &wire}, {app.Spec.Quote, &signed}} {
		if err := proto.Unmarshal(f.from, f.to); err != nil {
			return e, fmt.Errorf("%w: %w", errOrder, err)
		}
	}
	terms, err := channel.FromProto(&wire)
	if err != nil {
		return e, err
	}
	e.Token = terms.Token.Hex()
	if err := proto.Unmarshal(signed.Quote, &q); err != nil {
		return e, fmt.Errorf("%w: %w", errOrder, err)
	}
	prices, err := tariff.FromProto(q.Tariff)
	if err != nil {
		return e, err
	}
	used, err := metered.Accrued(u)
	if err != nil {
		return e, err
	}
	e.Owed = prices.Cost(used)
	var running usage.Rate
	for _, i := range u.Open {
		running = running.Add(metered.RateOf(i))
	}
	e.Hourly = prices.Cost(running.For(secondsPerHour))
	if c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionFunded); c != nil {
		e.Funded = c.Reason
	}
	if v := written(u.Voucher, app.Spec.Channel); v != nil {
		e.Vouchered = v.Total
	}
	return e.with(app.Status.Funds)
}

// with adds what the chain said.
func (e Earning) with(f *v1alpha1.Funds) (Earning, error) {
	if f == nil {
		e.Uncovered = e.Owed
		return e, nil
	}
	var err1, err2 error
	e.Deposited, err1 = tariff.ParseAmount(f.Deposited)
	e.Claimed, err2 = tariff.ParseAmount(f.Claimed)
	e.SeenAt = f.SeenAt.UTC()
	covered := e.Owed.Min(e.Deposited)
	if due, err := covered.Sub(e.Claimed); err == nil && !f.Closed {
		e.Due = due
	}
	paid := covered
	if f.Closed { // nothing more comes
		paid = e.Claimed
	}
	if rest, err := e.Owed.Sub(paid); err == nil {
		e.Uncovered = rest
	}
	return e, errors.Join(err1, err2)
}

// Sums adds earnings up by token.
func Sums(all []Earning) []Earning {
	byToken := map[string]*Earning{}
	var order []string
	for _, e := range all {
		s := byToken[e.Token]
		if s == nil {
			s = &Earning{Token: e.Token}
			byToken[e.Token] = s
			order = append(order, e.Token)
		}
		for _, f := range []struct {
			to   *tariff.Amount
			from tariff.Amount
		}{
			{&s.Owed, e.Owed}, {&s.Vouchered, e.Vouchered}, {&s.Claimed, e.Claimed}, {&s.Due, e.Due},
			{&s.Uncovered, e.Uncovered}, {&s.Deposited, e.Deposited}, {&s.Hourly, e.Hourly},
		} {
			*f.to = f.to.Add(f.from)
		}
	}
	slices.Sort(order)
	sums := make([]Earning, 0, len(order))
	for _, token := range order {
		sums = append(sums, *byToken[token])
	}
	return sums
}
