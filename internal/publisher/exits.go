// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"fmt"
	"time"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/tariff"
)

// Exit is a way out of a channel that is open now.
type Exit struct {
	// Does says what it brings, in words; Command is what to run.
	Does    string `json:"does"`
	Command string `json:"command"`
}

// Exits are the ways out of a channel that are open now, the quickest first.
func (v ChannelView) Exits() []Exit {
	ref, rest := v.App.Ref(), v.Token.Format(v.State.Remaining())
	out := []Exit{}
	add := func(does, command string) { out = append(out, Exit{does, command}) }
	if v.App.reachable() && (v.Status == channel.Open || v.Status == channel.Notice) {
		add("the provider settles, and what is left comes back at once", "apocryph stop "+ref)
	}
	switch v.Status {
	case channel.None:
	case channel.Open:
		out = append(out, v.released()...)
		if v.known() {
			add(fmt.Sprintf("without the provider: what is left of %s comes back after a notice of %s", rest, Span(v.Notice())), "apocryph channel notice "+ref)
		}
	case channel.Notice:
		out = append(out, v.released()...)
		if v.known() {
			add("wait for the notice, and take back what is left of "+rest, "apocryph channel withdraw "+ref+" --wait")
		}
	case channel.Ended:
		if v.known() {
			add("the notice is over: take back "+rest, "apocryph channel withdraw "+ref)
		}
	case channel.Closed:
	}
	if !v.Credit.IsZero() {
		add(fmt.Sprintf("a transfer of this token to the wallet failed before: %s wait for it in the contract", v.Token.Format(v.Credit)), "apocryph channel credit --to ADDRESS")
	}
	if !v.known() && v.Status != channel.Closed && v.Status != channel.None {
		add("its terms are not known here, and nothing works without them: find the file of its app, or the machine that opened it", "apocryph channel show --terms FILE")
	}
	return out
}

func (v ChannelView) released() []Exit {
	r := v.App.Channel.Release
	if r == nil {
		return nil
	}
	paid := v.Pays(*r)
	back, err := v.State.Deposited.Sub(paid)
	if err != nil {
		return nil // more than was deposited is never paid
	}
	return []Exit{{
		fmt.Sprintf("the provider has signed the release: it gets %s in all, and %s come back at once", v.Token.Format(paid), v.Token.Format(back)),
		"apocryph channel release " + v.App.Ref(),
	}}
}

// Pays is what provider and payees have in all once a release is submitted now.
func (v ChannelView) Pays(r Release) tariff.Amount {
	return v.State.Claimed.Add(channel.Claimable(v.State, v.Terms, r.Total, v.Now))
}

// Notice is how long the publisher's notice runs.
func (v ChannelView) Notice() time.Duration { return time.Duration(v.Terms.Notice) * time.Second }

// Runway is how long what is left lasts if the cap is used in full.
func (v ChannelView) Runway() time.Duration {
	return runway(v.State.Remaining(), v.Terms.Cap.Mul(3600))
}

// known reports whether the terms are, without which the contract does nothing.
func (v ChannelView) known() bool { return len(v.App.Channel.Terms) > 0 }

// Left says in words when the notice ends, seen from the chain's clock, and what to do then; it is empty without a notice.
func (v ChannelView) Left() string {
	end := v.NoticeEnd()
	if end.IsZero() {
		return ""
	}
	text := Until(end, v.Now)
	if v.Status == channel.Ended {
		text += ": withdraw now with: apocryph channel withdraw " + v.App.Ref()
	}
	return text
}
