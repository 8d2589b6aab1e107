// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/apocryph/apocryph/internal/publisher"
)

type lsCmd struct {
	StateFlags
	WalletFlags
	TrustFlags
	OutputFlags

	All   bool `short:"a" help:"Show apps that have ended, too."`
	Local bool `help:"Show only what this machine knows; ask no provider."`
}

// askTime bounds how long ls waits for each provider.
const askTime = 10 * time.Second

// Run lists apps.
func (c *lsCmd) Run(ctx context.Context, s *publisher.Store, con *Console) error {
	all, err := s.Apps()
	if err != nil {
		return err
	}
	views := []appView{}
	var live []int
	for _, a := range all {
		if a.Stage == publisher.StageEnded && !c.All {
			continue
		}
		if a.Stage == publisher.StageApplied || a.Stage == publisher.StageStopping {
			live = append(live, len(views))
		}
		views = append(views, appOf(a))
	}
	if len(live) > 0 && !c.Local {
		c.ask(ctx, s, con, views, live)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return con.Result(views, func(out io.Writer) error {
		w := table(out)
		_, _ = fmt.Fprintln(w, "NAME\tSTATE\tURL\tPROVIDER\tCREATED")
		for _, v := range views {
			state := v.Phase
			if state == "" {
				state = string(v.Stage)
			}
			if v.Error != "" {
				state += " (provider not heard)"
			}
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", v.Name, state, v.URL, v.Provider, v.Created.Format(time.RFC3339))
		}
		return w.Flush()
	})
}

// ask fills in the phase of the apps that a provider has. What keeps a provider from being asked keeps nothing from being listed.
func (c *lsCmd) ask(ctx context.Context, s *publisher.Store, con *Console, views []appView, live []int) {
	w, err := c.WalletFlags.open()
	var p *publisher.Publisher
	if err == nil {
		p, err = c.publisher(s, w, con)
	}
	if err != nil {
		for _, i := range live {
			views[i].Error = err.Error()
		}
		return
	}
	var wait sync.WaitGroup
	for _, i := range live {
		wait.Go(func() {
			a, err := s.Find(views[i].App)
			if err != nil {
				views[i].Error = err.Error()
				return
			}
			ctx, cancel := context.WithTimeout(ctx, askTime)
			defer cancel()
			st, err := p.Status(ctx, a)
			if err != nil {
				views[i].Error = err.Error()
				return
			}
			views[i].Phase, views[i].URL = publisher.PhaseName(st.Phase), publisher.Clean(st.Url)
		})
	}
	wait.Wait()
}
