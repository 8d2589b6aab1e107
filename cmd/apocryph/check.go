// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docker/go-units"

	"github.com/apocryph/apocryph/internal/appfile"
	"github.com/apocryph/apocryph/internal/fault"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

type checkCmd struct {
	OutputFlags // --json → *Console
	FileFlags   // FILE -f …
}

// verdict is how check ends if not well: it has exit codes of its own.
type verdict struct {
	error
	code int
}

func (v verdict) Unwrap() error { return v.error }

// The exit codes of check.
const (
	exitCheckRefused = 1
	exitCheckFailed  = 2
)

// Run says whether a file can be deployed, and what that would make. Nothing is asked of anybody: images are not looked for.
func (c *checkCmd) Run(ctx context.Context, con *Console) error {
	view, err := check(ctx, &c.FileFlags)
	if err != nil {
		return verdict{err, exitCheckFailed}
	}
	if err := con.Result(view, view.write); err != nil {
		return verdict{err, exitCheckFailed}
	}
	if view.Verdict == refusedVerdict {
		return verdict{fault.Hint(fmt.Errorf("%s is refused", c.File), "change what is named above; what becomes of each key is in docs/guide/compose.md"), exitCheckRefused}
	}
	return nil
}

const (
	deployableVerdict = "deployable"
	refusedVerdict    = "refused"
)

// checkView is the verdict on a file.
type checkView struct {
	Event    string           `json:"event"`
	File     string           `json:"file"`
	Verdict  string           `json:"verdict"`
	Problems appfile.Problems `json:"problems,omitempty"`
	Notes    []appfile.Note   `json:"notes,omitempty"`
	Plan     *planView        `json:"plan,omitempty"`
}

// check reads a file. An error says that there is no verdict.
func check(ctx context.Context, flags *FileFlags) (*checkView, error) {
	view := &checkView{Event: "check", File: flags.File, Verdict: deployableVerdict}
	file, err := flags.load(ctx)
	var m *manifestv1.Manifest
	if err == nil {
		view.Notes = file.Notes
		m, err = file.Manifest(ctx, unseen())
	}
	switch {
	case errors.As(err, &view.Problems):
		view.Verdict = refusedVerdict
		return view, nil
	case err != nil:
		return nil, err
	}
	view.Plan = planOf(m, file)
	return view, nil
}

// unseen stands for images that nobody has looked at.
func unseen() appfile.Pins {
	const own = "(the image's own)"
	return appfile.Pins{
		Resolve: func(context.Context, string) (appfile.Image, error) {
			return appfile.Image{Digest: "sha256:" + strings.Repeat("0", 64), Entrypoint: []string{own}, Cmd: []string{own}, Unseen: true}, nil
		},
		Salt: func(string, string, string) []byte { return make([]byte, 16) },
	}
}

// write shows the verdict to people, each thing on a line that begins with its kind.
func (v *checkView) write(out io.Writer) error {
	b := &strings.Builder{}
	line := func(kind, format string, args ...any) {
		fmt.Fprintf(b, "%-9s %s\n", kind, fmt.Sprintf(format, args...))
	}
	for _, p := range v.Problems {
		line("problem", "%s", p)
		line("", "remedy: %s", p.Remedy)
	}
	if v.Plan != nil {
		v.Plan.lines(line)
	}
	for _, n := range appfile.NotesForPeople(v.Notes) {
		line("note", "%s", n)
	}
	if v.Plan != nil {
		for _, text := range []string{v.Plan.portless(), v.Plan.unstated()} {
			if text != "" {
				line("note", "%s", text)
			}
		}
	}
	line("verdict", "%s is %s", v.File, v.Verdict)
	_, err := io.WriteString(out, b.String())
	return err
}

// afterText says what a service waits for.
func afterText(deps []*manifestv1.Dependency) string {
	var words []string
	for _, d := range deps {
		switch d.Condition {
		case manifestv1.Condition_CONDITION_HEALTHY:
			words = append(words, d.Service+" is ready")
		case manifestv1.Condition_CONDITION_COMPLETED:
			words = append(words, d.Service+" has completed")
		default:
			words = append(words, d.Service+" has started")
		}
	}
	return strings.Join(words, ", ")
}

func restartText(s *manifestv1.Service) string {
	switch {
	case s.Restart == manifestv1.Restart_RESTART_NEVER:
		return "once"
	case s.Restart == manifestv1.Restart_RESTART_ON_FAILURE && s.RestartAttempts > 0:
		return fmt.Sprintf("again on failure, at most %d times", s.RestartAttempts)
	case s.Restart == manifestv1.Restart_RESTART_ON_FAILURE:
		return "again on failure"
	}
	return "always"
}

func healthText(h *manifestv1.Health) string {
	if h == nil {
		return ""
	}
	span := func(ms uint64) time.Duration { return time.Duration(ms) * time.Millisecond }
	const rare, often = 5000, 5000 // milliseconds: at least this often until the first passes, at most this often afterwards
	return fmt.Sprintf("%s, every %s until it passes, then every %s, at most %s each, %d tries",
		strings.Join(h.Command, " "), span(min(h.IntervalMs, rare)), span(max(h.IntervalMs, often)), span(h.TimeoutMs), h.Retries)
}

func bytesText(n uint64) string { return units.BytesSize(float64(n)) }

func cpuText(milli uint64) string {
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%03d", milli/1000, milli%1000), "0"), ".") + " vCPU"
}

// rateOf is what a manifest reserves while all of it runs.
func rateOf(m *manifestv1.Manifest) reservedView {
	pods, volumes := manifest.Rate(m)
	return reservedView{uint64(pods.MilliCPU), uint64(pods.MemoryBytes), uint64(pods.EphemeralBytes), uint64(volumes.StorageBytes), pods.Extended, m.EgressBytesPerSecond}
}
