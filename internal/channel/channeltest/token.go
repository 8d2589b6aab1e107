// SPDX-License-Identifier: Apache-2.0

package channeltest

import (
	"fmt"
	"maps"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
)

// Answer is how a token answers a transfer.
type Answer uint8

const (
	// Yes moves the money and returns true, as the standard says.
	Yes Answer = iota
	// Nothing moves the money and returns no data.
	Nothing
	// No moves nothing and returns false.
	No
)

// Token is a token's books, and its habits.
type Token struct {
	Balances map[common.Address]*big.Int
	// Allowances are those of the Channels contract.
	Allowances map[common.Address]*big.Int
	// Nonces count permits.
	Nonces map[common.Address]uint64
	// Permits says that there is a permit function at all.
	Permits bool
	// Blocked receive nothing.
	Blocked map[common.Address]bool
	// Fee is kept of each transfer, in parts per million.
	Fee    uint64
	Answer Answer
}

// NewToken returns a token without money.
func NewToken(permits bool) *Token {
	return &Token{
		Balances: map[common.Address]*big.Int{}, Allowances: map[common.Address]*big.Int{}, Nonces: map[common.Address]uint64{},
		Permits: permits, Blocked: map[common.Address]bool{},
	}
}

func (t *Token) clone() *Token {
	c := *t
	c.Balances, c.Allowances, c.Nonces, c.Blocked = maps.Clone(t.Balances), maps.Clone(t.Allowances), maps.Clone(t.Nonces), maps.Clone(t.Blocked)
	return &c
}

// Balance is what an account has.
func (t *Token) Balance(account common.Address) *big.Int { return orZero(t.Balances[account]) }

// Allowance is what the Channels contract may take from an account.
func (t *Token) Allowance(account common.Address) *big.Int { return orZero(t.Allowances[account]) }

// unlimited is the allowance that is not used up.
func unlimited() *big.Int { return sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)) }

// transfer moves money, or says why a token may refuse to.
func (m *Model) transfer(token, from, to common.Address, amount *big.Int) []string {
	t, found := m.Tokens[token]
	if !found || t.Answer == No {
		return []string{"SafeERC20FailedOperation"}
	}
	var refusals []string
	if to == (common.Address{}) {
		refusals = append(refusals, "ERC20InvalidReceiver")
	}
	if t.Blocked[to] {
		refusals = append(refusals, "Blocked")
	}
	if t.Balance(from).Cmp(amount) < 0 {
		refusals = append(refusals, "ERC20InsufficientBalance")
	}
	if refusals != nil {
		return refusals
	}
	fee := new(big.Int).Quo(new(big.Int).Mul(amount, new(big.Int).SetUint64(t.Fee)), big.NewInt(1_000_000))
	t.Balances[from] = sub(t.Balance(from), amount)
	t.Balances[to] = add(t.Balance(to), sub(amount, fee))
	return nil
}

// transferFrom moves money to the contract by its allowance.
func (m *Model) transferFrom(token, from common.Address, amount *big.Int) []string {
	t, found := m.Tokens[token]
	if !found || t.Answer == No {
		return m.transfer(token, from, m.Domain.Contract, amount)
	}
	allowance := t.Allowance(from)
	if allowance.Cmp(amount) < 0 {
		return append(m.transfer(token, from, m.Domain.Contract, amount), "ERC20InsufficientAllowance")
	}
	refusals := m.transfer(token, from, m.Domain.Contract, amount)
	if refusals == nil && allowance.Cmp(unlimited()) != 0 {
		t.Allowances[from] = sub(allowance, amount)
	}
	return refusals
}

// Permit is an ERC-2612 permit for a spender, and who signed it.
type Permit struct {
	By, Owner, Spender common.Address
	Value              *big.Int
	Nonce, Deadline    uint64
	Flaw               Flaw
}

