// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/apocryph/apocryph/internal/evm"

// EndpointFlags say where the chain is reached and how sure one wants to be of what is read there.
type EndpointFlags struct {
	RPC []string `name:"rpc" help:"URL of a JSON-RPC endpoint of the chain; several times, or with commas, in the order of preference. With two or more, most of them have to agree on what can't be taken back." required:""`

	Confirmations uint64 `help:"Blocks that have to follow the one with good news, such as a deposit; 0 takes the newest block at its word." default:"0"`
	FinalAfter    uint64 `help:"For chains without finalized blocks: how many blocks make one final, itself included; 0 asks the chain." default:"0"`
	MaxLag        uint64 `help:"Blocks that an endpoint may be behind the others." default:"5"`
}

func (f EndpointFlags) config(c ChainFlags) evm.Config {
	return evm.Config{ChainID: c.ChainID, Channels: c.Channels, Confirmations: f.Confirmations, FinalAfter: f.FinalAfter, MaxLag: f.MaxLag}
}
