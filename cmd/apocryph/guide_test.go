// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/apocryph/apocryph/internal/reference"
)

//go:generate go test -run ^TestGuide$ -update .

var update = flag.Bool("update", false, "write the generated files")

// TestGuide keeps docs/guide/cli.md equal to the command line.
func TestGuide(t *testing.T) {
	parser, err := kong.New(&cli{}, kong.Name("apocryph"), kong.Bind(stdio{}))
	if err != nil {
		t.Fatal(err)
	}
	page := reference.Header + guideStart + reference.Commands(parser.Model) + guideEnd
	if err := reference.Settle("../../docs/guide/cli.md", page, *update); err != nil {
		t.Error(err)
	}
}

// Every command that docs/guide/leaving.md shows is run by the script of the same name.
func TestTheGuideToLeavingIsRun(t *testing.T) {
	page, err := os.ReadFile("../../docs/guide/leaving.md")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("testdata/leaving.txtar")
	if err != nil {
		t.Fatal(err)
	}
	ran := strings.Split(string(script), "\n")
	shown := 0
	for line := range strings.Lines(string(page)) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
		if !ok {
			continue
		}
		shown++
		if !slices.Contains(ran, "exec "+command) {
			t.Errorf("no script runs: %s", command)
		}
	}
	if shown < 5 {
		t.Errorf("the page shows %d commands", shown)
	}
}

const guideStart = `# The command line

Flags also come from the environment where a variable is named; the flag wins. Results go to standard output, what happens meanwhile to standard
error. With --json both go to standard output, a JSON object per line: progress has "event":"progress", and the last line is the result. Amounts are
then decimal strings in base units of the token. Times that a channel's clock decides are by the newest block's time, and a word says when that
is far from this machine's. How to leave a provider that does not answer, also with the key on another machine: [leaving](leaving.md).

`

const guideEnd = "## Exit codes\n\n" +
	`Every failure prints ` + "`apocryph: error: …`" + `, and ` + "`apocryph: hint: …`" + ` with what to do next.

| code | meaning |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | the command line is wrong |
| 3 | the app file is refused: nothing was sent or created |
| 4 | the provider's evidence or offer is refused: no money was moved |
| 5 | the provider or the chain does not answer: run the command again |
| 6 | failed while money is in a channel: the hint says how to go on, and how to get it back |
| 130 | interrupted: the same command goes on |

## Files

The wallet is a keystore V3 file, by default ` + "`$XDG_CONFIG_HOME/apocryph/wallet.json`" + `. The state directory (--state, by default
` + "`$XDG_STATE_HOME/apocryph`" + `) is this user's alone: directories 0700, files 0600, each written as a whole.

| file | what it holds |
|---|---|
| ` + "`peer.key`" + ` | this machine's libp2p key, which delegations name |
| ` + "`apps/<app id>.json`" + ` | one app: what is needed to use, pay and leave it. Schema version 1. It holds the app's environment, so its secrets |
| ` + "`delegations/<app id>.use`" + ` | the wallet's delegation to this machine to read, log and order, for 24 hours |
| ` + "`delegations/<app id>.stop`" + ` | its delegation to end the app, for one hour |
| ` + "`<wallet file>.<chain id>.journal`" + ` | beside the wallet, while a transaction of it is under way: the same command again goes on with it and never pays twice |
| ` + "`locks/<app name>`" + ` | keeps two commands from working on one app at once |

An app's stage goes from ` + "`planned`" + ` (a channel may be opened on these terms) over ` + "`opened`" + `, ` + "`applied`" + ` and ` + "`stopping`" + ` to
` + "`ended`" + `; each is written before the step after it begins, so a command that was killed goes on when it is run again.
Of an app at stage ` + "`recovered`" + ` only the channel is known, read back from the chain; it can be left, and nothing else.
`
