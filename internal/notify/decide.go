// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

const (
	// spacing is between two messages of the same type about the same service.
	spacing = 10 * time.Minute
	// settling is how long a service has not crashed before it is said to have recovered: longer than Kubernetes waits between two tries.
	settling = 10 * time.Minute
	// keepTrying is for how long a message is told again.
	keepTrying = 24 * time.Hour
	// firstRetry doubles with every failure, up to lastRetry; half of it is by chance.
	firstRetry = 10 * time.Second
	lastRetry  = time.Hour
)

// look is all that decides about one app at one moment.
type look struct {
	now time.Time
	app string
	// webhook is the commitment to the URL.
	webhook string
	news    []news
	// services are those that the app has now, none while that is not known.
	services []v1alpha1.ServiceStatus
	// crashed is when each service was last seen crashing, or first seen at all.
	crashed map[string]time.Time
}

// decide returns where the notifier is after a look: which messages are to be told, in which order. again is when something has to be
// looked at that no change of the app will tell; zero if nothing has.
func decide(old v1alpha1.NotifyStatus, l look) (s v1alpha1.NotifyStatus, again time.Duration) {
	s = *old.DeepCopy()
	wait := func(d time.Duration) {
		if again == 0 || d < again {
			again = max(d, time.Millisecond)
		}
	}
	if len(l.services) > 0 {
		s.Messages = forgetServices(s.Messages, l.services)
	}
	if s.Webhook != l.webhook {
		s = another(s, l)
	}
	for _, n := range l.news {
		if isTold(s.Messages, n) {
			continue
		}
		if n.kind == typeRecovered {
			if left := settling - l.now.Sub(l.crashed[n.service]); left > 0 {
				wait(left)
				continue
			}
		}
		s.Messages = withdraw(s.Messages, subject(n.kind, n.service))
		if isTold(s.Messages, n) {
			continue // back to what was told before
		}
		if left := tooSoon(s.Messages, n, l.now); left > 0 {
			wait(left)
			continue
		}
		s.Messages = add(s.Messages, n, l)
	}
	for i := range s.Messages {
		if m := &s.Messages[i]; m.Outcome == "" && l.now.Sub(m.At.Time) >= keepTrying {
			m.Outcome = v1alpha1.NotifyGivenUp
		}
	}
	if next := first(s.Messages); next >= 0 && s.NextTry != nil {
		if left := s.NextTry.Sub(l.now); left > 0 {
			wait(left)
		}
	}
	return s, again
}

// isTold reports whether a message says already what the news is. One that was overtaken and is true again is told on.
func isTold(all []v1alpha1.NotifyMessage, n news) bool {
	told := lastOf(all, subject(n.kind, n.service))
	if told == nil {
		return n.usual
	}
	if told.Type == n.kind && told.Outcome == v1alpha1.NotifyOvertaken {
		told.Outcome = ""
	}
	return told.Type == n.kind
}

// another is for a webhook that was not there before: it is told so, and what the one before did not take.
func another(s v1alpha1.NotifyStatus, l look) v1alpha1.NotifyStatus {
	s.Webhook, s.Failures, s.NextTry = l.webhook, 0, nil
	n := news{kind: typeWebhookSet, reason: "Ordered", text: "this is where it is told what becomes of the app"}
	for i := range s.Messages {
		m := &s.Messages[i]
		if m.Outcome == v1alpha1.NotifyGivenUp && lastOf(s.Messages, subject(m.Type, m.Service)) == m {
			m.Outcome, m.Tries, m.At = "", 0, metav1.NewTime(l.now.Truncate(time.Second))
		}
	}
	if tooSoon(s.Messages, n, l.now) == 0 {
		s.Messages = add(s.Messages, n, l)
	}
	return s
}

// add puts a message at the end, in the place of an earlier one of its type and service.
func add(all []v1alpha1.NotifyMessage, n news, l look) []v1alpha1.NotifyMessage {
	all = slices.DeleteFunc(all, func(m v1alpha1.NotifyMessage) bool { return m.Type == n.kind && m.Service == n.service })
	at := metav1.NewTime(l.now.Truncate(time.Second))
	return append(all, v1alpha1.NotifyMessage{
		ID: messageID(l.app, n, at.Time), Type: n.kind, Service: n.service, Reason: n.reason, Text: n.text, At: at,
	})
}

// messageID is what a receiver knows a message by: it is the same for the same one only.
func messageID(app string, n news, at time.Time) string {
	h := sha256.Sum256([]byte(app + "\x00" + n.kind + "\x00" + n.service + "\x00" + at.UTC().Format(time.RFC3339)))
	return "msg_" + hex.EncodeToString(h[:16])
}

// withdraw drops what is to be told of a subject that nobody was called for yet. What may have been heard stays, as overtaken.
func withdraw(all []v1alpha1.NotifyMessage, of string) []v1alpha1.NotifyMessage {
	all = slices.DeleteFunc(all, func(m v1alpha1.NotifyMessage) bool {
		return m.Outcome == "" && m.Tries == 0 && subject(m.Type, m.Service) == of
	})
	for i := range all {
		if m := &all[i]; m.Outcome == "" && subject(m.Type, m.Service) == of {
			m.Outcome = v1alpha1.NotifyOvertaken
		}
	}
	return all
}

// tooSoon is how long a message has to wait for the one of its type and service before it.
func tooSoon(all []v1alpha1.NotifyMessage, n news, now time.Time) time.Duration {
	for _, m := range all {
		if m.Type == n.kind && m.Service == n.service && m.Tries > 0 {
			return max(0, spacing-now.Sub(m.At.Time))
		}
	}
	return 0
}

// lastOf is the newest message of a subject, nil without one.
func lastOf(all []v1alpha1.NotifyMessage, of string) *v1alpha1.NotifyMessage {
	for i := range slices.Backward(all) {
		if subject(all[i].Type, all[i].Service) == of {
			return &all[i]
		}
	}
	return nil
}

// first is the message that is told next, -1 without one.
func first(all []v1alpha1.NotifyMessage) int {
	return slices.IndexFunc(all, func(m v1alpha1.NotifyMessage) bool { return m.Outcome == "" })
}

// forgetServices drops what was told of services that the app does not have any more.
func forgetServices(all []v1alpha1.NotifyMessage, services []v1alpha1.ServiceStatus) []v1alpha1.NotifyMessage {
	return slices.DeleteFunc(all, func(m v1alpha1.NotifyMessage) bool {
		return m.Service != "" && !slices.ContainsFunc(services, func(s v1alpha1.ServiceStatus) bool { return s.Name == m.Service })
	})
}

// after is where the notifier is when the message at i was told.
func after(s v1alpha1.NotifyStatus, i int, a answer, now time.Time, chance float64) v1alpha1.NotifyStatus {
	m := &s.Messages[i]
	m.Tries++
	switch {
	case a.taken:
		m.Outcome = v1alpha1.NotifyDelivered
		s.Failures, s.NextTry = 0, nil
		return s
	case a.final:
		m.Outcome = v1alpha1.NotifyGivenUp
	}
	wait := lastRetry
	if s.Failures < 16 { // else it is past the last one for sure, and more shifts would be past what fits
		wait = min(lastRetry, firstRetry<<s.Failures)
	}
	s.Failures++
	if m.Outcome != "" {
		return s // the next message may fare better
	}
	wait = wait/2 + time.Duration(chance*float64(wait/2))
	next := metav1.NewTime(now.Add(max(wait, min(a.retryAfter, lastRetry))).Truncate(time.Second))
	s.NextTry = &next
	return s
}
