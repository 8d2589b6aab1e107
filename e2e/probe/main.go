// SPDX-License-Identifier: Apache-2.0

// Command probe is an app that tells what it can do: the end-to-end tests deploy it as a tenant and ask it to try things.
package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// self is what a process can learn about its own confinement.
type self struct {
	// UIDMap is /proc/self/uid_map: "0 0 4294967295" means no user namespace.
	UIDMap string
	// Status is /proc/self/status, with CapEff, NoNewPrivs and Seccomp.
	Status map[string]string
	// Token says whether a service-account token is mounted.
	Token bool
	// Writable lists which of some paths can be written to.
	Writable []string
	// Hostname is the pod's name.
	Hostname string
}

func main() {
	log.SetFlags(0)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { reply(w, "probe") })
	mux.HandleFunc("GET /self", func(w http.ResponseWriter, _ *http.Request) { reply(w, look()) })
	// dial tries to connect and says "ok" or the error.
	mux.HandleFunc("GET /dial", func(w http.ResponseWriter, r *http.Request) {
		dialer := net.Dialer{Timeout: 2 * time.Second}
		conn, err := dialer.DialContext(r.Context(), r.FormValue("network"), r.FormValue("to"))
		if err != nil {
			reply(w, err.Error())
			return
		}
		_ = conn.Close()
		reply(w, "ok")
	})
	mux.HandleFunc("POST /say", func(_ http.ResponseWriter, r *http.Request) { log.Println(r.FormValue("line")) })
	mux.HandleFunc("POST /exit", func(http.ResponseWriter, *http.Request) { os.Exit(3) })
	log.Println("probe: listening on :8080")
	server := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}

func look() self {
	s := self{Status: map[string]string{}}
	uidMap, err := os.ReadFile("/proc/self/uid_map")
	if err == nil {
		s.UIDMap = strings.Join(strings.Fields(string(uidMap)), " ")
	}
	status, err := os.ReadFile("/proc/self/status")
	if err == nil {
		for line := range strings.Lines(string(status)) {
			if key, value, ok := strings.Cut(line, ":"); ok {
				s.Status[key] = strings.TrimSpace(value)
			}
		}
	}
	_, err = os.Stat("/var/run/secrets/kubernetes.io/serviceaccount/token")
	s.Token = !errors.Is(err, fs.ErrNotExist)
	// The last three are control files of the machine's cgroups, of version 1 and 2.
	for _, path := range []string{"/data", "/proc/sys/kernel/hostname", "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/cgroup.procs"} {
		flags := os.O_WRONLY
		if path == "/data" {
			path, flags = "/data/x", flags|os.O_CREATE
		}
		if f, err := os.OpenFile(path, flags, 0o600); err == nil {
			_ = f.Close()
			s.Writable = append(s.Writable, path)
		}
	}
	s.Hostname, _ = os.Hostname()
	return s
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		log.Println("probe:", err)
	}
}
