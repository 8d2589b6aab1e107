// SPDX-License-Identifier: Apache-2.0

// Command oracle says what apps cost by the container runtime's own records, so that the meter can be held against somebody who shares none of
// its code: this is a module of its own, which requires nothing of the product's. It is for tests.
//
// When containers started and ended it learns from the runtime, to the nanosecond: containerd's events say that something happened, and the
// record that its CRI service keeps, which is what a kubelet is told, says when. What was reserved it reads from pods as they were ordered. Then
// it applies docs/protocol/metering.md with its own arithmetic: the second in which a pod started does not count and neither does that in which
// it ended; and the tariff, with one division at the end, rounded down.
//
// Of volumes the runtime knows nothing. The page has them count from when the meter first sees them, so that one time is read from the meter's
// account, and believed if it is not before Kubernetes' own record of the binding; when their deletion was ordered says Kubernetes.
//
// Of a pod whose end Kubernetes itself lost (a kubelet removes what it evicts, and may do so before it has looked) the page says that it counts as
// far as it was written down. That, too, is read from the account, and is wrong if the runtime says that the pod had ended before; how many such
// pods there were is said.
//
// An oracle that guesses is none. What it missed it says, in Void, and then its bill proves nothing: a container whose end nobody recorded, a pod
// that was there before it listened, a reservation that changed, a machine that was silent for more than two minutes. If the runtime ends and
// comes back, its records are read again; they are kept on disk.
//
// It asks for one thing a line on stdin, {"namespace": …, "prices": {…}}, and answers with one line on stdout. It ends when stdin does.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

func main() {
	socket := flag.String("containerd", "/run/containerd/containerd.sock", "containerd's socket")
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	prefix := flag.String("prefix", "app-", "what the names of tenants' namespaces begin with")
	flag.Parse()
	if err := run(context.Background(), *socket, *kubeconfig, *prefix, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

// question asks for the bill of a namespace; or, without one, for how far apart clocks are in all that was seen.
type question struct {
	Namespace string     `json:"namespace"`
	Prices    quantities `json:"prices"`
}

// listenLimit is how long runtime and API server may take to be heard first.
const listenLimit = time.Minute

func run(ctx context.Context, socket, kubeconfig, prefix string, in io.Reader, out io.Writer) error {
	b := newBook(prefix)
	r, err := dial(socket, b)
	if err != nil {
		return err
	}
	k, err := connect(kubeconfig, b)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	all.Go(func() { r.run(ctx) })
	all.Go(func() { k.run(ctx) })

	answers := json.NewEncoder(out)
	if err := b.heard(ctx, listenLimit); err != nil {
		return err
	}
	if err := answers.Encode(map[string]bool{"listening": true}); err != nil {
		return err
	}
	for lines := bufio.NewReader(in); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var q question
		if err := json.Unmarshal(line, &q); err != nil {
			return fmt.Errorf("question %q: %w", line, err)
		}
		if err := answers.Encode(b.answer(q, time.Now())); err != nil {
			return err
		}
	}
}
