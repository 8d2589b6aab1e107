// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// cause is what keeps a service from being ready, and what its publisher can do about it. The zero value is no cause.
type cause struct{ what, remedy string }

// String is one bounded line: what may come from a tenant is cut before the remedy is.
func (c cause) String() string {
	if c.what == "" || c.remedy == "" {
		return trim(c.what)
	}
	const between = "; "
	return trimTo(maxBlocked-len(between)-len(c.remedy), c.what) + between + c.remedy
}

// The remedies name what the publisher writes: keys of the app file and commands.
const (
	remedyPull     = "deploy again, which sends it anew; if it stays so, tell the provider"
	remedyRoom     = "ask for less (cpus, mem_limit), or deploy at another provider"
	remedyProgram  = "check command, entrypoint, working_dir and user"
	remedyMemory   = "give it more memory (mem_limit)"
	remedyEvicted  = "if it wrote more than it ordered, order more (x-apocryph.ephemeral); another pod takes its place"
	remedyEnded    = "read what it wrote: apocryph logs; what is to run once needs restart: \"no\""
	remedyCrashed  = "read what it wrote: apocryph logs"
	remedyHealth   = "try the check's command in the image, or give it more time (start_period)"
	remedyPort     = "have it listen on 0.0.0.0 at that port, or name another one in x-apocryph.http"
	reasonOOM      = "OOMKilled"
	reasonFinished = "Completed"

	// saidLines is how many of a crashed container's last lines are passed on.
	saidLines = 3
)

// podBlocked is what keeps a pod from being ready; none when it is simply on its way.
func podBlocked(p *corev1.Pod, m *manifestv1.Manifest, svc *manifestv1.Service) cause {
	switch {
	case p == nil:
		return cause{}
	case p.Status.Phase == corev1.PodFailed && p.Status.Reason != "":
		return cause{"its pod was ended: " + p.Status.Reason + ": " + p.Status.Message, remedyEvicted}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return cause{"no machine has room: " + c.Message, remedyRoom}
		}
	}
	for _, c := range p.Status.ContainerStatuses {
		if why := containerBlocked(c, httpPortOf(m, svc), svc.GetHealth() != nil); why.what != "" {
			return why
		}
	}
	return cause{}
}

func containerBlocked(c corev1.ContainerStatus, httpPort uint32, health bool) cause {
	last := c.LastTerminationState.Terminated
	if c.State.Terminated != nil {
		last = c.State.Terminated
	}
	switch w := c.State.Waiting; {
	case w != nil && slices.Contains([]string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName"}, w.Reason):
		return cause{"the image can't be pulled: " + w.Message, remedyPull}
	case w != nil && strings.HasSuffix(w.Reason, "Error"):
		return cause{"the container can't be started: " + w.Reason + ": " + w.Message, remedyProgram}
	case last != nil && c.State.Running == nil:
		return exited(last, c.RestartCount)
	case c.State.Running != nil && !c.Ready && health && last == nil:
		return cause{"it runs, but its health check does not pass", remedyHealth}
	case c.State.Running != nil && !c.Ready && httpPort != 0 && last == nil:
		return cause{fmt.Sprintf("it runs, but port %d does not accept connections yet", httpPort), remedyPort}
	case c.State.Running != nil && !c.Ready && last != nil:
		return exited(last, c.RestartCount)
	}
	return cause{}
}

func exited(t *corev1.ContainerStateTerminated, restarts int32) cause {
	why := cause{ending(t), remedyCrashed}
	switch {
	case t.Reason == reasonOOM:
		why.remedy = remedyMemory
	case t.ExitCode == 0:
		why.remedy = remedyEnded
	}
	if restarts > 0 {
		why.what += fmt.Sprintf(", restarted %d times", restarts)
	}
	if said := lastLines(t.Message); said != "" {
		why.what += "; it last said: " + said
	}
	return why
}

// ending is how a container ended, without anything that it wrote.
func ending(t *corev1.ContainerStateTerminated) string {
	how := fmt.Sprintf("it exited with code %d", t.ExitCode)
	switch {
	case t.Reason == reasonOOM:
		return "it was ended for using more memory than it ordered"
	case t.ExitCode != 0 && t.Reason != "" && t.Reason != "Error" && t.Reason != reasonFinished:
		how += " (" + t.Reason + ")"
	}
	return how
}

const (
	// crashLoop is how often a container has to have ended to be said to crash again and again, and shortRun how long its last run was at
	// most: after a longer one Kubernetes, too, counts anew.
	crashLoop = 3
	shortRun  = 10 * time.Minute
)

// crashing is how a service's container ends again and again, if it does in this pod and does not run just now; else empty.
func crashing(p *corev1.Pod, service string) string {
	for _, c := range p.Status.ContainerStatuses {
		last := c.LastTerminationState.Terminated
		if c.State.Terminated != nil {
			last = c.State.Terminated
		}
		if c.Name != service || last == nil || c.State.Running != nil || c.RestartCount+1 < crashLoop {
			continue
		}
		if last.FinishedAt.Sub(last.StartedAt.Time) < shortRun {
			return trim(ending(last))
		}
	}
	return ""
}

// lastLines are the last few of a message that say anything, as one.
func lastLines(message string) string {
	var lines []string
	for line := range strings.Lines(message) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-saidLines):], " / ")
}

func httpPortOf(m *manifestv1.Manifest, s *manifestv1.Service) uint32 {
	if m.GetHttp().GetService() == s.GetName() {
		return m.GetHttp().GetPort()
	}
	return 0
}
