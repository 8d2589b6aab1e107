// SPDX-License-Identifier: Apache-2.0

package channeltest

import (
	"math/big"
	"testing"

	"github.com/apocryph/apocryph/internal/channel"
)

// Going through the seconds one by one and leaping over them come to the same, for all small numbers.
func TestLeapsAreSeconds(t *testing.T) {
	for wanted := range int64(40) {
		for perSecond := int64(1); perSecond < 9; perSecond++ {
			for from := range uint64(9) {
				for now := from; now < 9; now++ {
					a, until := seconds(big.NewInt(wanted), big.NewInt(perSecond), from, now)
					b, leapt := leaps(big.NewInt(wanted), big.NewInt(perSecond), from, now)
					if a.Cmp(b) != 0 || until != leapt {
						t.Fatalf("%d wanted of %d a second from %d to %d: %s until %d by seconds, %s until %d at once", wanted, perSecond, from, now, a, until, b, leapt)
					}
				}
			}
		}
	}
}

// Parts sum to the whole, none is below the floor of its share or shrinks, and the first payee's is that floor.
func TestSplitKeepsItsPromises(t *testing.T) {
	for _, shares := range [][]uint32{{}, {1}, {1_000_000}, {500_000, 500_000}, {333_333, 333_333, 333_334}, {1, 999_998}, {142_857, 142_857, 142_857, 7, 999}} {
		var payees []channel.Payee
		left := int64(1_000_000)
		for _, s := range shares {
			payees = append(payees, channel.Payee{Share: s})
			left -= int64(s)
		}
		before := Split(payees, new(big.Int))
		for total := int64(1); total < 3000; total++ {
			parts := Split(payees, big.NewInt(total))
			sum := new(big.Int)
			for i, part := range parts {
				share := left
				if i < len(shares) {
					share = int64(shares[i])
				}
				floor := big.NewInt(total * share / 1_000_000)
				if part.Cmp(floor) < 0 || part.Cmp(before[i]) < 0 || i == 0 && len(shares) > 0 && part.Cmp(floor) != 0 {
					t.Fatalf("%v of %d: part %d is %s, the floor %s, before it was %s", shares, total, i, part, floor, before[i])
				}
				sum.Add(sum, part)
			}
			if sum.Cmp(big.NewInt(total)) != 0 {
				t.Fatalf("%v of %d: the parts are %s", shares, total, sum)
			}
			before = parts
		}
	}
}
