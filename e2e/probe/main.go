// SPDX-License-Identifier: Apache-2.0

// Command probe is an app that tells what it can do: the end-to-end tests deploy it as a tenant and ask it to try
// things. What it loads the machine with is bounded by what it is asked for and by limits of its own.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// worked is what is said of an attempt that did, and has nothing more to say.
const worked = "ok"

// outcome is how an attempt went: what it has to say, or the error that it failed with.
type outcome struct{ Said, Error string }

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
	if len(os.Args) > 1 && os.Args[1] == "do" {
		if err := chore(os.Args[2:]); err != nil {
			log.Fatal("probe: ", err)
		}
		return
	}
	if len(os.Args) > 1 {
		child(os.Args[1:])
		return
	}
	mux := http.NewServeMux()
	rushing(mux) // before anything else
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { reply(w, "probe") })
	mux.HandleFunc("GET /self", func(w http.ResponseWriter, _ *http.Request) { reply(w, look()) })
	for what, try := range attempts() {
		mux.HandleFunc("GET /"+what, func(w http.ResponseWriter, r *http.Request) {
			said, err := try(r)
			if err != nil {
				reply(w, outcome{Error: err.Error()})
				return
			}
			reply(w, outcome{Said: said})
		})
	}
	mux.HandleFunc("POST /say", func(_ http.ResponseWriter, r *http.Request) { log.Println(r.FormValue("line")) })
	keeping(mux)
	mux.HandleFunc("POST /exit", func(http.ResponseWriter, *http.Request) { os.Exit(3) })
	for _, port := range strings.Fields(os.Getenv("PROBE_PORTS")) {
		go func() { log.Println("probe:", serve(":"+port, mux)) }()
	}
	log.Println("probe: listening on :8080")
	log.Fatal(serve(":8080", mux))
}

func serve(address string, h http.Handler) error {
	server := &http.Server{Addr: address, Handler: h, ReadHeaderTimeout: 5 * time.Second}
	return server.ListenAndServe()
}

// attempts are what can be asked for, by path. What they return is said; it is "ok" where there is nothing more to say.
func attempts() map[string]func(*http.Request) (string, error) {
	return map[string]func(*http.Request) (string, error){
		// Of the network.
		"dial": dial, "lookup": lookup, "transfer": transfer, "flood": flood, "borrow": borrow, "loopback": loopback, "scatter": scatter, "send": send,
		// Of the kernel.
		"system": system, "setuid": setuid, "capable": capable,
		// Of files.
		"read": read, "write": write, "open": open, "list": list, "link": link, "whose": whose, "node": node, "proc": proc,
		// Of the machine's resources.
		"fork": fork, "memory": memory, "fill": fill, "litter": litter, "chatter": chatter,
	}
}

func number(r *http.Request, name string, most int64) (int64, error) {
	n, err := strconv.ParseInt(r.FormValue(name), 10, 64)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%s %q is not a number of at most %d", name, r.FormValue(name), most)
	}
	return n, nil
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
