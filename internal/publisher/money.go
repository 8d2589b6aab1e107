// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/tariff"
)

// Token is how amounts of a token are shown to people; programs get base units.
type Token struct {
	Address  common.Address
	Symbol   string
	Decimals uint8
}

// maxDecimals bounds what a token can make us print.
const maxDecimals = 36

// Format returns an amount in token units with the symbol, exactly, as in "1.25 TEST".
func (t Token) Format(a tariff.Amount) string {
	decimals := int(min(t.Decimals, maxDecimals))
	digits := a.String()
	if len(digits) <= decimals {
		digits = strings.Repeat("0", decimals-len(digits)+1) + digits
	}
	whole, part := digits[:len(digits)-decimals], strings.TrimRight(digits[len(digits)-decimals:], "0")
	if part != "" {
		whole += "." + part
	}
	return whole + " " + t.symbol()
}

// symbol is what the token says, without anything that could deceive on a terminal.
func (t Token) symbol() string {
	s := strings.Map(func(r rune) rune {
		if r < '!' || r > '~' {
			return -1
		}
		return r
	}, t.Symbol)
	if s == "" || len(s) > 12 {
		return "tokens"
	}
	return s
}

// Parse reads an amount in token units, as in 12 or 0.5, exactly.
func (t Token) Parse(text string) (tariff.Amount, error) {
	bad := func(why string) (tariff.Amount, error) {
		return tariff.Amount{}, fault.Hint(fmt.Errorf("%.80q is no amount: %s: %w", text, why, ErrMoney), "write it in "+t.symbol()+", as in 12 or 0.5")
	}
	whole, part, _ := strings.Cut(text, ".")
	part = strings.TrimRight(part, "0")
	switch decimals := int(min(t.Decimals, maxDecimals)); {
	case whole == "" && part == "":
		return bad("it has no digits")
	case len(part) > decimals:
		return bad(fmt.Sprintf("it has more than %d decimals", decimals))
	default:
		part += strings.Repeat("0", decimals-len(part))
	}
	a, err := tariff.ParseAmount(whole + part)
	if err != nil {
		return bad("only digits and one point")
	}
	return a, nil
}

// runway is how long an amount lasts at a price per hour, in whole seconds; 0 when nothing costs anything.
func runway(amount, hourly tariff.Amount) time.Duration {
	if hourly.IsZero() {
		return 0
	}
	s := new(big.Int).Mul(amount.Big(), big.NewInt(3600))
	s.Quo(s, hourly.Big())
	const longest = 100 * 365 * 24 * 3600
	if !s.IsInt64() || s.Int64() > longest {
		return longest * time.Second
	}
	return time.Duration(s.Int64()) * time.Second
}

// Units shows a line's quantity in the units that its price is for, with four decimals, rounded down; for people only.
func Units(l tariff.Line) string {
	const decimals = 10_000
	n := l.Quantity.Big()
	n.Mul(n, big.NewInt(decimals))
	n.Quo(n, big.NewInt(l.PerUnit))
	n.Quo(n, big.NewInt(l.Seconds))
	whole, part := new(big.Int).QuoRem(n, big.NewInt(decimals), new(big.Int))
	return fmt.Sprintf("%s.%04d", whole, part)
}
