// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

// maxSaid bounds what of a health check's own words is passed on.
const maxSaid = 200

// said is what an event is to a publisher: a word for programs, words for people. The zero value is not for them.
type said struct {
	kind, message string
	warning       bool
}

// tell says in plain words what Kubernetes reports about an object of an app. Only what is known here is told, and only in words from here:
// messages name machines, addresses, paths and registries of the provider's. The one exception is what a health check of the
// publisher's own wrote.
func tell(object, reason, message string) said {
	told := map[string]map[string]func(string) said{
		"Pod": {
			"Pulled":               plain("pulled", "the image is on the machine"),
			"Started":              plain("started", "started"),
			"Killing":              plain("stopping", "is being stopped"),
			"BackOff":              backOff,
			"Failed":               notStarted,
			"ErrImageNeverPull":    plainWarning("image", "the image can't be pulled"),
			"Unhealthy":            unhealthy,
			"FailedScheduling":     noRoom,
			"Preempting":           plainWarning("evicted", "had to give way to something more urgent"),
			"Evicted":              evicted,
			"TaintManagerEviction": plainWarning("evicted", "its machine went away; another pod takes its place"),
			"NodeNotReady":         plainWarning("unseen", "its machine does not answer"),
			"FailedMount":          plainWarning("volume", "a volume or file can't be mounted yet; it is tried again"),
			"FailedAttachVolume":   plainWarning("volume", "a volume can't be mounted yet; it is tried again"),
		},
		"ReplicaSet": {"FailedCreate": notMade},
		"Job": {
			"FailedCreate":         notMade,
			"Completed":            plain("completed", "has done its work"),
			"BackoffLimitExceeded": plainWarning("failed", "has failed as often as it may be tried"),
			"DeadlineExceeded":     plainWarning("failed", "has taken longer than it may"),
		},
		"PersistentVolumeClaim": {
			"ProvisioningSucceeded":      plain("volume", "the volume is made"),
			"ProvisioningFailed":         plainWarning("volume", "the volume can't be made yet; it is tried again"),
			"FileSystemResizeSuccessful": plain("volume", "the volume has grown"),
			"VolumeResizeFailed":         plainWarning("volume", "the volume can't be made larger yet; it is tried again"),
		},
	}[object][reason]
	if told == nil {
		return said{}
	}
	return told(message)
}

func plain(kind, message string) func(string) said {
	return func(string) said { return said{kind: kind, message: message} }
}

func plainWarning(kind, message string) func(string) said {
	return func(string) said { return said{kind, message, true} }
}

func backOff(message string) said {
	if strings.Contains(message, "pulling image") {
		return said{"image", "the image can't be pulled; it is tried again", true}
	}
	return said{"waiting", "waits before it is started again, because it ended so often", true}
}

func notStarted(message string) said {
	for _, sign := range []string{"pull", "Pull", "InvalidImageName"} {
		if strings.Contains(message, sign) {
			return said{"image", "the image can't be pulled", true}
		}
	}
	return said{"failed", "the container can't be started: see apocryph status", true}
}

// unhealthy passes on what a check of the publisher's wrote; what kubelet writes about its own checks has addresses, and what the runtime
// writes has paths.
func unhealthy(message string) said {
	s := said{"unhealthy", "its check does not pass", true}
	_, words, ok := strings.Cut(message, " probe failed: ")
	switch {
	case strings.Contains(message, "dial tcp"), strings.Contains(message, `Get "`):
		s.message = "its port does not accept connections"
	case !ok, words == "", strings.Contains(words, "rpc error"), strings.Contains(words, "runc"), strings.Contains(words, "OCI runtime"):
	default:
		s.message += ": " + oneLine(words)
	}
	return s
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) > maxSaid {
		s = strings.ToValidUTF8(s[:maxSaid], "") + "…"
	}
	return s
}

// noRoom says of what there is too little, of all that the scheduler says about the provider's machines.
func noRoom(message string) said {
	var short []string
	for _, resource := range []string{"cpu", "memory", "ephemeral-storage", "pods"} {
		if strings.Contains(message, "Insufficient "+resource) {
			short = append(short, resource)
		}
	}
	s := said{"capacity", "no machine has room for it", true}
	switch {
	case strings.Contains(message, "ReadWriteOncePod"):
		return said{kind: "waiting", message: "waits until the pod before it has let go of its volume"}
	case strings.Contains(message, "Too many pods"):
		short = append(short, "pods")
	case strings.Contains(message, "PersistentVolumeClaim"), strings.Contains(message, "volume node affinity"):
		s.message = "no machine has room for it where its volume is"
	}
	if len(short) > 0 {
		s.message += " (" + strings.Join(short, ", ") + ")"
	}
	return s
}

