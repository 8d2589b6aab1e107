// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// What Compose says of a health check where the file says nothing.
const (
	healthInterval = 30 * time.Second
	healthTimeout  = 30 * time.Second
	healthRetries  = 3
)

// dependencies are the services that come first.
func (c *serviceCheck) dependencies(s types.ServiceConfig) []*manifestv1.Dependency {
	var out []*manifestv1.Dependency
	for _, name := range slices.Sorted(maps.Keys(s.DependsOn)) {
		if _, runs := c.f.project.Services[name]; !runs {
			continue // the loader has seen that it is not required
		}
		d := &manifestv1.Dependency{Service: c.f.label(name)}
		at := []string{"depends_on", name, "condition"}
		switch condition := s.DependsOn[name].Condition; condition {
		case "", types.ServiceConditionStarted:
		case types.ServiceConditionHealthy:
			d.Condition = manifestv1.Condition_CONDITION_HEALTHY
		case types.ServiceConditionCompletedSuccessfully:
			d.Condition = manifestv1.Condition_CONDITION_COMPLETED
			other := serviceCheck{f: c.f, name: name}
			if restart, _ := other.restart(c.f.project.Services[name]); restart == manifestv1.Restart_RESTART_UNSPECIFIED {
				c.problem(fmt.Sprintf("it waits until service %s has completed, which is always started again", name), fmt.Sprintf("write restart: \"no\" or on-failure in service %s", name), at...)
			}
		default:
			c.problem(fmt.Sprintf("%q is no condition", condition), "write service_started, service_healthy or service_completed_successfully", at...)
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b *manifestv1.Dependency) int { return strings.Compare(a.Service, b.Service) })
	return out
}

// restart says what follows when the service ends. An app's services are servers, so without a word they are started again, unless
// another waits for their end.
func (c *serviceCheck) restart(s types.ServiceConfig) (policy manifestv1.Restart, attempts uint32) {
	at, condition, count := "restart", s.Restart, ""
	if s.Deploy != nil && s.Deploy.RestartPolicy != nil {
		at, condition = "deploy", cmpOr(s.Deploy.RestartPolicy.Condition, "any")
		if n := s.Deploy.RestartPolicy.MaxAttempts; n != nil && condition == "on-failure" {
			count = strconv.FormatUint(*n, 10)
		}
	} else if before, after, found := strings.Cut(condition, ":"); found {
		condition, count = before, after
	}
	switch condition {
	case "always", "unless-stopped", "any":
	case "no", "none":
		policy = manifestv1.Restart_RESTART_NEVER
	case "on-failure":
		policy = manifestv1.Restart_RESTART_ON_FAILURE
	case "":
		if c.f.isWaitedFor(c.name) {
			policy = manifestv1.Restart_RESTART_NEVER
		}
	default:
		c.problem(fmt.Sprintf("%q is no restart policy", condition), "write no, always, on-failure or unless-stopped", at)
	}
	if count != "" {
		n, err := strconv.ParseUint(count, 10, 32)
		if err != nil || n > manifest.MaxRestarts {
			c.problem(fmt.Sprintf("%s is no number of restarts", count), fmt.Sprintf("write a number from 1 to %d", manifest.MaxRestarts), at)
		} else if policy == manifestv1.Restart_RESTART_ON_FAILURE {
			attempts = uint32(n)
		}
	}
	return c.restartOfServer(s, policy, attempts, condition, at)
}

// restartOfServer lets what is plainly a server go on, and says what of the policy is otherwise than in Compose. Something that runs
// once, or may end well, keeps an app from falling asleep, which is why nothing is taken for it that looks like a server.
func (c *serviceCheck) restartOfServer(s types.ServiceConfig, policy manifestv1.Restart, attempts uint32, condition, at string) (manifestv1.Restart, uint32) {
	serves := len(s.Ports) > 0 || len(s.Expose) > 0 || s.HealthCheck != nil && !s.HealthCheck.Disable && !slices.Contains(s.HealthCheck.Test, "NONE")
	waited := c.f.isWaitedFor(c.name)
	switch {
	case c.http && policy != manifestv1.Restart_RESTART_UNSPECIFIED:
		c.note("no effect: the service answers http, so it is always started again", at)
		return manifestv1.Restart_RESTART_UNSPECIFIED, 0
	case policy == manifestv1.Restart_RESTART_ON_FAILURE && !waited && (serves || c.f.isDependedOn(c.name)):
		c.note("the service is taken for a server, so it is always started again; if it is one that ends, write restart: \"no\"", at)
		return manifestv1.Restart_RESTART_UNSPECIFIED, 0
	case policy == manifestv1.Restart_RESTART_NEVER && condition != "" && !waited && serves:
		c.note("the service runs once, and while it runs the app does not fall asleep; if it is a server, write restart: always", at)
	case condition == "" && !waited && !c.http && !serves && len(s.DependsOn) > 0:
		c.note("nothing says restart, so it is started again whenever it ends; if it runs once write restart: \"no\"")
	}
	return policy, attempts
}

