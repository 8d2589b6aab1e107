// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
)

// Receipt is what build/demo/receipt.json holds. Amounts are decimal strings in base units, times decimal seconds.
type Receipt struct {
	App              string            `json:"app"`
	URL              string            `json:"url"`
	HTTPStatus       int               `json:"http_status"`
	Channel          string            `json:"channel"`
	Usage            map[string]string `json:"usage"`
	Prices           map[string]string `json:"prices"`
	Owed             string            `json:"owed"`
	Claimed          string            `json:"claimed"`
	Deposited        string            `json:"deposited"`
	Refunded         string            `json:"refunded"`
	ProviderReceived string            `json:"provider_received"`
	Timings          struct {
		Build         string `json:"build"`
		DevnetReady   string `json:"devnet_ready"`
		DeployToReady string `json:"deploy_to_ready"`
		FirstByte     string `json:"first_byte"`
	} `json:"timings"`
}

func (r *Receipt) take(b books) {
	text := func(m map[string]*big.Int) map[string]string {
		out := map[string]string{}
		for k, v := range m {
			out[k] = v.String()
		}
		return out
	}
	r.Usage, r.Prices = text(b.Usage), text(b.Prices)
	r.Owed, r.Claimed, r.Deposited = b.Owed.String(), b.Claimed.String(), b.Deposited.String()
	r.Refunded, r.ProviderReceived = b.Refunded.String(), b.ProviderReceived.String()
}

// write stores the receipt and shows it.
func (d *demo) write() error {
	data, err := json.MarshalIndent(d.receipt, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Join(d.Root, "build", "demo")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(d.Out, "\n%s\n", data)
	return os.WriteFile(filepath.Join(dir, "receipt.json"), append(data, '\n'), 0o644)
}

// fromBill takes usage, prices and what is owed.
func (b *books) fromBill(from bill) error {
	var err error
	b.Usage, err = numbers(map[string]string{
		"cpu": from.Usage.CPU, "memory": from.Usage.Memory, "ephemeral": from.Usage.Ephemeral, "storage": from.Usage.Storage,
		"egress": from.Usage.Egress,
	})
	if err != nil {
		return err
	}
	b.Prices, err = numbers(map[string]string{
		"cpu": from.Tariff.CPU, "memory": from.Tariff.Memory, "ephemeral": from.Tariff.Ephemeral, "storage": from.Tariff.Storage,
		"egress": from.Tariff.Egress,
	})
	if err != nil {
		return err
	}
	b.Owed, err = number(from.Owed)
	return err
}

func numbers(texts map[string]string) (map[string]*big.Int, error) {
	out := map[string]*big.Int{}
	for k, text := range texts {
		n, err := number(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		out[k] = n
	}
	return out, nil
}

func number(text string) (*big.Int, error) {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return nil, fmt.Errorf("%q is no decimal integer", text)
	}
	return n, nil
}

func (d *demo) readBooks(ctx context.Context) (books, error) {
	var b books
	deposited, claimed, closed, err := d.Chain.Channel(ctx, d.app.Channel)
	if err != nil {
		return b, err
	}
	if !closed {
		return b, errors.New("the channel is not closed")
	}
	b.Deposited, b.Claimed = deposited, claimed
	if b.Refunded, err = d.Chain.Refunded(ctx, d.app.Channel); err != nil {
		return b, err
	}
	if b.ProviderReceived, err = d.received(ctx); err != nil {
		return b, err
	}
	publisher, err := d.Chain.Balance(ctx, d.wallet)
	if err != nil {
		return b, err
	}
	// What the wallet has now, less what was left in it after the deposit.
	b.PublisherReturned = publisher.Sub(publisher, new(big.Int).Sub(d.before.publisher, deposited))
	return b, b.fromBill(d.bill)
}

// received is what the payout address got for this app: all that it got, less what was claimed on the provider's other channels. The
// chain is read between two looks at its head, so that no block falls in between.
func (d *demo) received(ctx context.Context) (got *big.Int, err error) {
	err = retry(ctx, func() error {
		head, err := d.Chain.Head(ctx)
		if err != nil {
			return err
		}
		all, err := d.Chain.Balance(ctx, d.Chain.Provider())
		if err != nil {
			return err
		}
		beside, err := d.Chain.ClaimedBeside(ctx, d.app.Channel, d.before.block+1)
		if err != nil {
			return err
		}
		after, err := d.Chain.Head(ctx)
		if err == nil && after != head {
			err = errors.New("the chain goes on")
		}
		got = all.Sub(all, d.before.provider)
		got.Sub(got, beside)
		return err
	})
	return got, err
}