// permit uses a permit if it is good for this owner and value, and reports whether it was.
func (m *Model) permit(token, owner common.Address, value *big.Int, p Permit) bool {
	t, found := m.Tokens[token]
	good := found && t.Permits && m.Now <= p.Deadline && p.Flaw == None && p.By == owner && p.Owner == owner &&
		p.Spender == m.Domain.Contract && p.Value.Cmp(value) == 0 && p.Nonce == t.Nonces[owner]
	if good {
		t.Nonces[owner]++
		t.Allowances[owner] = value
	}
	return good
}

// Mint makes money.
type Mint struct {
	Token, Account common.Address
	Amount         *big.Int
}

func (c Mint) String() string {
	return fmt.Sprintf("mint %s of %s for %s", c.Amount, c.Token, c.Account)
}
func (c Mint) do(a *attempt) {
	a.refuseIf(a.Tokens[c.Token].Blocked[c.Account], "Blocked")
	a.Tokens[c.Token].Balances[c.Account] = add(a.Tokens[c.Token].Balance(c.Account), c.Amount)
}

// Burn takes money away, from anyone, as rebasing tokens do.
type Burn Mint

func (c Burn) String() string {
	return fmt.Sprintf("burn %s of %s from %s", c.Amount, c.Token, c.Account)
}
func (c Burn) do(a *attempt) {
	has := a.Tokens[c.Token].Balance(c.Account)
	a.refuseIf(has.Cmp(c.Amount) < 0, "ERC20InsufficientBalance")
	a.Tokens[c.Token].Balances[c.Account] = sub(has, c.Amount)
}

// Approve sets the caller's allowance for the contract.
type Approve struct {
	Token  common.Address
	Amount *big.Int
}

func (c Approve) String() string { return fmt.Sprintf("approve %s of %s", c.Amount, c.Token) }
func (c Approve) do(a *attempt)  { a.Tokens[c.Token].Allowances[a.caller] = c.Amount }

// UsePermit submits a permit by itself, as somebody who saw it on its way can.
type UsePermit struct {
	Token  common.Address
	Permit Permit
}

func (c UsePermit) String() string { return fmt.Sprintf("use %s on %s", c.Permit, c.Token) }
func (c UsePermit) do(a *attempt) {
	t := a.Tokens[c.Token]
	p := c.Permit
	if t.Permits && p.Spender != a.Domain.Contract && a.Now <= p.Deadline && p.Flaw == None && p.By == p.Owner && p.Nonce == t.Nonces[p.Owner] {
		t.Nonces[p.Owner]++ // an allowance of somebody else, who is not in this world
		return
	}
	if !a.permit(c.Token, p.Owner, p.Value, p) {
		a.refusals = append(a.refusals, "ERC2612ExpiredSignature", "ERC2612InvalidSigner", "ECDSAInvalidSignature", "ECDSAInvalidSignatureS", "")
	}
}

// SetHabits changes what an odd token does.
type SetHabits struct {
	Token, Account common.Address
	Blocked        bool
	Fee            uint64
	Answer         Answer
	// Which of the three is set: "blocked" of Account, "fee" or "answer".
	Which string
}

func (c SetHabits) String() string {
	switch c.Which {
	case "blocked":
		return fmt.Sprintf("%s blocks %s: %t", c.Token, c.Account, c.Blocked)
	case "fee":
		return fmt.Sprintf("%s keeps %d ppm", c.Token, c.Fee)
	}
	return fmt.Sprintf("%s answers %d", c.Token, c.Answer)
}

func (c SetHabits) do(a *attempt) {
	t := a.Tokens[c.Token]
	switch c.Which {
	case "blocked":
		t.Blocked[c.Account] = c.Blocked
	case "fee":
		t.Fee = c.Fee
	case "answer":
		t.Answer = c.Answer
	}
}

// Lock changes whether a wallet accepts signatures.
type Lock struct {
	Wallet common.Address
	Locked bool
}

func (c Lock) String() string { return fmt.Sprintf("lock %s: %t", c.Wallet, c.Locked) }
func (c Lock) do(a *attempt) {
	w := a.Wallets[c.Wallet]
	w.Locked = c.Locked
	a.Wallets[c.Wallet] = w
}
