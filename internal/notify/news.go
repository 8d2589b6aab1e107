// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// Types of messages. docs/protocol/notify.md lists them.
const (
	typeWebhookSet     = "app.webhook.set"
	typeFundsFunded    = "app.funds.funded"
	typeFundsLow       = "app.funds.low"
	typeFundsExhausted = "app.funds.exhausted"
	typeFundsCapped    = "app.funds.capped"
	typeCrashing       = "app.service.crashing"
	typeRecovered      = "app.service.recovered"
	typeEnded          = "app.ended"
)

// maxText bounds what is told in words, in bytes.
const maxText = 400

// news is how something about an app stands now: one of the types that a subject has.
type news struct {
	kind, service, reason, text string
	// usual says that it is no news unless the subject stood otherwise before.
	usual bool
}

// subject is what a type of message is about: of the messages of one only the newest matters.
func subject(kind, service string) string {
	part, _, _ := strings.Cut(strings.TrimPrefix(kind, "app."), ".")
	return part + " " + service
}

// newsOf is how an app stands, by what the other services say in its status. What is not known is left out: it is as it was.
func newsOf(app *v1alpha1.App) []news {
	if why := app.Status.EndReason; why != "" {
		return []news{{kind: typeEnded, reason: string(why), text: endText(why)}}
	}
	var all []news
	if n, known := fundsOf(app); known {
		all = append(all, n)
	}
	for _, s := range app.Status.Services {
		switch {
		case s.Crashing != "":
			text := fmt.Sprintf("service %s crashes again and again: %s, restarted %d times; see apocryph logs", s.Name, s.Crashing, s.Restarts)
			all = append(all, news{kind: typeCrashing, service: s.Name, reason: "Crashing", text: line(text)})
		case s.Wanted > 0 && s.Ready >= s.Wanted:
			all = append(all, news{kind: typeRecovered, service: s.Name, reason: "Ready", text: "service " + s.Name + " runs, and has not crashed for a while", usual: true})
		}
	}
	return all
}

// fundsOf is how the funds stand. A chain that can't be seen says nothing of them, and what ends the app is told as its end.
func fundsOf(app *v1alpha1.App) (news, bool) {
	c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionFunded)
	if c == nil {
		return news{}, false
	}
	n, known := map[string]news{
		v1alpha1.ReasonFunded:      {kind: typeFundsFunded, text: "the channel pays for what runs", usual: true},
		v1alpha1.ReasonLow:         {kind: typeFundsLow, text: "the funds run low: apocryph channel deposit"},
		v1alpha1.ReasonExhausted:   {kind: typeFundsExhausted, text: "the funds are used up, and the app sleeps: apocryph channel deposit"},
		v1alpha1.ReasonCapExceeded: {kind: typeFundsCapped, text: "what is owed has come up to the channel's cap, and the app sleeps until that has caught up"},
	}[c.Reason]
	n.reason = c.Reason
	if c.Message != "" && !n.usual {
		n.text += "; " + c.Message
	}
	n.text = line(n.text)
	return n, known
}

func endText(why v1alpha1.EndReason) string {
	if text := map[v1alpha1.EndReason]string{
		v1alpha1.EndStoppedByPublisher: "the app has ended: its publisher stopped it",
		v1alpha1.EndDeletedByProvider:  "the app has ended: the provider deleted it",
		v1alpha1.EndChannelClosed:      "the app has ended: its channel was closed",
		v1alpha1.EndNoticeEnded:        "the app has ended: the notice on its channel is over",
		v1alpha1.EndFundsExhausted:     "the app has ended, its volumes with it: its funds were used up for longer than those are kept",
	}[why]; text != "" {
		return text
	}
	return line("the app has ended: " + string(why))
}

// line is text as one bounded line.
func line(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return s
}
