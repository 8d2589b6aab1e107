// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

func moment(minutes int) time.Time {
	return time.Unix(1_800_000_000, 0).Add(time.Duration(minutes) * time.Minute)
}

// verifiedApp is an app of generation 3 that the keeper verified, and which has run.
func verifiedApp(change ...func(*v1alpha1.App)) *v1alpha1.App {
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{
		Namespace: "apocryph-system", Name: "theapp", Generation: 3, Finalizers: []string{v1alpha1.FinalizerApp},
	}}
	condition(v1alpha1.ConditionVerified, metav1.ConditionTrue, "Verified", 3)(app)
	for _, c := range change {
		c(app)
	}
	return app
}

func condition(kind string, status metav1.ConditionStatus, reason string, generation int64) func(*v1alpha1.App) {
	return func(app *v1alpha1.App) {
		kept := app.Status.Conditions[:0]
		for _, c := range app.Status.Conditions {
			if c.Type != kind {
				kept = append(kept, c)
			}
		}
		kept = append(kept, metav1.Condition{
			Type: kind, Status: status, Reason: reason, Message: "because", ObservedGeneration: generation,
			LastTransitionTime: metav1.NewTime(moment(0)),
		})
		app.Status.Conditions = kept
	}
}

func funded(status metav1.ConditionStatus, reason string) func(*v1alpha1.App) {
	return condition(v1alpha1.ConditionFunded, status, reason, 0)
}

func paid(app *v1alpha1.App) { funded(metav1.ConditionTrue, v1alpha1.ReasonFunded)(app) }

func fresh(app *v1alpha1.App) { app.Finalizers = nil }

func stopOrdered(app *v1alpha1.App) { app.Spec.Stop = []byte("signed") }

func scaled(n int32) func(*v1alpha1.App) { return func(app *v1alpha1.App) { app.Spec.Replicas = &n } }

func unverified(app *v1alpha1.App) {
	condition(v1alpha1.ConditionVerified, metav1.ConditionTrue, "Verified", 2)(app)
}

func refused(app *v1alpha1.App) {
	condition(v1alpha1.ConditionVerified, metav1.ConditionFalse, "Forged", 3)(app)
}

func funds(f v1alpha1.Funds) func(*v1alpha1.App) {
	return func(app *v1alpha1.App) { app.Status.Funds = &f }
}

