// SPDX-License-Identifier: Apache-2.0

package publisher_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/publisher"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s, err := publisher.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	app := func(id byte, name string, stage publisher.Stage, at int64) *publisher.App {
		a := &publisher.App{
			ID: publisher.AppID{AppID: delegation.AppID{id}}, Name: name, Stage: stage, CreatedAt: time.Unix(at, 0).UTC(), Peer: publisher.Bytes("peer"),
			Salt: publisher.Word{1}, Manifest: publisher.Bytes{1, 2}, Channel: publisher.Channel{ID: [32]byte{3}, Deposit: tariff.Units(12)},
		}
		if err := s.Save(a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	old := app(1, "notes", publisher.StageEnded, 300)
	running := app(2, "notes", publisher.StageApplied, 200)
	ended := app(3, "gone", publisher.StageEnded, 100)

	for name, want := range map[string]*publisher.App{"notes": running, old.ID.String(): old, strings.ToUpper(old.ID.String()): old, "gone": ended} {
		got, err := s.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(publisher.App{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, err := s.Find("nobody"); !errors.Is(err, publisher.ErrNoApp) {
		t.Errorf("got %v, want ErrNoApp", err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	file := filepath.Join(dir, "apps", old.ID.String()+".json")
	for name, content := range map[string]string{"another version": `{"version": 2}`, "not JSON": "{", "a bad id": `{"version":1,"id":"x"}`} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Apps(); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

func TestLock(t *testing.T) {
	s, err := publisher.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := s.Lock("notes")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lock("notes"); !errors.Is(err, publisher.ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	if other, err := s.Lock("other"); err != nil {
		t.Error(err)
	} else {
		other()
	}
	unlock()
	if again, err := s.Lock("notes"); err != nil {
		t.Error(err)
	} else {
		again()
	}
	if _, err := s.Lock("../notes"); err == nil {
		t.Error("a path was locked")
	}
}

func TestMoney(t *testing.T) {
	six, none := publisher.Token{Symbol: "TEST", Decimals: 6}, publisher.Token{Symbol: "\x1b[31mX", Decimals: 0}
	for text, want := range map[string]string{"1": "1000000", "0.5": "500000", ".5": "500000", "1.": "1000000", "0.000001": "1", "1.500000000": "1500000", "000": "0"} {
		if got, err := six.Parse(text); err != nil || got.String() != want {
			t.Errorf("%s is %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", ".", "-1", "+1", "1e6", "1,5", "0.0000001", "1.2.3", " 1", "0x1"} {
		if got, err := six.Parse(text); !errors.Is(err, publisher.ErrMoney) {
			t.Errorf("%q is %s, %v; want ErrMoney", text, got, err)
		}
	}
	for n, want := range map[uint64]string{0: "0 TEST", 1: "0.000001 TEST", 1_500_000: "1.5 TEST", 12_000_000: "12 TEST"} {
		if got := six.Format(tariff.Units(n)); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
	if got := none.Format(tariff.Units(7)); got != "7 [31mX" {
		t.Errorf("a symbol with an escape prints as %q", got)
	}
	if got := publisher.Units(tariff.Tariff{}.Lines(usage.Rate{MilliCPU: 250}.For(600))[0]); got != "0.0416" {
		t.Errorf("ten minutes of a quarter are %s", got)
	}
}

// Of a directory those files are read that Compose reads there.
func TestWhichAppFilesAreRead(t *testing.T) {
	cases := map[string]struct {
		files, file string
		list        string
		given       []string
		want        []string
	}{
		"the first of four names":               {"docker-compose.yaml docker-compose.yml", ".", "", nil, []string{"docker-compose.yml"}},
		"an override beside it":                 {"compose.yaml compose.override.yaml docker-compose.override.yml", ".", "", nil, []string{"compose.yaml", "compose.override.yaml"}},
		"an override that is named wins":        {"compose.yaml compose.override.yaml a.yaml", ".", "", []string{"a.yaml"}, []string{"compose.yaml", "a.yaml"}},
		"a file by its name has none":           {"compose.yaml compose.override.yaml", "compose.yaml", "b.yaml", nil, []string{"compose.yaml"}},
		"COMPOSE_FILE":                          {"a.yaml b.yaml compose.yaml", ".", "a.yaml:b.yaml", nil, []string{"a.yaml", "b.yaml"}},
		"COMPOSE_FILE with overrides of others": {"a.yaml b.yaml c.yaml", ".", "a.yaml:b.yaml", []string{"c.yaml"}, []string{"a.yaml", "c.yaml"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for _, f := range strings.Fields(c.files) {
				if err := os.WriteFile(f, []byte("services: {}"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(".env", []byte("COMPOSE_FILE="+c.list), 0o600); err != nil {
				t.Fatal(err)
			}
			src, err := publisher.ReadAppFile(c.file, "", c.given)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{src.File}
			for _, o := range src.Overrides {
				got = append(got, filepath.Base(o))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadAppFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("FROM_SHELL", "shell")
	t.Setenv("BOTH", "shell")
	for name, content := range map[string]string{"compose.yaml": "services: {}", ".env": "BOTH=file\nFROM_FILE=file\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	src, err := publisher.ReadAppFile(dir, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{src.Env["FROM_SHELL"], src.Env["BOTH"], src.Env["FROM_FILE"], string(src.Content), src.Dir}
	if diff := cmp.Diff([]string{"shell", "shell", "file", "services: {}", dir}, got); diff != "" {
		t.Errorf("source (-want +got):\n%s", diff)
	}
	if len(src.Overrides) > 0 {
		t.Errorf("there are overrides: %q", src.Overrides)
	}
	for _, path := range []string{t.TempDir(), filepath.Join(dir, "nothing"), "/dev/zero"} {
		if _, err := publisher.ReadAppFile(path, "", nil); err == nil {
			t.Errorf("%s was read", path)
		}
	}
}
