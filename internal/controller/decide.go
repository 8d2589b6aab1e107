// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// Reasons of the conditions Ready and Stopped.
const (
	ReasonReady       = "Ready"
	ReasonStarting    = "Starting"
	ReasonBlocked     = "Blocked"
	ReasonRefused     = "Refused"   // by a quota, a policy, or what an object has to look like
	ReasonTakenBack   = "TakenBack" // the new version of a service did not come up, and the last one serves
	ReasonNotVerified = "NotVerified"
	ReasonUnfunded    = "Unfunded"
	ReasonScaledDown  = "ScaledDown"
	ReasonEnding      = "Ending"
	ReasonRunning     = "Running"
	ReasonNoPods      = "NoPods"
)

// intent is what should be done with an app now.
type intent struct {
	// end is set when the app is to end, and why.
	end v1alpha1.EndReason
	// build says that this generation may be made.
	build bool
	// replicas of every service.
	replicas int32
	// asleep says that nothing runs because the app was scaled to zero, and for no other reason.
	asleep bool
	// reason and message say why nothing runs, when replicas is 0 or build is false.
	reason, message string
	// recheck is when time alone may change the intent; zero means never.
	recheck time.Time
}

// decide reads an App's spec and conditions. What it does not know changes nothing: an absent or unknown condition never ends or
// suspends what runs, except that the chain may stay unseen for no longer than allowed.
func decide(app *v1alpha1.App, allowance time.Duration, now time.Time) intent {
	if end := endReason(app); end != "" {
		return intent{end: end, reason: ReasonEnding, message: string(end)}
	}
	in := intent{replicas: 1}
	if app.Spec.Replicas != nil && *app.Spec.Replicas == 0 {
		in.replicas, in.reason, in.message = 0, ReasonScaledDown, "scaled to zero"
	}
	fund(&in, app, allowance, now)
	in.asleep = in.reason == ReasonScaledDown
	verified := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionVerified)
	switch {
	case isVerified(app):
		in.build = in.reason != ReasonUnfunded || made(app)
	case verified != nil && verified.ObservedGeneration == app.Generation && verified.Status == metav1.ConditionFalse:
		in.reason, in.message = ReasonNotVerified, verified.Message
	default:
		in.reason, in.message = ReasonNotVerified, "waiting for the order to be verified"
	}
	return in
}

// fund takes the pods away from an app that is known not to be funded, or whose channel nobody has seen for too long.
func fund(in *intent, app *v1alpha1.App, allowance time.Duration, now time.Time) {
	c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionFunded)
	switch {
	case c == nil:
		in.replicas, in.reason, in.message = 0, ReasonStarting, "waiting for the channel to be seen on chain"
	case c.Status == metav1.ConditionTrue:
	case c.Status == metav1.ConditionFalse:
		in.replicas, in.reason, in.message = 0, ReasonUnfunded, c.Message
	default:
		until := c.LastTransitionTime.Add(allowance)
		if now.Before(until) {
			in.recheck = until
			return
		}
		in.replicas, in.reason, in.message = 0, ReasonUnfunded, "the chain has not been seen for too long"
	}
}

// endReason is why the app has to end, or "". A reason that was recorded stays.
func endReason(app *v1alpha1.App) v1alpha1.EndReason {
	funds := app.Status.Funds
	closed := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionFunded)
	switch {
	case app.Status.EndReason != "":
		return app.Status.EndReason
	case len(app.Spec.Stop) > 0 && isVerified(app):
		return v1alpha1.EndStoppedByPublisher
	case !app.DeletionTimestamp.IsZero():
		return v1alpha1.EndDeletedByProvider
	case funds != nil && funds.NoticeEnd != nil && (funds.Closed || !funds.SeenAt.Before(funds.NoticeEnd)):
		return v1alpha1.EndNoticeEnded
	case closed != nil && closed.Status == metav1.ConditionFalse && closed.Reason == v1alpha1.ReasonGraceOver:
		return v1alpha1.EndFundsExhausted
	case funds != nil && funds.Closed,
		closed != nil && closed.Status == metav1.ConditionFalse && closed.Reason == v1alpha1.ReasonClosed:
		return v1alpha1.EndChannelClosed
	}
	return ""
}

// isVerified reports whether the keeper stands behind this very generation.
func isVerified(app *v1alpha1.App) bool {
	c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionVerified)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == app.Generation
}

// made reports whether anything was ever made for the app: the finalizer comes first.
func made(app *v1alpha1.App) bool {
	for _, f := range app.Finalizers {
		if f == v1alpha1.FinalizerApp {
			return true
		}
	}
	return false
}
