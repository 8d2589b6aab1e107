// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/docker/go-units"
	"golang.org/x/term"

	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/publisher"
)

// volumeGetCmd works whether the app runs, sleeps or has run out of funds, and for volumes that left the app file, until the app has ended.
type volumeGetCmd struct {
	StateFlags
	WalletFlags
	TrustFlags
	OutputFlags
	AppArg

	Volume string `arg:"" help:"The volume." placeholder:"VOLUME"`
	File   string `short:"o" help:"Where to write the tar stream; - is standard output. A file is there once all of it is." default:"-" placeholder:"FILE"`
}

type transferView struct {
	Event   string `json:"event"`
	App     string `json:"app"`
	Volume  string `json:"volume"`
	Bytes   uint64 `json:"bytes"`
	Changed uint64 `json:"changed"`
}

// Run reads a volume.
func (c *volumeGetCmd) Run(ctx context.Context, a *publisher.App, p *publisher.Publisher, std stdio, con *Console) error {
	if c.File == "-" {
		if c.JSON {
			return fault.Hint(usageError{errors.New("--json and a tar stream would both go to standard output")}, "name a file with -o")
		}
		if f, ok := std.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			return fault.Hint(usageError{errors.New("a tar stream is nothing for a terminal")}, "name a file with -o, or write: | tar -x")
		}
		got, err := p.GetVolume(ctx, a, c.Volume, std.out)
		if err != nil {
			return err
		}
		c.note(con, got)
		return nil
	}
	got, err := c.toFile(ctx, a, p)
	if err != nil {
		return err
	}
	c.note(con, got)
	return con.Result(transferView{"result", a.ID.String(), c.Volume, got.Bytes, got.Changed}, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "volume %s is in %s (%s)\n", c.Volume, c.File, units.BytesSize(float64(got.Bytes)))
		return err
	})
}

func (c *volumeGetCmd) note(con *Console, got publisher.Transferred) {
	if got.Changed > 0 {
		con.Note("note: %d files changed while they were read (%s): a copy of what is being written to may not fit together", got.Changed, got.Example)
	}
}

// toFile gives the file its name when all of it is there: half of a volume must not be taken for one.
func (c *volumeGetCmd) toFile(ctx context.Context, a *publisher.App, p *publisher.Publisher) (got publisher.Transferred, err error) {
	if _, err := os.Lstat(c.File); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fmt.Errorf("%s is there already", c.File)
		}
		return got, fault.Hint(err, "name another file with -o")
	}
	f, err := os.CreateTemp(filepath.Dir(c.File), ".apocryph-volume-*")
	if err != nil {
		return got, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	if got, err = p.GetVolume(ctx, a, c.Volume, w); err != nil {
		return got, err
	}
	if err := errors.Join(w.Flush(), f.Sync()); err != nil {
		return got, fmt.Errorf("writing %s: %w", c.File, err)
	}
	// A link, unlike a new name, never takes the place of another file.
	if err := os.Link(f.Name(), c.File); err != nil {
		return got, err
	}
	return got, errors.Join(f.Close(), os.Remove(f.Name()))
}

// volumePutCmd works whenever volume get does.
type volumePutCmd struct {
	StateFlags
	WalletFlags
	TrustFlags
	OutputFlags
	AppArg

	Volume string `arg:"" help:"The volume." placeholder:"VOLUME"`
	File   string `arg:"" optional:"" help:"The tar stream; - is standard input. What it names is written, as tar -x does; what it does not name stays." default:"-" placeholder:"FILE"`
}

// Run writes a volume.
func (c *volumePutCmd) Run(ctx context.Context, a *publisher.App, p *publisher.Publisher, std stdio, con *Console) error {
	from := std.in
	if c.File == "-" && term.IsTerminal(int(from.Fd())) {
		return fault.Hint(usageError{errors.New("a terminal writes no tar stream")}, "name a file, or write: tar -c -C DIR . | apocryph volume put APP VOLUME -")
	}
	if c.File != "-" {
		var err error
		if from, err = os.Open(c.File); err != nil {
			return fault.Hint(fmt.Errorf("reading the file: %w", err), "check its name; - is standard input")
		}
		defer func() { _ = from.Close() }()
	}
	put, err := p.PutVolume(ctx, a, c.Volume, from)
	if err != nil {
		return err
	}
	return con.Result(transferView{"result", a.ID.String(), c.Volume, put.Bytes, 0}, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "%s are written to volume %s\n", units.BytesSize(float64(put.Bytes)), c.Volume)
		return err
	})
}
