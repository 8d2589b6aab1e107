// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/publisher"
	"github.com/apocryph/apocryph/internal/tariff"
)

// channelView is also a terms file, so that what one machine writes another one can leave the channel with.
type channelView struct {
	App       string        `json:"app"`
	Name      string        `json:"name"`
	Status    string        `json:"status"`
	Token     tokenView     `json:"token"`
	Deposited tariff.Amount `json:"deposited"`
	Claimed   tariff.Amount `json:"claimed"`
	Remaining tariff.Amount `json:"remaining"`
	HourlyCap tariff.Amount `json:"hourly_cap"`
	// Runway is how long what remains lasts at the cap.
	Runway    int64              `json:"runway_seconds"`
	Payout    string             `json:"payout"`
	Signer    string             `json:"signer"`
	Notice    uint64             `json:"notice_seconds"`
	NoticeEnd *time.Time         `json:"notice_end,omitempty"`
	Credit    tariff.Amount      `json:"credit"`
	Release   *publisher.Release `json:"release,omitempty"`
	// Final is yes, or why not; only channel show asks.
	Final     string           `json:"final,omitempty"`
	BlockTime time.Time        `json:"block_time"`
	Exits     []publisher.Exit `json:"exits"`

	// Before are channels that paid for the app before this one, Next one that may follow on it.
	Before []string `json:"before,omitempty"`
	Next   string   `json:"next,omitempty"`

	publisher.TermsFile
}

func channelOf(c *publisher.ChannelView) channelView {
	v := channelView{
		App: c.App.ID.String(), Name: c.App.Name, Status: c.Status.String(), Token: tokenOf(c.Token),
		Deposited: c.State.Deposited, Claimed: c.State.Claimed, Remaining: c.State.Remaining(), HourlyCap: c.Terms.Cap.Mul(3600),
		Runway: int64(c.Runway() / time.Second), Payout: c.Terms.Payout.Hex(), Signer: c.Terms.Signer.Hex(), Notice: c.Terms.Notice,
		Credit: c.Credit, Final: c.Final, Release: c.App.Channel.Release, BlockTime: c.Now.UTC(), Exits: c.Exits(), TermsFile: c.File(),
	}
	if end := c.NoticeEnd().UTC(); !c.NoticeEnd().IsZero() {
		v.NoticeEnd = &end
	}
	for _, f := range c.App.FormerChannels() {
		v.Before = append(v.Before, f.Channel.ID.String())
	}
	if c.App.Next != nil {
		v.Next = c.App.Next.ID.String()
	}
	return v
}

func writeChannel(out io.Writer, c *publisher.ChannelView) error {
	w := table(out)
	row(w, "channel", c.App.Channel.ID.String())
	if c.App.Name != "" {
		row(w, "app", c.App.Name)
	}
	row(w, "status", c.Status.String())
	if c.Final != "" {
		row(w, "final", publisher.Clean(c.Final))
	}
	row(w, "deposited", c.Token.Format(c.State.Deposited))
	row(w, "claimed", c.Token.Format(c.State.Claimed))
	switch c.Status {
	case channel.Closed:
		row(w, "refunded", c.Token.Format(c.State.Remaining()))
	case channel.Open, channel.Notice:
		row(w, "remaining", fmt.Sprintf("%s: %s at full use", c.Token.Format(c.State.Remaining()), publisher.Lasts(c.Runway())))
	default:
		row(w, "remaining", c.Token.Format(c.State.Remaining()))
	}
	if c.Terms.Notice != 0 {
		row(w, "cap", c.Token.Format(c.Terms.Cap.Mul(3600))+" per hour")
		row(w, "paid to", c.Terms.Payout.Hex())
	}
	switch left := c.Left(); {
	case left != "":
		row(w, "notice", left)
	case c.Terms.Notice != 0 && c.Status == channel.Open:
		row(w, "notice", publisher.Span(c.Notice())+", once it is given")
	}
	if text := publisher.Skew(c.Now, c.Machine); text != "" {
		row(w, "clock", text)
	}
	if c.App.Ref() == c.App.Name { // not one of the others by its id
		for _, f := range c.App.FormerChannels() {
			row(w, "before", "apocryph channel show "+f.Channel.ID.String())
		}
	}
	if c.App.Next != nil {
		row(w, "next", "apocryph channel show "+c.App.Next.ID.String())
	}
	for _, e := range c.Exits() {
		row(w, "way out", e.Does)
		row(w, "", "  "+e.Command)
	}
	return w.Flush()
}
