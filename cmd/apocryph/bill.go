// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/apocryph/apocryph/internal/account"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/publisher"
)

type billCmd struct {
	Show   billShowCmd   `cmd:"" default:"withargs" help:"Show what an app used and what that costs; the same without the word show."`
	Verify billVerifyCmd `cmd:"" help:"Check a bill that was written to a file, offline."`
}

type billShowCmd struct {
	StateFlags
	ChainFlags
	WalletFlags
	TrustFlags
	OutputFlags
	AppArg

	Channel string `help:"Id of a channel that paid for the app before, whose final account is wanted." placeholder:"0x…"`
	CSV     bool   `name:"csv" help:"Print a table with a line for each resource, in base units and exact quantities."`
	File    string `short:"o" help:"Also write the enclave's signed account to a file, for apocryph bill verify." placeholder:"FILE"`
}

// Run shows an app's account.
func (c *billShowCmd) Run(ctx context.Context, a *publisher.App, chain *Chain, w *Wallet, p *publisher.Publisher, con *Console) error {
	chain.join(p, w)
	b, err := c.bill(ctx, a, p)
	if err != nil {
		return err
	}
	if c.File != "" {
		if err := keepBill(c.File, b); err != nil {
			return err
		}
		con.Note("the enclave's account is in %s; check it with: apocryph bill verify %s", c.File, c.File)
	}
	token, err := chain.Token(ctx, a.Token)
	if err != nil {
		return err
	}
	return con.Result(billOf(a, b, token), func(out io.Writer) error {
		if c.CSV {
			return writeBillCSV(out, b, token)
		}
		if err := writeBill(out, b, token); err != nil || c.Channel != "" {
			return err
		}
		return writeBefore(out, a)
	})
}

func (c *billShowCmd) bill(ctx context.Context, a *publisher.App, p *publisher.Publisher) (*publisher.Bill, error) {
	if c.Channel == "" {
		return p.Bill(ctx, a)
	}
	id, err := channel.ParseID(c.Channel)
	if err != nil {
		return nil, usageError{err}
	}
	return p.FormerBill(ctx, a, id)
}

// writeBefore says where the accounts of the channels before are.
func writeBefore(out io.Writer, a *publisher.App) error {
	w := table(out)
	for _, f := range a.FormerChannels() {
		row(w, "before", fmt.Sprintf("apocryph bill %s --channel %s", a.Name, f.Channel.ID))
	}
	return w.Flush()
}

// keepBill writes a bill's file, never over another.
func keepBill(path string, b *publisher.Bill) error {
	if b.Signed == nil {
		return fault.Hint(errors.New("the provider sent no account that its enclave signed"), "try again in a moment; without -o the bill is shown all the same")
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fault.Hint(fmt.Errorf("%s is there already", path), "name another file with -o")
	}
	if err != nil {
		return err
	}
	if err := errors.Join(b.Signed.Write(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path)) // half a bill would be in the way of a whole one
	}
	return nil
}

func writeBillCSV(out io.Writer, b *publisher.Bill, t publisher.Token) error {
	w := csv.NewWriter(out)
	records := [][]string{{"resource", "quantity", "quantity_unit", "price_per_unit_hour", "unit", "amount"}}
	for _, l := range b.Tariff.Lines(b.Usage) {
		records = append(records, []string{l.Resource, l.Quantity.String(), l.Part, l.Price.String(), l.Unit, l.Amount.String()})
	}
	for _, sum := range []struct{ name, amount string }{
		{"arrears", b.Arrears.String()}, {"owed", b.Owed.String()}, {"vouchered", b.Vouchered.String()}, {"claimed", b.Claimed.String()}, {"deposited", b.Deposited.String()},
		{"left", b.Left.String()}, {"reserve", b.Reserve.String()},
	} {
		records = append(records, []string{sum.name, "", "", "", "", sum.amount})
	}
	records = append(records, []string{"token", "", "", "", "", t.Address.Hex()})
	return w.WriteAll(records)
}

