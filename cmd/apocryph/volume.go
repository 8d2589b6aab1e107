// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docker/go-units"

	"github.com/apocryph/apocryph/internal/publisher"
)

type volumeCmd struct {
	Ls  volumeLsCmd  `cmd:"" help:"List an app's volumes, those that left its file and are kept among them."`
	Get volumeGetCmd `cmd:"" help:"Read what is in a volume, as a tar stream."`
	Put volumePutCmd `cmd:"" help:"Write a tar stream into a volume."`
	Rm  volumeRmCmd  `cmd:"" help:"Delete a volume that left the app file, with all that is in it."`
}

type volumeLsCmd struct {
	StateFlags
	WalletFlags
	TrustFlags
	OutputFlags
	AppArg
}

type volumeView struct {
	Name      string   `json:"name"`
	SizeBytes uint64   `json:"size_bytes"`
	Services  []string `json:"services"`
	Kept      bool     `json:"kept"`
}

// Run lists volumes.
func (c *volumeLsCmd) Run(ctx context.Context, a *publisher.App, p *publisher.Publisher, con *Console) error {
	all, err := p.Volumes(ctx, a)
	if err != nil {
		return err
	}
	views := []volumeView{}
	for _, v := range all {
		views = append(views, volumeView{v.Name, v.SizeBytes, append([]string{}, v.Services...), v.Kept()})
	}
	return con.Result(views, func(out io.Writer) error {
		w := table(out)
		_, _ = fmt.Fprintln(w, "VOLUME\tSIZE\tMOUNTED BY")
		for _, v := range views {
			by := strings.Join(v.Services, ", ")
			if v.Kept {
				by = "(nobody: it left the app file, and is kept)"
			}
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", v.Name, units.BytesSize(float64(v.SizeBytes)), by)
		}
		return w.Flush()
	})
}

type volumeRmCmd struct {
	StateFlags
	ChainFlags
	WalletFlags
	TrustFlags
	OutputFlags
	AppArg

	Volume string        `arg:"" help:"The volume." placeholder:"VOLUME"`
	Wait   time.Duration `help:"How long to wait until it is gone." default:"10m" placeholder:"DURATION"`
	Yes    bool          `short:"y" help:"Do not ask."`
}

type removedView struct {
	Event  string `json:"event"`
	App    string `json:"app"`
	Volume string `json:"volume"`
}

// Run deletes a volume.
func (c *volumeRmCmd) Run(ctx context.Context, a *publisher.App, chain *Chain, w *Wallet, p *publisher.Publisher, con *Console) error {
	chain.join(p, w)
	v, err := p.Removable(ctx, a, c.Volume)
	if err != nil {
		return err
	}
	question := fmt.Sprintf("delete volume %s (%s) of app %s, and all that is in it? Nobody can bring it back.", v.Name, units.BytesSize(float64(v.SizeBytes)), a.Name)
	if err := con.Confirm(ctx, question, c.Yes); err != nil {
		return err
	}
	if err := p.RemoveVolume(ctx, c.App, v.Name, c.Wait); err != nil {
		return err
	}
	view := removedView{"result", a.ID.String(), v.Name}
	return con.Result(view, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "volume %s is deleted\n", v.Name)
		return err
	})
}