func evicted(message string) said {
	if strings.Contains(message, "exceed") && !strings.Contains(message, "node") {
		return said{"evicted", "wrote more than it ordered, and was ended; another pod takes its place", true}
	}
	return said{"evicted", "its machine ran out of room, and it was ended; another pod takes its place", true}
}

func notMade(message string) said {
	if strings.Contains(message, "exceeded quota") {
		return said{"quota", "waits for room within what the app ordered", true}
	}
	return said{"refused", "a pod was refused: see apocryph status", true}
}

// tellEnd is how a container ended.
func tellEnd(t *corev1.ContainerStateTerminated) said {
	switch {
	case t.Reason == "OOMKilled":
		return said{"crashed", "ended for using more memory than it ordered", true}
	case t.ExitCode != 0:
		return said{"crashed", fmt.Sprintf("exited with code %d", t.ExitCode), true}
	}
	return said{"exited", "exited with code 0", false}
}

// tellCondition is what one of an App's conditions says. Its message is the services' own, for publishers.
func tellCondition(c metav1.Condition) said {
	known := map[string]map[metav1.ConditionStatus]said{
		v1alpha1.ConditionVerified: {
			metav1.ConditionTrue:  {kind: "verified", message: "the enclave has checked the order"},
			metav1.ConditionFalse: {"refused", "the enclave refuses the order", true},
		},
		v1alpha1.ConditionReady: {
			metav1.ConditionTrue:  {kind: "ready", message: "every service is ready"},
			metav1.ConditionFalse: {"unready", "not every service is ready", false},
		},
		v1alpha1.ConditionNotified: {
			metav1.ConditionTrue:  {kind: "webhook", message: "the webhook takes what it is told"},
			metav1.ConditionFalse: {"webhook", "the webhook does not take what it is told", true},
		},
		v1alpha1.ConditionStopped: {metav1.ConditionTrue: {kind: "stopped", message: "no pod is left"}},
		v1alpha1.ConditionSettled: {metav1.ConditionTrue: {kind: "settled", message: "the final bill is on chain"}},
	}[c.Type][c.Status]
	if c.Type == v1alpha1.ConditionFunded {
		known = tellFunds(c.Reason)
	}
	if known.kind != "" && c.Message != "" && c.Status == metav1.ConditionFalse {
		known.message += ": " + oneLine(c.Message)
	}
	return known
}

func tellFunds(reason string) said {
	return map[string]said{
		v1alpha1.ReasonFunded:      {kind: "funded", message: "the channel pays for what runs"},
		v1alpha1.ReasonLow:         {"low", "the funds run low: apocryph channel deposit", true},
		v1alpha1.ReasonExhausted:   {"exhausted", "the funds are used up, and the app sleeps: apocryph channel deposit", true},
		v1alpha1.ReasonGraceOver:   {"ending", "the funds were used up for so long that the app ends", true},
		v1alpha1.ReasonCapExceeded: {"capped", "what is owed has come up to the channel's cap", true},
		v1alpha1.ReasonNotice:      {"notice", "the channel's notice was given: the app ends with it", true},
		v1alpha1.ReasonClosed:      {"closed", "the channel is closed", true},
		v1alpha1.ReasonChainUnseen: {"unseen", "the chain can't be seen; nothing is taken away because of that", true},
	}[reason]
}

// serviceOf is the service that an object of an app was made for, by its name: the longest that it begins with.
func serviceOf(name string, services []string) string {
	best := ""
	for _, s := range services {
		if (name == s || strings.HasPrefix(name, s+"-")) && len(s) > len(best) {
			best = s
		}
	}
	return best
}

func event(at time.Time, service string, s said, count int32) *providerv1.Event {
	return &providerv1.Event{
		Time: uint64(max(at.Unix(), 0)), Service: service, Kind: s.kind, Message: s.message, Count: uint32(max(count, 1)), Warning: s.warning,
	}
}

// timeOf is when an event last happened: which field says so depends on who recorded it.
func timeOf(e *corev1.Event) time.Time {
	last := e.LastTimestamp.Time
	if e.Series != nil {
		last = e.Series.LastObservedTime.Time
	}
	for _, t := range []time.Time{last, e.EventTime.Time, e.FirstTimestamp.Time, e.CreationTimestamp.Time} {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

func countOf(e *corev1.Event) int32 {
	if e.Series != nil {
		return e.Series.Count
	}
	return cmp.Or(e.Count, 1)
}
