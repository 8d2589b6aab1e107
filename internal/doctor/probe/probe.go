// SPDX-License-Identifier: Apache-2.0

// Package probe is what runs inside the doctor's pods: each function tries one thing, from where an app would, and reports what
// happened. It judges nothing.
//
// A report is JSON in the container's termination message, which kubelet copies into the pod's status: so the doctor needs no right to
// read logs, and a probe needs no way to call anybody. What a probe holds on to (processes, bytes, listeners) ends with its pod.
package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ReportFile is where kubelet reads a container's last words.
const ReportFile = "/dev/termination-log"

// maxReport is how much of them it keeps.
const maxReport = 4096

// maxText is how much a report quotes of an error.
const maxText = 300

// OK is how a report says that something worked; anything else is an error's text.
const OK = "ok"

// Ports of the listener, by what the policies of the doctor's namespace allow.
const (
	PortAllowed       = 8001 // both ends
	PortEgressDenied  = 8002 // the listener would take it, the dialer may not send it
	PortIngressDenied = 8003 // the dialer may send it, the listener may not take it
)

// Write leaves a report for kubelet.
func Write(file string, report any) error {
	b, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	if len(b) > maxReport {
		return fmt.Errorf("the report has %d bytes, kubelet keeps %d", len(b), maxReport)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// Listen accepts and closes connections on the ports of host until ctx ends. It answers on the first port only when it does on all.
func Listen(ctx context.Context, host string, ports ...int) error {
	slices.Reverse(ports)
	for _, p := range ports {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, fmt.Sprint(p)))
		if err != nil {
			return fmt.Errorf("listening: %w", err)
		}
		defer func() { _ = l.Close() }()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return // closed: ctx has ended
				}
				_ = c.Close()
			}
		}()
	}
	<-ctx.Done()
	return nil
}

// Network is what the dialer tries: addresses of the listener and a name to look up.
type Network struct {
	Allowed, EgressDenied, IngressDenied string
	Name                                 string
	// Patience bounds how long it goes on until rules are in force, Timeout each attempt.
	Patience, Timeout time.Duration
}

// NetworkReport is how the last round went: OK or an error for each address.
type NetworkReport struct {
	Allowed       string   `json:"allowed"`
	EgressDenied  string   `json:"egressDenied"`
	IngressDenied string   `json:"ingressDenied"`
	Rounds        int      `json:"rounds"`
	Addresses     []string `json:"addresses,omitempty"`
	NameError     string   `json:"nameError,omitempty"`
}

// settled says that things are as they should be: rules take a moment to reach a new pod, in both directions.
func (r NetworkReport) settled() bool {
	return r.Allowed == OK && r.EgressDenied != OK && r.IngressDenied != OK && len(r.Addresses) > 0
}

// Try dials and looks up, again and again until all is as it should be or patience ends. What must be closed is tried first: when the
// allowed path then works, the listener was there all along.
func (n Network) Try(ctx context.Context, wait func(context.Context, time.Duration) error) NetworkReport {
	ctx, cancel := context.WithTimeout(ctx, n.Patience)
	defer cancel()
	var last NetworkReport
	for round := 1; ; round++ {
		r := NetworkReport{Rounds: round}
		r.EgressDenied, r.IngressDenied = n.dial(ctx, n.EgressDenied), n.dial(ctx, n.IngressDenied)
		r.Allowed = n.dial(ctx, n.Allowed)
		r.Addresses, r.NameError = n.lookUp(ctx)
		if ctx.Err() != nil && round > 1 {
			return last // a round that was cut short says nothing
		}
		if last = r; r.settled() || wait(ctx, time.Second) != nil {
			return last
		}
	}
}

func (n Network) dial(ctx context.Context, to string) string {
	conn, err := (&net.Dialer{Timeout: n.Timeout}).DialContext(ctx, "tcp", to)
	if err != nil {
		return short(err)
	}
	_ = conn.Close()
	return OK
}

func (n Network) lookUp(ctx context.Context) ([]string, string) {
	ctx, cancel := context.WithTimeout(ctx, 2*n.Timeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupHost(ctx, n.Name)
	if err != nil {
		return nil, short(err)
	}
	slices.Sort(found)
	return found[:min(len(found), 8)], ""
}

// SelfReport is what a process sees of its own confinement.
type SelfReport struct {
	// UIDMap is /proc/self/uid_map with single blanks: "0 0 4294967295" is no user namespace.
	UIDMap string `json:"uidMap"`
	Error  string `json:"error,omitempty"`
}

// Self looks at the process's own user namespace, below the root directory proc.
func Self(proc string) SelfReport {
	b, err := os.ReadFile(filepath.Join(proc, "self", "uid_map"))
	if err != nil {
		return SelfReport{Error: short(err)}
	}
	return SelfReport{UIDMap: strings.Join(strings.Fields(string(b)), " ")}
}

func short(err error) string {
	text := err.Error()
	return text[:min(len(text), maxText)]
}
