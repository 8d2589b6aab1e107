// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// hertz is the unit of a process's times on Linux, which is the same everywhere.
const hertz = 100

// cpu returns how long a process has computed.
func cpu(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything.
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, data)
	}
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / hertz, nil
}

// peak returns the most memory that a process has had resident, in bytes.
func peak(pid int) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status says nothing of its peak", pid)
}

// requests are what the meter asked of the API server, by the server's own record: verb, resource and subresource, and code from 400 on.
type requests map[string]int

// writes are those that change something, refused or not.
func (r requests) writes() (n int) {
	for what, count := range r {
		switch verb, _, _ := strings.Cut(what, " "); verb {
		case "create", "update", "patch", "delete":
			n += count
		}
	}
	return n
}

// less returns what came since.
func (r requests) less(before requests) requests {
	out := requests{}
	for what, n := range r {
		if d := n - before[what]; d > 0 {
			out[what] = d
		}
	}
	return out
}

// audited reads the record so far.
func audited(path string) (requests, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return requests{}, nil // nobody asked for anything
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	out := requests{}
	for in := bufio.NewReader(f); ; {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return out, nil // the last line may be half written
		}
		if err != nil {
			return nil, err
		}
		var event struct {
			Verb, Stage string
			ObjectRef   struct{ Resource, Subresource string }
			Status      struct{ Code int } `json:"responseStatus"`
		}
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("reading the API server's record: %w", err)
		}
		if event.Stage != "ResponseComplete" && event.Verb != "watch" || event.Stage == "ResponseComplete" && event.Verb == "watch" {
			continue // each once: a watch when it begins
		}
		what := event.Verb + " " + event.ObjectRef.Resource
		if event.ObjectRef.Subresource != "" {
			what += "/" + event.ObjectRef.Subresource
		}
		if event.Status.Code >= 400 {
			what += fmt.Sprintf(" (%d)", event.Status.Code)
		}
		out[what]++
	}
}
