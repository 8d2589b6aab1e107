// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/apocryph/apocryph/internal/oci"
	"github.com/apocryph/apocryph/internal/publisher"
)

type diffCmd struct {
	StateFlags
	ChainFlags
	WalletFlags
	TrustFlags
	OutputFlags
	FileFlags

	Images []string `help:"Directory of an OCI image layout to look for images in before registries; may be repeated." env:"APOCRYPH_IMAGES" placeholder:"DIR" type:"path"`
}

type diffView struct {
	Event   string             `json:"event"`
	App     string             `json:"app"`
	Name    string             `json:"name"`
	Changes []publisher.Change `json:"changes"`
}

// Run compares a file with what is deployed. Nothing is sent.
func (c *diffCmd) Run(ctx context.Context, w *Wallet, p *publisher.Publisher, con *Console) error {
	file, err := c.load(ctx)
	if err != nil {
		return err
	}
	p.Wallet, p.Resolve = w, images{oci.Sources{Layouts: c.Images}}.resolve
	app, changes, err := p.Compare(ctx, file)
	if err != nil {
		return err
	}
	v := diffView{"diff", app.ID.String(), app.Name, append([]publisher.Change{}, changes...)}
	return con.Result(v, func(out io.Writer) error {
		if len(changes) == 0 {
			_, err := fmt.Fprintf(out, "app %s is what the file says\n", app.Name)
			return err
		}
		for _, c := range changes {
			if _, err := fmt.Fprintln(out, c); err != nil {
				return err
			}
		}
		return nil
	})
}
