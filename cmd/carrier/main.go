// SPDX-License-Identifier: Apache-2.0

// Command carrier moves the content of apps' volumes. Controller and gateway run it in apps' namespaces, never a person; it is a program of its own,
// beside apocryphd in the provider's image, because it is copied into pods of apps' own images.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/apocryph/apocryph/internal/carrier"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s\n", err)
		os.Exit(code(err)) //nolint:forbidigo // this is main
	}
}

// code tells controller and gateway of what a publisher can do something about.
func code(err error) int {
	switch {
	case errors.Is(err, carrier.ErrFull):
		return int(syscall.ENOSPC)
	case errors.Is(err, carrier.ErrArchive):
		return int(syscall.EBADMSG)
	case errors.Is(err, carrier.ErrBroken):
		return int(syscall.EPIPE)
	}
	return 1
}

const usage = `carrier install FILE
carrier fill GROUP VOLUME PATH [VOLUME PATH …]
carrier wait SECONDS
carrier get VOLUME
carrier put VOLUME`

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "wait":
		seconds, err := strconv.Atoi(args[1])
		if err != nil {
			return fmt.Errorf("%q seconds is no number", args[1])
		}
		return wait(time.Duration(seconds) * time.Second)
	case len(args) == 2 && args[0] == "get":
		return held(func() (carrier.Report, error) { return carrier.Get(os.Stdout, args[1]) })
	case len(args) == 2 && args[0] == "put":
		return report(func() (carrier.Report, error) { return carrier.Put(args[1], os.Stdin) })
	case len(args) == 2 && args[0] == "install":
		return install(args[1])
	case len(args) >= 4 && len(args)%2 == 0 && args[0] == "fill":
		group, err := strconv.Atoi(args[1])
		if err != nil {
			return fmt.Errorf("group %q is no number", args[1])
		}
		for pairs := args[2:]; len(pairs) > 0; pairs = pairs[2:] {
			if err := carrier.Fill(pairs[0], pairs[1], group); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("usage:\n%s", usage)
}

// report carries, and says as the last line of what it has to say how that went. Its input stays open for as long as somebody cares: until
// then what it wrote may be on its way still, and would be lost if it ended.
func report(carry func() (carrier.Report, error)) error {
	if err := carrier.GiveWay(); err != nil {
		return err
	}
	quiet := beat(os.Stderr)
	r, failed := carry()
	quiet()
	said := outcome{Report: r}
	if failed != nil {
		said = outcome{Code: code(failed), Why: failed.Error()}
	}
	if err := json.NewEncoder(os.Stderr).Encode(said); err != nil {
		return err
	}
	// Also after a failure: what runs it does not notice that it has ended while there is something to send to it.
	_, err := io.Copy(io.Discard, os.Stdin)
	return errors.Join(failed, err)
}

// outcome is a report, or why there is none.
type outcome struct {
	carrier.Report
	Code int    `json:"code,omitempty"`
	Why  string `json:"why,omitempty"`
}

// beatEvery is how often a carrier that is at work says so.
const beatEvery = 5 * time.Second

// beat writes an empty line now and then until it is ended: a carrier that is gone does not end the connection by which it is run.
func beat(w io.Writer) (end func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				_, _ = io.WriteString(w, "\n")
			}
		}
	}()
	return func() { close(done); <-ended }
}

// held is report of what does not read its input itself: nobody cares any more once that ends, and the output may be one that nobody reads.
func held(carry func() (carrier.Report, error)) error {
	left, done := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(left)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	go func() { done <- report(carry) }()
	select {
	case err := <-done:
		return err
	case <-left:
	}
	select {
	case err := <-done:
		return err
	case <-time.After(leaving):
		return carrier.ErrBroken
	}
}

// leaving is how long a carrier whose reader has gone has to notice that it is done.
const leaving = time.Second

// wait is what a carrier does that others are run beside. In a pod of its own it ends when that has not happened for a while.
func wait(idle time.Duration) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := carrier.GiveWay(); err != nil {
		return err
	}
	if idle == 0 {
		<-ctx.Done()
		return nil
	}
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for last := time.Now(); time.Since(last) < idle; {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		alone, err := carrier.Alone()
		if err != nil {
			return err
		}
		if !alone {
			last = time.Now()
		}
	}
	return nil
}

// install copies this program to where a container of another image runs it.
func install(to string) error {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
