// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	rushTime = 3 * time.Second
	// rushEach is shorter than the second after which a lost packet is sent again: each packet is a new attempt.
	rushEach = 100 * time.Millisecond
)

// rush dials addresses as soon as the process runs, over and over: rules that come later than the pod would let it. It says which answered.
func rush(addresses string) (said func() string) {
	var (
		mu      sync.Mutex
		reached = map[string]int{}
		all     sync.WaitGroup
	)
	ctx, cancel := context.WithTimeout(context.Background(), rushTime)
	for _, to := range strings.Fields(addresses) {
		all.Go(func() {
			dialer := net.Dialer{Timeout: rushEach}
			for ctx.Err() == nil {
				conn, err := dialer.DialContext(ctx, "tcp", to)
				if err != nil {
					continue
				}
				_ = conn.Close()
				mu.Lock()
				reached[to]++
				mu.Unlock()
			}
		})
	}
	return func() string {
		all.Wait()
		cancel()
		var lines []string
		for to, n := range reached {
			lines = append(lines, fmt.Sprintf("%s %d", to, n))
		}
		slices.Sort(lines)
		return cmp.Or(strings.Join(lines, ", "), "nothing")
	}
}

// rushing serves what a rush reached that began with the process, once it is over.
func rushing(mux *http.ServeMux) {
	said := rush(os.Getenv("PROBE_RUSH"))
	mux.HandleFunc("GET /rushed", func(w http.ResponseWriter, _ *http.Request) { reply(w, outcome{Said: said()}) })
}