// isDependedOn reports whether another service comes after this one.
func (f *File) isDependedOn(name string) bool {
	for _, s := range f.project.Services {
		if _, ok := s.DependsOn[name]; ok {
			return true
		}
	}
	return false
}

// isWaitedFor reports whether a service waits for the end of another.
func (f *File) isWaitedFor(name string) bool {
	for _, s := range f.project.Services {
		if d, ok := s.DependsOn[name]; ok && d.Condition == types.ServiceConditionCompletedSuccessfully {
			return true
		}
	}
	return false
}

// health is the service's check, or its image's, or of each what the other does not say.
func (c *serviceCheck) health(s types.ServiceConfig, img *Image) *manifestv1.Health {
	h := &manifestv1.Health{IntervalMs: ms(healthInterval), TimeoutMs: ms(healthTimeout), Retries: healthRetries}
	if img != nil && img.Health != nil {
		h.Command, h.StartPeriodMs = img.Health.Command, img.Health.StartPeriodMs
		h.IntervalMs = cmpOrZero(img.Health.IntervalMs, h.IntervalMs)
		h.TimeoutMs = cmpOrZero(img.Health.TimeoutMs, h.TimeoutMs)
		h.Retries = cmpOrZero(img.Health.Retries, h.Retries)
	}
	if own := s.HealthCheck; own != nil {
		if own.Disable || (len(own.Test) > 0 && own.Test[0] == "NONE") {
			return nil
		}
		if len(own.Test) > 0 {
			h.Command = HealthCommand(own.Test)
			if len(h.Command) == 0 || h.Command[0] == "" {
				c.problem("the health check has no command", "write test: [CMD, PROGRAM, ARGUMENT], or one text that a shell runs", "healthcheck", "test")
			}
		}
		h.IntervalMs = c.healthTime(own.Interval, h.IntervalMs, 1, "interval")
		h.TimeoutMs = c.healthTime(own.Timeout, h.TimeoutMs, 1, "timeout")
		h.StartPeriodMs = c.healthTime(own.StartPeriod, h.StartPeriodMs, 0, "start_period")
		if own.Retries != nil && *own.Retries > 0 {
			if *own.Retries > manifest.MaxRestarts {
				c.problem(fmt.Sprintf("%d retries, at most %d", *own.Retries, manifest.MaxRestarts), "write fewer", "healthcheck", "retries")
			}
			h.Retries = uint32(min(*own.Retries, manifest.MaxRestarts))
		}
	}
	if len(h.Command) == 0 {
		return nil
	}
	return h
}

// healthTime reads one of a health check's times. As in Compose 0 means that nothing is said.
func (c *serviceCheck) healthTime(d *types.Duration, otherwise, least uint64, key string) uint64 {
	if d == nil || *d == 0 {
		return otherwise
	}
	if t := time.Duration(*d); t < 0 || t > manifest.MaxHealthTime {
		c.problem("the time is not within 0 s and 24 h", "write a duration as in 30s", "healthcheck", key)
		return otherwise
	}
	return max(least, ms(time.Duration(*d)))
}

// HealthCommand is the command of a health check as Compose and images write it: CMD and words, CMD-SHELL and a text, or nothing for NONE.
func HealthCommand(test []string) []string {
	switch {
	case len(test) == 0 || test[0] == "NONE":
		return nil
	case test[0] == "CMD":
		return test[1:]
	case test[0] == "CMD-SHELL":
		return []string{"/bin/sh", "-c", strings.Join(test[1:], " ")}
	}
	return test
}

func ms(d time.Duration) uint64 { return uint64(d / time.Millisecond) }

func cmpOrZero[T comparable](a, b T) T {
	var zero T
	if a == zero {
		return b
	}
	return a
}
