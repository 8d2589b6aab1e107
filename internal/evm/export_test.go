// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/gen/channels"
)

// ContractTerms are the contract's form of terms, for calls that no Wallet makes.
func ContractTerms(t channel.Terms) channels.Terms { return terms(t) }