func TestDecide(t *testing.T) {
	notice := metav1.NewTime(moment(30))
	runs := intent{build: true, replicas: 1}
	for name, c := range map[string]struct {
		app  *v1alpha1.App
		now  int
		want intent
	}{
		"a verified and funded app runs": {app: verifiedApp(paid), want: runs},
		"low funds still run":            {app: verifiedApp(funded(metav1.ConditionTrue, v1alpha1.ReasonLow)), want: runs},
		"a new app waits for its channel to be seen": {
			app:  verifiedApp(fresh),
			want: intent{build: true, reason: ReasonStarting, message: "waiting for the channel to be seen on chain"},
		},
		"an unfunded new app gets nothing": {
			app:  verifiedApp(fresh, funded(metav1.ConditionFalse, v1alpha1.ReasonExhausted)),
			want: intent{reason: ReasonUnfunded, message: "because"},
		},
		"an exhausted app sleeps and may still be updated": {
			app:  verifiedApp(funded(metav1.ConditionFalse, v1alpha1.ReasonExhausted)),
			want: intent{build: true, reason: ReasonUnfunded, message: "because"},
		},
		"an app whose grace is over ends": {
			app:  verifiedApp(funded(metav1.ConditionFalse, v1alpha1.ReasonGraceOver)),
			want: intent{end: v1alpha1.EndFundsExhausted, reason: ReasonEnding, message: "FundsExhausted"},
		},
		"an app that outgrew its cap sleeps": {
			app:  verifiedApp(funded(metav1.ConditionFalse, v1alpha1.ReasonCapExceeded)),
			want: intent{build: true, reason: ReasonUnfunded, message: "because"},
		},
		"an unseen chain changes nothing for the allowance": {
			app: verifiedApp(funded(metav1.ConditionUnknown, v1alpha1.ReasonChainUnseen)), now: 59,
			want: intent{build: true, replicas: 1, recheck: moment(60)},
		},
		"a chain unseen for longer puts to sleep, no more": {
			app: verifiedApp(funded(metav1.ConditionUnknown, v1alpha1.ReasonChainUnseen)), now: 60,
			want: intent{build: true, reason: ReasonUnfunded, message: "the chain has not been seen for too long"},
		},
		"scaled to zero": {
			app: verifiedApp(paid, scaled(0)), want: intent{build: true, asleep: true, reason: ReasonScaledDown, message: "scaled to zero"},
		},
		"a new generation waits for the keeper while the old one runs": {
			app:  verifiedApp(paid, unverified),
			want: intent{replicas: 1, reason: ReasonNotVerified, message: "waiting for the order to be verified"},
		},
		"a refused generation leaves the old one running": {
			app: verifiedApp(paid, refused), want: intent{replicas: 1, reason: ReasonNotVerified, message: "because"},
		},
		"a verified stop ends": {
			app: verifiedApp(paid, stopOrdered), want: intent{end: v1alpha1.EndStoppedByPublisher, reason: ReasonEnding, message: "StoppedByPublisher"},
		},
		"a stop that nobody verified ends nothing": {
			app:  verifiedApp(paid, stopOrdered, unverified),
			want: intent{replicas: 1, reason: ReasonNotVerified, message: "waiting for the order to be verified"},
		},
		"a forged stop ends nothing": {
			app: verifiedApp(paid, stopOrdered, refused), want: intent{replicas: 1, reason: ReasonNotVerified, message: "because"},
		},
		"a deletion ends": {
			app:  verifiedApp(paid, func(app *v1alpha1.App) { app.DeletionTimestamp = &notice }),
			want: intent{end: v1alpha1.EndDeletedByProvider, reason: ReasonEnding, message: "DeletedByProvider"},
		},
		"a closed channel ends": {
			app:  verifiedApp(funded(metav1.ConditionFalse, v1alpha1.ReasonClosed)),
			want: intent{end: v1alpha1.EndChannelClosed, reason: ReasonEnding, message: "ChannelClosed"},
		},
		"a channel that is not known to be closed ends nothing": {
			app: verifiedApp(funded(metav1.ConditionUnknown, v1alpha1.ReasonClosed)), want: intent{build: true, replicas: 1, recheck: moment(60)},
		},
		"a notice changes nothing before it ends": {
			app:  verifiedApp(paid, funds(v1alpha1.Funds{NoticeEnd: &notice, SeenAt: metav1.NewTime(moment(29))})),
			want: runs,
		},
		"a notice that ended on chain ends": {
			app:  verifiedApp(paid, funds(v1alpha1.Funds{NoticeEnd: &notice, SeenAt: notice})),
			want: intent{end: v1alpha1.EndNoticeEnded, reason: ReasonEnding, message: "NoticeEnded"},
		},
		"a notice whose end nobody saw on chain ends nothing": {
			app: verifiedApp(paid, funds(v1alpha1.Funds{NoticeEnd: &notice, SeenAt: metav1.NewTime(moment(29))})), now: 300,
			want: runs,
		},
		"a reason once recorded stays": {
			app:  verifiedApp(paid, func(app *v1alpha1.App) { app.Status.EndReason = v1alpha1.EndChannelClosed }),
			want: intent{end: v1alpha1.EndChannelClosed, reason: ReasonEnding, message: "ChannelClosed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := decide(c.app, time.Hour, moment(c.now))
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(intent{})); diff != "" {
				t.Errorf("intent (-want +got):\n%s", diff)
			}
		})
	}
}
