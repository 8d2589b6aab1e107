// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/ethereum/go-ethereum/common"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/apocryph/apocryph/internal/publisher"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"apocryph": main})
}

// Scripts run side by side in one world, but one that moves the chain's clock would move it for all: it gets a world of its own. With -short
// there is one script.
func TestScripts(t *testing.T) {
	pattern := "*.txtar"
	if testing.Short() {
		pattern = "deploy.txtar"
	}
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil {
		t.Fatal(err)
	}
	var together []string
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), "\npass ") {
			runScripts(t, newWorld(t), f)
			continue
		}
		together = append(together, f)
	}
	runScripts(t, newWorld(t), together...)
}

func runScripts(t *testing.T, w *world, files ...string) {
	t.Helper()
	testscript.Run(t, testscript.Params{
		Files:               files,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, w.env(e.WorkDir)...)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// fund gives the script's wallet coins and tokens.
			"fund": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Check(w.fund(t.Context(), ts.Getenv("APOCRYPH_WALLET")))
			},
			// pass moves the chain's clock: pass 2h.
			"pass": func(ts *testscript.TestScript, _ bool, args []string) {
				d, err := time.ParseDuration(args[0])
				ts.Check(err)
				ts.Check(w.pass(d))
			},
			// owe leaves the wallet a credit of 5 in a token that refuses transfers to it, and pays in that token from now on; mend lets
			// the token be transferred again.
			"owe": func(ts *testscript.TestScript, _ bool, _ []string) {
				tok, err := w.owe(t.Context(), ts.Getenv("APOCRYPH_WALLET"), ts.Getenv("APOCRYPH_PASSPHRASE"))
				ts.Check(err)
				ts.Setenv("APOCRYPH_TOKEN", tok.Hex())
			},
			"mend": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Check(w.mend(t.Context(), common.HexToAddress(ts.Getenv("APOCRYPH_TOKEN"))))
			},
			// capture sets a variable to what a pattern's group matched in the last standard output: capture NAME PATTERN.
			"capture": func(ts *testscript.TestScript, _ bool, args []string) {
				m := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
				if len(m) != 2 {
					ts.Fatalf("nothing matches %s", args[1])
				}
				ts.Setenv(args[0], m[1])
			},
			// exits runs apocryph and wants an exit code: exits 3 deploy bad.yaml.
			"exits": func(ts *testscript.TestScript, _ bool, args []string) {
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				var ended *exec.ExitError
				err = ts.Exec("apocryph", args[1:]...)
				switch {
				case errors.As(err, &ended):
					if got := ended.ExitCode(); got != want {
						ts.Fatalf("exit code %d, want %d", got, want)
					}
				case err != nil || want != 0:
					ts.Fatalf("%v, want exit code %d", err, want)
				}
			},
			// former sets FORMER to the newest of the channels that paid for an app before.
			"former": func(ts *testscript.TestScript, _ bool, args []string) {
				store, err := publisher.OpenStore(ts.Getenv("APOCRYPH_STATE"))
				ts.Check(err)
				a, err := store.Find(args[0])
				ts.Check(err)
				all := a.FormerChannels()
				if len(all) == 0 {
					ts.Fatalf("no channel paid for %s before", args[0])
				}
				ts.Setenv("FORMER", all[len(all)-1].Channel.ID.String())
			},
			// private fails unless all files below a directory, or a file, are for the owner's eyes only.
			"private": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d fs.DirEntry, err error) error {
					if err != nil || d.IsDir() {
						return err
					}
					return checkMode(path)
				}))
			},
		},
	})
}

func TestLinksNoKubernetesClient(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, banned := range []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime", "k8s.io/kubernetes"} {
		if strings.Contains(string(out), banned) {
			t.Errorf("the client links %s", banned)
		}
	}
}

// A script per command also finds a Run parameter that no flag group binds.
func TestEveryCommandHasAScript(t *testing.T) {
	parser, err := kong.New(&cli{}, kong.Name("apocryph"), kong.Bind(stdio{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range parser.Model.Leaves(false) {
		name := strings.ReplaceAll(strings.TrimPrefix(leaf.Path(), "apocryph "), " ", "-")
		name, _, _ = strings.Cut(name, "-<")
		name, _, _ = strings.Cut(name, "-[")
		content, err := os.ReadFile(filepath.Join("testdata", name+".txtar"))
		if errors.Is(err, fs.ErrNotExist) {
			t.Errorf("apocryph %s has no script testdata/%s.txtar", strings.ReplaceAll(name, "-", " "), name)
			continue
		}
		if !strings.Contains(string(content), "exec apocryph "+strings.ReplaceAll(name, "-", " ")) {
			t.Errorf("testdata/%s.txtar does not run it", name)
		}
	}
}
