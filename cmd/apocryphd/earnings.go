// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/apocryph/apocryph/internal/invoicer"
	"github.com/apocryph/apocryph/internal/kube"
)

// earningsCmd configures a table of what apps bring.
type earningsCmd struct {
	Kubeconfig string `help:"Kubeconfig file; empty in a cluster." type:"path"`
	Namespace  string `help:"System namespace, where Apps and Usages live." default:"apocryph-system"`
	JSON       bool   `name:"json" help:"Write JSON, a line for each channel of each app."`
}

// Run writes what each app that is there has brought and still should.
func (c *earningsCmd) Run(ctx context.Context) error {
	config, err := kube.Config(c.Kubeconfig)
	if err != nil {
		return err
	}
	cluster, err := kube.Client(config)
	if err != nil {
		return err
	}
	all, unread := invoicer.Earnings(ctx, cluster, c.Namespace)
	write := writeEarnings
	if c.JSON {
		write = writeEarningLines
	}
	return errors.Join(write(os.Stdout, all), unread)
}

func writeEarningLines(out io.Writer, all []invoicer.Earning) error {
	e := json.NewEncoder(out)
	for _, a := range all {
		if err := e.Encode(a); err != nil {
			return err
		}
	}
	return nil
}

func writeEarnings(out io.Writer, all []invoicer.Earning) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(app, name, funded string, e invoicer.Earning) {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", app, name, funded, e.Owed, e.Vouchered, e.Claimed, e.Due, e.Uncovered, e.Hourly)
	}
	_, _ = fmt.Fprintln(w, "APP\tNAME\tFUNDED\tOWED\tVOUCHERED\tCLAIMED\tDUE\tUNCOVERED\tHOURLY")
	for _, e := range all {
		funded := e.Funded
		switch {
		case e.Former:
			funded = "Former"
		case e.Ended != "":
			funded = e.Ended
		}
		line(e.App, e.Name, funded, e)
	}
	for _, s := range invoicer.Sums(all) {
		line("all", s.Token, "", s)
	}
	return w.Flush()
}
