// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"runtime/debug"
)

type versionCmd struct {
	OutputFlags
}

type versionView struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
}

// Run shows what this program was built from.
func (c *versionCmd) Run(con *Console) error {
	v := versionView{Version: "(unknown)"}
	if info, ok := debug.ReadBuildInfo(); ok {
		v.Version, v.Go = info.Main.Version, info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
	}
	return con.Result(v, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "apocryph %s %s %s\n", v.Version, v.Revision, v.Go)
		return err
	})
}
