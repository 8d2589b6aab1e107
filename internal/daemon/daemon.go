// SPDX-License-Identifier: Apache-2.0

// Package daemon is how the provider's processes start and stop: one command line, one log, tasks that start together and stop in
// reverse, so that the front door drains while what it leans on still stands.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/apocryph/apocryph/internal/fault"
)

// Task is something that runs until its context ends. Run returns nil when it stopped because it was told to.
type Task struct {
	Name string
	Run  func(context.Context) error
}

// EnvPrefix begins the names of the variables that flags also come from.
const EnvPrefix = "APOCRYPH"

const (
	// maxHeaderBytes is beyond what browsers send.
	maxHeaderBytes = 64 << 10
	drainTime      = 10 * time.Second
	headerTime     = 10 * time.Second
	idleTime       = 2 * time.Minute
)

// Main parses the command line into cli, whose commands have the method Run(context.Context, *slog.Logger) error, runs the chosen
// one until SIGINT or SIGTERM, and exits: 0, or after printing the error with its hint 1, or what the error's method ExitCode says. Flags
// also come from variables with EnvPrefix.
func Main(cli any, options ...kong.Option) {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	options = append([]kong.Option{kong.DefaultEnvars(EnvPrefix), kong.UsageOnError()}, options...)
	k := kong.Parse(cli, options...)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	k.BindTo(ctx, (*context.Context)(nil))
	err := k.Run(log)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "apocryphd: error: %s\n", err)
		if hint := fault.HintOf(err); hint != "" {
			fmt.Fprintf(os.Stderr, "apocryphd: hint: %s\n", hint)
		}
		os.Exit(exitCode(err))
	}
}

func exitCode(err error) int {
	var chosen interface{ ExitCode() int }
	if errors.As(err, &chosen) {
		return chosen.ExitCode()
	}
	return 1
}

// Run runs tasks until ctx ends or one of them returns, then stops them last to first, waiting for each. It returns the first error
// by a task's name; a task that ends early without an error is one too.
func Run(ctx context.Context, log *slog.Logger, tasks ...Task) error {
	type running struct {
		cancel context.CancelFunc
		done   chan struct{}
	}
	ended := make(chan error, len(tasks))
	all := make([]running, 0, len(tasks))
	for _, t := range tasks {
		// Not derived from ctx: each task is told to stop in its turn.
		taskCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		r := running{cancel, make(chan struct{})}
		all = append(all, r)
		go func() {
			defer close(r.done)
			err := t.Run(taskCtx)
			switch {
			case err != nil && (!errors.Is(err, context.Canceled) || taskCtx.Err() == nil):
				ended <- fmt.Errorf("%s: %w", t.Name, err)
			case taskCtx.Err() == nil:
				ended <- fmt.Errorf("%s: ended by itself", t.Name)
			}
		}()
	}

	var first error
	select {
	case <-ctx.Done():
	case first = <-ended:
		log.Error("task ended", "error", first)
	}
	for i := len(all) - 1; i >= 0; i-- {
		all[i].cancel()
		<-all[i].done
	}
	if first == nil {
		select {
		case first = <-ended:
		default:
		}
	}
	return first
}

// HTTP serves a handler on an endpoint (host:port) and drains it on stop. HTTP/1.1 and cleartext HTTP/2 are accepted.
func HTTP(name, endpoint string, h http.Handler) Task {
	return Task{name, func(ctx context.Context) error {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", endpoint)
		if err != nil {
			return fmt.Errorf("listening on %s: %w", endpoint, err)
		}
		return Serve(ctx, l, h)
	}}
}

// Linger lets a task go on for a while after it is told to stop, for a front door: whoever sends people here forgets it a moment after it was
// told to, and until then they must not find it closed.
func Linger(d time.Duration, t Task) Task {
	return Task{t.Name, func(ctx context.Context) error {
		late, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		done := make(chan struct{})
		defer close(done)
		go func() {
			select {
			case <-done:
				return
			case <-ctx.Done():
			}
			select {
			case <-done:
			case <-time.After(d):
				cancel()
			}
		}()
		return t.Run(late)
	}}
}

// Serve serves a handler on a listener until ctx ends, then drains for a bounded time. It closes the listener.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := server(h)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := s.Shutdown(drain); err != nil {
		// What did not end by itself in time is cut: a stream that a client keeps open must not keep the process.
		_ = s.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func server(h http.Handler) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{Handler: h, Protocols: &protocols, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeaderBytes}
}

// Status serves liveness, 200 at /healthz while the process runs, and metrics at /metrics.
func Status(address string, metrics http.Handler) Task {
	return HTTP("metrics", address, statusMux(metrics))
}

func statusMux(metrics http.Handler) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.Handle("/metrics", metrics)
	return mux
}

// Every does something at once and then at each interval, one round at a time. What fails is logged, and tried again with the next round.
func Every(interval time.Duration, log *slog.Logger, name string, round func(context.Context, time.Time) error) Task {
	return Task{Name: name, Run: func(ctx context.Context) error {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for first := true; first || ctx.Err() == nil; first = false {
			if err := round(ctx, time.Now()); err != nil && ctx.Err() == nil {
				log.Error("round failed", "task", name, "error", err)
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
		return nil
	}}
}

// ReadSecret returns the content of a file without surrounding white space: secrets come as paths, never as flags.
func ReadSecret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading secret: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}
