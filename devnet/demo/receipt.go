// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"encoding/json"
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
	})
	if err != nil {
		return err
	}
	b.Prices, err = numbers(map[string]string{
		"cpu": from.Tariff.CPU, "memory": from.Tariff.Memory, "ephemeral": from.Tariff.Ephemeral, "storage": from.Tariff.Storage,
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
