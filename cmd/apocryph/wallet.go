// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/tariff"
)

type walletCmd struct {
	New  walletNewCmd  `cmd:"" help:"Make a wallet: a keystore V3 file with a new key."`
	Show walletShowCmd `cmd:"" help:"Show the wallet's address, and what it has if a chain is configured."`
	Sign walletSignCmd `cmd:"" help:"Sign transactions that were printed elsewhere, after saying what they do. Makes no connection."`
	Send walletSendCmd `cmd:"" help:"Send transactions that were signed elsewhere, and wait until they are mined."`
}

type walletNewCmd struct {
	WalletFlags
	OutputFlags

	Light bool `help:"Make guessing the passphrase cheap, for tests only."`
}

type walletView struct {
	Address string         `json:"address"`
	File    string         `json:"file"`
	Token   *tokenView     `json:"token,omitempty"`
	Balance *tariff.Amount `json:"balance,omitempty"`
	Gas     *tariff.Amount `json:"gas_balance,omitempty"`
}

// Run makes a wallet file.
func (c *walletNewCmd) Run(con *Console) error {
	path, err := c.file()
	if err != nil {
		return err
	}
	passphrase, err := c.passphrase(true)
	if err != nil {
		return err
	}
	if passphrase == "" {
		return fault.Hint(errors.New("an empty passphrase protects nothing"), "choose one of several words")
	}
	address, err := evm.CreateKeystore(path, passphrase, evm.KeystoreOptions{Light: c.Light})
	if errors.Is(err, fs.ErrExist) {
		return fault.Hint(err, "there is a wallet already: show it with apocryph wallet show, or name another file with --wallet")
	}
	if err != nil {
		return err
	}
	return con.Result(walletView{Address: address.Hex(), File: path}, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "address  %s\nfile     %s\n\nkeep a copy of the file and the passphrase: without both of them nobody can get at its money\n", address.Hex(), path)
		return err
	})
}

type walletShowCmd struct {
	ChainFlags
	WalletFlags
	OutputFlags
}

// Run shows the wallet.
func (c *walletShowCmd) Run(ctx context.Context, w *Wallet, con *Console) error {
	v := walletView{Address: w.Address().Hex(), File: w.path}
	if len(c.RPC) == 0 {
		return con.Result(v, func(out io.Writer) error {
			_, err := fmt.Fprintf(out, "address  %s\nfile     %s\n", v.Address, v.File)
			return err
		})
	}
	chain, err := c.dial(ctx)
	if err != nil {
		return err
	}
	token, err := chain.Token(ctx, chain.token)
	if err != nil {
		return err
	}
	balance, err := chain.Balance(ctx, chain.token, w.Address())
	if err != nil {
		return err
	}
	gas, err := chain.client.GasBalance(ctx, w.Address())
	if err != nil {
		return err
	}
	shown := tokenOf(token)
	v.Token, v.Balance, v.Gas = &shown, &balance, &gas
	return con.Result(v, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "address  %s\nfile     %s\nbalance  %s\ngas      %s\n", v.Address, v.File, token.Format(balance), coins(gas))
		return err
	})
}
