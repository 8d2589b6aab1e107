// SPDX-License-Identifier: Apache-2.0

package channeltest

import (
	"fmt"
	"strings"

	"github.com/apocryph/apocryph/internal/channel"
)

// Calls are told with addresses and ids in full: who prints a run puts names in their place.

// told names terms by their salt, by which a run tells its channels apart.
func told(t channel.Terms) string {
	return fmt.Sprintf("channel %02d", int(t.Salt[30])<<8|int(t.Salt[31]))
}

func (c Open) String() string {
	permit := ""
	if c.WithPermit {
		permit = " " + c.Permit.String()
	}
	return fmt.Sprintf("open %s with %s%s", told(c.Terms), c.Amount, permit)
}

func (c OpenFor) String() string {
	return fmt.Sprintf("open for %s with %s until %s %s %s", told(c.Terms), c.Amount, c.Deadline, c.Signature, c.Permit)
}

func (c Deposit) String() string {
	permit := ""
	if c.WithPermit {
		permit = " " + c.Permit.String()
	}
	return fmt.Sprintf("deposit %s in %s%s", c.Amount, told(c.Terms), permit)
}

func (c Item) String() string  { return fmt.Sprintf("%s on %s %s", c.Total, told(c.Terms), c.Signature) }
func (c Claim) String() string { return "claim " + Item(c).String() }

func (c ClaimBatch) String() string {
	items := make([]string, len(c.Items))
	for i, item := range c.Items {
		items[i] = item.String()
	}
	return "claim a batch: " + strings.Join(items, "; ")
}

func (c ReleaseAt) String() string { return "release at " + Item(c).String() }
func (c Notice) String() string    { return "give notice on " + told(c.Terms) }
func (c Withdraw) String() string  { return "withdraw from " + told(c.Terms) }
func (c Close) String() string     { return "close " + told(c.Terms) }
func (c WithdrawCredit) String() string {
	return fmt.Sprintf("withdraw credit in %s to %s", c.Token, c.To)
}
