// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/tariff"
)

// ChainFlags say where the money is.
type ChainFlags struct {
	ChainID  uint64         `name:"chain-id" help:"Id of the chain." required:""`
	Channels common.Address `help:"Address of the Channels contract." required:""`
}

func (f ChainFlags) domain() eip712.Domain {
	return eip712.Domain{ChainID: f.ChainID, Contract: f.Channels}
}

// OfferFlags say who the provider is and what it sells. Gateway and keeper must be given the same: the keeper signs no other offer.
type OfferFlags struct {
	Provider common.Address `help:"The provider's Ethereum address." required:""`
	Payout   common.Address `help:"Address that gets the money." required:""`
	Token    common.Address `name:"token-address" help:"Address of the ERC-20 token that prices are in." required:""`

	// Prices in base units of the token.
	PriceCPUHour          tariff.Amount `name:"price-cpu-hour" help:"Price of a vCPU for an hour, in base units." default:"0"`
	PriceMemoryGiBHour    tariff.Amount `name:"price-memory-gib-hour" help:"Price of a GiB of memory for an hour, in base units." default:"0"`
	PriceEphemeralGiBHour tariff.Amount `name:"price-ephemeral-gib-hour" help:"Price of a GiB of ephemeral storage for an hour, in base units." default:"0"`
	PriceStorageGiBHour   tariff.Amount `name:"price-storage-gib-hour" help:"Price of a GiB of volume for an hour, in base units." default:"0"`
	PriceEgressGiB        tariff.Amount `name:"price-egress-gib" help:"Price of a GiB that leaves for addresses outside of the cluster, in base units." default:"0"`
	// PriceUnitHour names the extended resources that are sold.
	PriceUnitHour map[string]tariff.Amount `name:"price-unit-hour" help:"Price of a piece of an extended resource for an hour, as in nvidia.com/gpu=900000; again for each. What has no price is not sold." placeholder:"NAME=PRICE"`
}

func (f OfferFlags) tariff() tariff.Tariff {
	return tariff.Tariff{
		Token:            f.Token,
		CPUHour:          f.PriceCPUHour,
		MemoryGiBHour:    f.PriceMemoryGiBHour,
		EphemeralGiBHour: f.PriceEphemeralGiBHour,
		StorageGiBHour:   f.PriceStorageGiBHour,
		EgressGiB:        f.PriceEgressGiB,
		UnitHour:         f.PriceUnitHour,
	}
}
