// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/metered"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

// Earning is what one app that is there has brought on one of its channels, and still should. Amounts are base units of Token.
type Earning struct {
	App     string `json:"app"`
	Name    string `json:"name"`
	Channel string `json:"channel"`
	// Former says that another channel pays now.
	Former bool   `json:"former,omitempty"`
	Token  string `json:"token"`
	// Funded is the reason of the condition Funded, Ended why the app ended.
	Funded string `json:"funded"`
	Ended  string `json:"ended,omitempty"`
	// Owed is usage × tariff, without what is owed on another channel instead; Claimed is paid; Due is owed, not paid, and covered by the deposit; Uncovered is owed and not covered.
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

// Earnings returns one for each channel of each app that is there, by app and oldest first, from what the services wrote down. An app whose order can't be read is left out
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
		var of []Earning
		if err == nil {
			of, err = earnings(app, u.Status)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("app %s: %w", app.Name, err))
			continue
		}
		all = append(all, of...)
	}
	slices.SortStableFunc(all, func(a, b Earning) int { return cmp.Compare(a.App, b.App) })
	return all, errors.Join(errs...)
}

// earnings are those of an app's channels that have paid or are to pay. One that is to follow and does not pay yet has brought nothing.
func earnings(app *v1alpha1.App, u v1alpha1.UsageStatus) ([]Earning, error) {
	row, err := metered.Row(app.Spec)
	if err != nil {
		return nil, err
	}
	book, err := metered.Book(row, u)
	if err != nil {
		return nil, err
	}
	used, err := metered.Accrued(u)
	if err != nil {
		return nil, err
	}
	all := make([]Earning, 0, len(row))
	for i, line := range book.Lines() {
		e := earning(app, row[i])
		e.Former, e.Owed = true, line.Account.Total
		if line.Arrears != nil {
			if e.Owed, err = e.Owed.Sub(line.Arrears.Amount); err != nil {
				return nil, err
			}
		}
		if v := written(u.Former[i].Voucher, e.Channel); v != nil {
			e.Vouchered = v.Total
		}
		if e, err = e.with(formerFunds(app.Status.Former, e.Channel)); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	e := earning(app, row[book.Len()])
	e.Owed = book.Now(row[book.Len()].Payer, used, time.Time{}).Total
	var running usage.Rate
	for _, i := range u.Open {
		running = running.Add(metered.RateOf(i))
	}
	e.Hourly = row[book.Len()].Prices.Cost(running.For(secondsPerHour))
	if v := written(u.Voucher, e.Channel); v != nil {
		e.Vouchered = v.Total
	}
	funds := app.Status.Funds
	if funds != nil && funds.Channel != "" && funds.Channel != e.Channel {
		funds = formerFunds(app.Status.Former, e.Channel)
	}
	e, err = e.with(funds)
	return append(all, e), err
}

func earning(app *v1alpha1.App, on metered.Channel) Earning {
	e := Earning{App: app.Name, Name: app.Spec.Name, Channel: on.Channel.String(), Ended: string(app.Status.EndReason), Token: on.Terms.Token.Hex()}
	if c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionFunded); c != nil {
		e.Funded = c.Reason
	}
	return e
}

// formerFunds is what was told of a channel before, nil if nothing was.
func formerFunds(told []v1alpha1.FormerFunds, channel string) *v1alpha1.Funds {
	for _, f := range told {
		if f.Channel == channel {
			return &v1alpha1.Funds{Deposited: f.Deposited, Claimed: f.Claimed, Refunded: f.Refunded, Closed: f.Closed}
		}
	}
	return nil
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
	if !f.SeenAt.IsZero() {
		e.SeenAt = f.SeenAt.UTC()
	}
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
