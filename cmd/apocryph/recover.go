// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/publisher"
)

type channelRecoverCmd struct {
	StateFlags
	ChainFlags
	WalletFlags
	OutputFlags

	From      string `help:"Address of the wallet, where its file is not at hand." placeholder:"ADDRESS"`
	FromBlock uint64 `help:"Look from this block on: quicker on a long chain." placeholder:"NUMBER"`
}

type recoveredView struct {
	Event    string          `json:"event"`
	Wallet   string          `json:"wallet"`
	Channels []foundChannels `json:"channels"`
}

type foundChannels struct {
	channelView

	// New says that it was written down now.
	New bool `json:"new"`
}

// Run lists the wallet's channels on the chain.
func (c *channelRecoverCmd) Run(ctx context.Context, s *publisher.Store, chain *Chain, con *Console) error {
	who, err := c.wallet()
	if err != nil {
		return err
	}
	p := &publisher.Publisher{Store: s, Chain: chain, Token: chain.token, Report: con.Step}
	found, err := p.Recover(ctx, who, c.FromBlock)
	if err != nil {
		return err
	}
	v := recoveredView{Event: "result", Wallet: who.Hex(), Channels: []foundChannels{}}
	for i := range found {
		v.Channels = append(v.Channels, foundChannels{channelOf(&found[i].View), found[i].New})
	}
	return con.Result(v, func(out io.Writer) error { return writeRecovered(out, found) })
}

func (c *channelRecoverCmd) wallet() (common.Address, error) {
	if c.From != "" {
		return address(c.From, "--from", "--wallet FILE")
	}
	w, err := c.WalletFlags.open()
	if err != nil {
		return common.Address{}, err
	}
	return w.Address(), nil
}

func writeRecovered(out io.Writer, found []publisher.Recovered) error {
	if len(found) == 0 {
		_, err := fmt.Fprintln(out, "this wallet has opened no channel of this contract")
		return err
	}
	fresh := 0
	for i := range found {
		if err := writeChannel(out, &found[i].View); err != nil {
			return err
		}
		if found[i].New {
			fresh++
		}
		if _, err := fmt.Fprintln(out); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "%d found, %d of them written down now\n", len(found), fresh)
	return err
}
