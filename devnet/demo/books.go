// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"fmt"
	"math/big"
)

// books are the numbers of one app from end to end, each from the place where it is true: usage from the provider's last bill, the
// channel from the contract, the balance from the token. All in base units, quantities in their own.
type books struct {
	Usage             map[string]*big.Int
	Prices            map[string]*big.Int
	Owed              *big.Int
	Deposited         *big.Int
	Claimed           *big.Int
	Refunded          *big.Int
	ProviderReceived  *big.Int
	PublisherReturned *big.Int
}

// check returns every way in which the books do not balance, to the base unit.
func (b books) check() error {
	var errs []error
	if sum := new(big.Int).Add(b.Claimed, b.Refunded); sum.Cmp(b.Deposited) != 0 {
		errs = append(errs, fmt.Errorf("deposited %s, but claimed %s + refunded %s = %s", b.Deposited, b.Claimed, b.Refunded, sum))
	}
	if due := b.due(); due.Cmp(b.Claimed) != 0 {
		errs = append(errs, fmt.Errorf("claimed %s, but usage × tariff rounded down is %s", b.Claimed, due))
	}
	if b.Owed.Cmp(b.Claimed) != 0 {
		errs = append(errs, fmt.Errorf("claimed %s, but the bill says %s is owed", b.Claimed, b.Owed))
	}
	if b.ProviderReceived.Cmp(b.Claimed) != 0 {
		errs = append(errs, fmt.Errorf("claimed %s, but the payout address received %s", b.Claimed, b.ProviderReceived))
	}
	if b.PublisherReturned.Cmp(b.Refunded) != 0 {
		errs = append(errs, fmt.Errorf("refunded %s, but the publisher's wallet got back %s", b.Refunded, b.PublisherReturned))
	}
	if b.Claimed.Sign() <= 0 {
		errs = append(errs, errors.New("nothing was claimed: the demo proves nothing"))
	}
	return errors.Join(errs...)
}

// due computes what the usage costs, by the published formula and on purpose not with the product's code.
func (b books) due() *big.Int {
	const gib = 1 << 30
	term := func(name string, scale int64) *big.Int {
		t := new(big.Int).Mul(b.Usage[name], b.Prices[name])
		return t.Mul(t, big.NewInt(scale))
	}
	sum := term("cpu", gib)
	for _, name := range []string{"memory", "ephemeral", "storage"} {
		sum.Add(sum, term(name, 1000))
	}
	sum.Add(sum, term("egress", 1000*3600))
	return sum.Quo(sum, new(big.Int).Mul(big.NewInt(1000*3600), big.NewInt(gib)))
}
