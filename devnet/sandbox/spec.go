// SPDX-License-Identifier: Apache-2.0

// Package sandbox runs a set of programs (parts) in PID, mount, network, IPC and UTS namespaces of their own, so that nothing they
// do to the machine outlives them: ending one process ends all, with their mounts, interfaces, firewall rules and loop devices.
//
// Two processes hold it up. The supervisor stays on the machine's side: it makes cgroups and the one link between the two networks,
// and forwards a few loopback ports. Init is process 1 on the inside: it mounts, starts the parts in order and reaps. Init dies
// with the supervisor, and everything dies with init. A part that ends before it was ever ready is reported and stays down. Later ends
// are counted in the status, and the part is started again as a machine's init would do it, unless its state is gone with it.
package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// The places inside the sandbox, the same for every checkout.
const (
	Inside    = "/run/apocryph"       // what follows lies here
	BinDir    = Inside + "/bin"       // the checkout's build/bin, read-only
	EtcDir    = Inside + "/state/etc" // configuration and keys
	StateDir  = Inside + "/state"     // the checkout's build/devnet
	Interface = "eth0"                // the sandbox's side of the link
)

// ErrRunning means that another supervisor holds the state folder.
var ErrRunning = errors.New("already running")

// Spec says what to run and where. It is the content of spec.json in the state folder.
type Spec struct {
	// State is the folder on the machine for everything that ends with the sandbox.
	State string `json:"state"`
	// Bin is the folder on the machine that programs are started from.
	Bin string `json:"bin"`
	// Hostname is what the sandbox calls itself.
	Hostname string `json:"hostname"`
	// Cgroup is the path, from the root of every hierarchy, below which all processes live.
	Cgroup string `json:"cgroup"`
	// Veth is the link's name on the machine's side.
	Veth string `json:"veth"`
	// HostIP and NodeIP are the link's ends in a network of 30 bits.
	HostIP netip.Addr `json:"hostIP"`
	NodeIP netip.Addr `json:"nodeIP"`
	// Forwards are TCP ports of the machine's loopback that lead to the inside.
	Forwards []Forward `json:"forwards"`
	// Volumes is a folder on the inside, of a name that no other sandbox has: the machine's loop devices tell by it whose they are.
	Volumes string `json:"volumes"`
	// Rules is a file of nftables rules on the inside, loaded before any part starts. It may be empty.
	Rules string `json:"rules,omitempty"`
	// Disks are mounted on the inside before any part starts.
	Disks []Disk `json:"disks"`
	// Parts are started as soon as those they wait for are ready.
	Parts []Part `json:"parts"`
}

// Disk is a file system of its own, so that it can be full while the machine's is not.
type Disk struct {
	// Dir is where it is mounted.
	Dir string `json:"dir"`
	// Size in bytes; what is not used takes no room.
	Size int64 `json:"size"`
}

// Forward leads from a port of the machine's 127.0.0.1 to a port of the sandbox's address.
type Forward struct {
	Name string `json:"name"`
	Host int    `json:"host"`
	Node int    `json:"node"`
}

// Part is one program.
type Part struct {
	Name string `json:"name"`
	// Args start with the program's name below BinDir.
	Args []string `json:"args"`
	// After names the parts that have to be ready first.
	After []string `json:"after,omitempty"`
	// Ready is what to dial until it answers: tcp:HOST:PORT, unix:PATH or a URL. If empty, the part is ready once started.
	Ready string `json:"ready,omitempty"`
	// ReadyAs is a client certificate for a URL of Ready: its path and the key's, without .crt and .key.
	ReadyAs string `json:"readyAs,omitempty"`
	// Once parts keep their state in memory: when one ends, there is nothing to start again.
	Once bool `json:"once,omitempty"`
}

// Phase is how far a part got.
type Phase string

// The phases of a part.
const (
	Waiting  Phase = "waiting"  // for the parts it comes after
	Starting Phase = "starting" // runs, but does not answer yet
	Ready    Phase = "ready"
	Ended    Phase = "ended"
)

// PartStatus is what is known of a part.
type PartStatus struct {
	Name    string    `json:"name"`
	Phase   Phase     `json:"phase"`
	Started time.Time `json:"started,omitzero"`
	Ready   time.Time `json:"ready,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	// Exit says how it ended, or ended last if it was started again.
	Exit string `json:"exit,omitempty"`
	// PID is its process on the inside.
	PID int `json:"pid,omitempty"`
	// Restarts is how often it was started again.
	Restarts int `json:"restarts,omitempty"`
}

// Status is what init reports in status.json.
type Status struct {
	Parts []PartStatus `json:"parts"`
}

// Failed returns the first part that ended, nil if none did.
func (s Status) Failed() *PartStatus {
	for i := range s.Parts {
		if s.Parts[i].Phase == Ended {
			return &s.Parts[i]
		}
	}
	return nil
}

// AllReady says whether every part answers.
func (s Status) AllReady() bool {
	for _, p := range s.Parts {
		if p.Phase != Ready {
			return false
		}
	}
	return len(s.Parts) > 0
}

// ReadStatus returns the status in a state folder.
func ReadStatus(state string) (Status, error) {
	return readJSON[Status](filepath.Join(state, "status.json"))
}

// ReadSpec returns the spec in a state folder.
func ReadSpec(state string) (Spec, error) { return readJSON[Spec](filepath.Join(state, "spec.json")) }

// WriteSpec stores a spec in its state folder.
func WriteSpec(s Spec) error { return writeJSON(filepath.Join(s.State, "spec.json"), s) }

func readJSON[T any](path string) (T, error) {
	var v T
	data, err := os.ReadFile(path)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("reading %s: %w", path, err)
	}
	return v, nil
}

// writeJSON replaces a file at once, so that a reader never sees half of it.
func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Port returns the loopback port of a forward, 0 if there is none of that name.
func (s Spec) Port(name string) int {
	for _, f := range s.Forwards {
		if f.Name == name {
			return f.Host
		}
	}
	return 0
}
