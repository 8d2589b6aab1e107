// SPDX-License-Identifier: Apache-2.0

// Command apocryph is what publishers run: it deploys app files to providers, watches them, pays for them and ends them.
//
// Exit codes: 0 done; 1 failed; 2 the command line is wrong; 3 the app file is refused; 4 the provider's evidence or offer is refused;
// 5 the provider or the chain does not answer; 6 failed while money is in a channel; 130 interrupted. The check of a file ends with 1 if it
// is refused, and with 2 if there is no verdict. Every failure prints
// "apocryph: error: …" and, where something can be done, "apocryph: hint: …" with what to do next.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/sirupsen/logrus"

	"github.com/apocryph/apocryph/internal/appfile"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/p2p"
	"github.com/apocryph/apocryph/internal/publisher"
)

// cli lists the commands. Each is in the file of its name.
type cli struct {
	Check    checkCmd    `cmd:"" help:"Say whether an app file can be deployed, and what that makes; offline."`
	Deploy   deployCmd   `cmd:"" help:"Bring an app file to a provider, or update it there."`
	Ls       lsCmd       `cmd:"" help:"List the apps of this machine."`
	Status   statusCmd   `cmd:"" help:"Show how an app is."`
	Logs     logsCmd     `cmd:"" help:"Read what an app's services write."`
	Events   eventsCmd   `cmd:"" help:"Read what happened to an app: when it was ordered, checked, started, ready; what crashed, and why."`
	Bill     billCmd     `cmd:"" help:"Show what an app used and what that costs."`
	Diff     diffCmd     `cmd:"" help:"Show what deploying an app file would change."`
	Restart  restartCmd  `cmd:"" help:"Start an app's services anew."`
	Rollback rollbackCmd `cmd:"" help:"Go back to the version of an app before this one."`
	Stop     stopCmd     `cmd:"" help:"End an app, settle, and get the rest of the deposit back."`
	Volume   volumeCmd   `cmd:"" help:"Look after an app's volumes."`
	Channel  channelCmd  `cmd:"" help:"Look after the channel that pays for an app."`
	Wallet   walletCmd   `cmd:"" help:"Make or show the wallet that pays."`
	Version  versionCmd  `cmd:"" help:"Show the version of this program."`
}

// The exit codes besides 0.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitFile        = 3
	exitRefused     = 4
	exitUnreachable = 5
	exitLocked      = 6
	exitInterrupted = 130
)

func main() {
	os.Exit(run(os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr})) //nolint:forbidigo // this is main
}

// stdio is where a command reads and writes.
type stdio struct {
	in       *os.File
	out, err io.Writer
}

func run(args []string, std stdio) int {
	// The Compose loader warns through this logger; what matters of it comes back as notes.
	logrus.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	helped := false
	parser, err := kong.New(&cli{},
		kong.Name("apocryph"),
		kong.Description("Run containers on hardware that belongs to a stranger."),
		kong.Writers(std.out, std.err),
		// Kong asks to end here when it has shown help; what it then says about the rest of the line does not matter.
		kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Bind(std),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		return fail(std, err)
	}
	command, err := parser.Parse(args)
	if helped {
		return 0
	}
	if err != nil {
		return fail(std, usageError{err})
	}
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			err = fault.Hint(fmt.Errorf("%w: %w", errInterrupted, err), fault.HintOf(err))
		}
		return fail(std, err)
	}
	return 0
}

// usageError is a command line that can't be parsed.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

var errInterrupted = errors.New("interrupted")

func fail(std stdio, err error) int {
	_, _ = fmt.Fprintf(std.err, "apocryph: error: %s\n", err)
	if hint := hintOf(err); hint != "" {
		_, _ = fmt.Fprintf(std.err, "apocryph: hint: %s\n", hint)
	}
	return exitCode(err)
}

func hintOf(err error) string {
	if hint := fault.HintOf(err); hint != "" {
		return hint
	}
	var usage usageError
	var problems appfile.Problems
	switch {
	case errors.As(err, &usage):
		return "see apocryph --help, or apocryph COMMAND --help"
	case errors.As(err, &problems) && len(problems) == 1:
		return problems[0].Remedy
	case errors.As(err, &problems):
		return "nothing was sent or created; what becomes of each key is in docs/guide/compose.md"
	case errors.Is(err, p2p.ErrUnreachable):
		return "check the provider's multiaddr and this machine's network, then run the command again"
	case errors.Is(err, p2p.ErrWrongPeer):
		return "another key answers at that address: ask the provider for its present multiaddr; nothing was sent"
	case errors.Is(err, p2p.ErrAddr):
		return "a provider's address looks like /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW…"
	case errors.Is(err, evm.ErrUnavailable):
		return "check --rpc (APOCRYPH_RPC) and that the node runs, then run the command again"
	case errors.Is(err, evm.ErrNoContract):
		return "check --rpc and --channels (APOCRYPH_CHANNELS): they must be of the same chain"
	case errors.Is(err, evm.ErrPassphrase):
		return "try again with the passphrase that the wallet was made with"
	case errors.Is(err, evm.ErrInsufficientGas):
		return "send some of the chain's own coin to the wallet: apocryph wallet show"
	case errors.Is(err, evm.ErrInsufficientFunds):
		return "send tokens to the wallet: apocryph wallet show"
	case errors.Is(err, evm.ErrWrongChain):
		return "check --rpc (APOCRYPH_RPC): the transaction, or another endpoint, is of another chain; nothing was sent"
	case errors.Is(err, evm.ErrNotMined):
		return "run the same command again: it looks at the chain first and never pays twice"
	}
	return ""
}

func exitCode(err error) int {
	var usage usageError
	var problems appfile.Problems
	var ended verdict
	switch {
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, &ended):
		return ended.code
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &problems):
		return exitFile
	case errors.Is(err, publisher.ErrLocked):
		return exitLocked
	case errors.Is(err, publisher.ErrEvidence), errors.Is(err, publisher.ErrOffer):
		return exitRefused
	case errors.Is(err, publisher.ErrUnreachable), errors.Is(err, p2p.ErrUnreachable), errors.Is(err, evm.ErrUnavailable):
		return exitUnreachable
	}
	return exitFailed
}
