// SPDX-License-Identifier: Apache-2.0

package logstore

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/manifest"
)

// entry is one line of a container's log file as the runtime wrote it: a line that the container wrote, or a part of a long one.
type entry struct {
	at      time.Time
	stderr  bool
	partial bool
	text    []byte
}

// parseEntry reads "2026-01-31T12:00:00.000000001Z stdout F text", without its end; text is part of line. False for what is none.
func parseEntry(line []byte) (entry, bool) {
	stamp, rest, ok := bytes.Cut(line, []byte(" "))
	stream, rest, ok2 := bytes.Cut(rest, []byte(" "))
	tags, text, _ := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 {
		return entry{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	// What its number can't hold is no time of a log's.
	if err != nil || at.Unix() < 0 || at.Year() > 2200 {
		return entry{}, false
	}
	e := entry{at: at, text: text[:min(len(text), maxLine)]}
	switch string(stream) {
	case "stdout":
	case "stderr":
		e.stderr = true
	default:
		return entry{}, false
	}
	// Tags after the first are separated by colons, and none is defined.
	switch tag, _, _ := bytes.Cut(tags, []byte(":")); string(tag) {
	case "F":
	case "P":
		e.partial = true
	default:
		return entry{}, false
	}
	return e, true
}

// parsePod takes the name of a pod's directory apart, "<namespace>_<pod>_<uid>", and is false for what is no tenant's.
func parsePod(dir string) (app, pod string, ok bool) {
	parts := strings.Split(dir, "_")
	if len(parts) != 3 || len(parts[1]) > maxPodName || len(parts[2]) > maxUID {
		return "", "", false
	}
	app, tenant := v1alpha1.AppOf(parts[0])
	if _, err := delegation.ParseAppID(app); !tenant || err != nil {
		return "", "", false
	}
	// A Deployment's and a Job's pods have labels for names, but for what is cut off at the end of a long one.
	return app, parts[1], manifest.LooksLikeLabel(parts[1])
}

// isService reports whether a container is the one of its pod that runs the service. The pod is named after the service, as far as there
// is room; containers that only prepare it are not.
func isService(container, pod string) bool {
	if !manifest.LooksLikeLabel(container) {
		return false
	}
	return strings.HasPrefix(pod, container+"-") || len(container) >= cutPodName && strings.HasPrefix(container, pod[:min(len(pod), cutPodName)])
}

// parseRestart reads the name of the file that a container writes to now, "<restart>.log".
func parseRestart(name string) (uint32, bool) {
	number, ok := strings.CutSuffix(name, ".log")
	n, err := strconv.ParseUint(number, 10, 32)
	return uint32(n), ok && err == nil && strconv.FormatUint(n, 10) == number
}
