// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/internal/tee/sim"
)

func TestRootOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "root")
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	made, err := sim.NewRoot(dir, [48]byte{1}, now)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := sim.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made.Accept(1), opened.Accept(1)); diff != "" {
		t.Errorf("opened differs from made (-made +opened):\n%s", diff)
	}
	ark, err := os.ReadFile(filepath.Join(dir, "ark.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := sim.Fingerprint(ark); err != nil || got != made.Accept(1).Root {
		t.Errorf("fingerprint %x, %v; want %x", got, err, made.Accept(1).Root)
	}
	for _, name := range []string{"ark.pem", "ask.pem", "vcek.pem", "vcek.key", "measurement"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", name, info.Mode().Perm())
		}
	}
	if _, err := sim.NewRoot(dir, [48]byte{1}, now); err == nil {
		t.Error("a root is overwritten")
	}
	for name, content := range map[string]string{"measurement": "00", "vcek.key": "no PEM", "vcek.pem": string(ark)} {
		path := filepath.Join(dir, name)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := sim.Open(dir); !errors.Is(err, sim.ErrFiles) {
			t.Errorf("with a bad %s: %v, want %v", name, err, sim.ErrFiles)
		}
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