type billVerifyCmd struct {
	OutputFlags

	File    string `arg:"" help:"File that apocryph bill -o wrote; - is standard input."`
	Channel string `help:"Id of the channel that it has to be of; without it, compare what is printed." placeholder:"0x…"`
}

type verifiedView struct {
	Event     string    `json:"event"`
	App       string    `json:"app"`
	Channel   string    `json:"channel"`
	Publisher string    `json:"publisher"`
	Payout    string    `json:"payout"`
	Signer    string    `json:"signer"`
	Token     string    `json:"token"`
	Tariff    any       `json:"tariff"`
	Usage     usageView `json:"usage"`
	Arrears   string    `json:"arrears"`
	Total     string    `json:"total"`
	AccruedTo time.Time `json:"accrued_to,omitzero"`
	Sequence  uint64    `json:"sequence"`
	Final     bool      `json:"final"`
	Steps     []string  `json:"steps"`
}

// Run checks a bill.
func (c *billVerifyCmd) Run(std stdio, con *Console) error {
	content, err := readInput(std, c.File)
	if err != nil {
		return err
	}
	d, err := account.Read(bytes.NewReader(content))
	if err != nil {
		return fault.Hint(fmt.Errorf("%s: %w", c.File, err), "name a file that apocryph bill -o wrote")
	}
	v, err := d.Verify()
	if err == nil && c.Channel != "" {
		err = sameChannel(v, c.Channel)
	}
	if err != nil {
		for _, s := range v.Steps {
			con.Note("holds     %s", s)
		}
		return fault.Hint(fmt.Errorf("%s is no good bill: %w", c.File, err), "don't pay or book anything by it")
	}
	return con.Result(verifiedOf(v), func(out io.Writer) error { return writeVerified(out, v) })
}

func sameChannel(v account.Verified, text string) error {
	want, err := channel.ParseID(text)
	if err != nil {
		return usageError{err}
	}
	if v.Account.Channel != want {
		return fmt.Errorf("it is of channel %s: %w", v.Account.Channel, account.ErrInvalid)
	}
	return nil
}

func verifiedOf(v account.Verified) verifiedView {
	a := v.Account
	return verifiedView{
		Event: "result", App: publisher.AppID{AppID: a.App}.String(), Channel: a.Channel.String(), Publisher: v.Terms.Publisher.Hex(), Payout: v.Terms.Payout.Hex(),
		Signer: v.Terms.Signer.Hex(), Token: v.Terms.Token.Hex(), Tariff: tariffOf(v.Prices), Usage: usageOf(a.Usage), Arrears: a.Arrears.String(), Total: a.Total.String(),
		AccruedTo: a.AccruedTo.UTC(), Sequence: a.Sequence, Final: a.Final, Steps: v.Steps,
	}
}

// countedTo says up to when usage is counted; before the first tick of the meter that is no time at all.
func countedTo(w io.Writer, at time.Time) {
	if !at.IsZero() {
		row(w, "counted to", at.UTC().Format(time.RFC3339))
	}
}

func writeVerified(out io.Writer, v account.Verified) error {
	w := table(out)
	for _, s := range v.Steps {
		row(w, "holds", s)
	}
	for _, l := range v.Prices.Lines(v.Account.Usage) {
		row(w, l.Resource, fmt.Sprintf("%s %s at %s base units: %s", publisher.Units(l), l.Unit, l.Price, l.Amount))
	}
	if !v.Account.Arrears.IsZero() {
		row(w, "arrears", v.Account.Arrears.String()+" base units that channels before this one left unpaid")
	}
	row(w, "total", v.Account.Total.String()+" base units of token "+v.Terms.Token.Hex())
	countedTo(w, v.Account.AccruedTo)
	row(w, "trust", "that the quantities are true is worth what the evidence that named signer "+v.Terms.Signer.Hex()+" is worth")
	return w.Flush()
}
