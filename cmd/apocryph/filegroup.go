// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/apocryph/apocryph/internal/appfile"
	"github.com/apocryph/apocryph/internal/publisher"
)

// FileFlags name an app file and how it is read.
type FileFlags struct {
	File      string   `arg:"" help:"App file (Compose), or the directory that has one." placeholder:"FILE"`
	Name      string   `help:"Name of the app. Without it: the file's name key, or its directory's name." placeholder:"NAME"`
	Overrides []string `name:"override" short:"f" help:"A further Compose file that is merged over FILE; may be repeated. Without it the override file of a directory is, as in Compose." placeholder:"FILE" type:"path"`
	EnvFiles  []string `name:"env-file" help:"File with variables, instead of the .env beside FILE; may be repeated, and the last wins." placeholder:"FILE" type:"path"`
	Profiles  []string `name:"profile" help:"Run the services of this profile too; may be repeated. COMPOSE_PROFILES does the same." placeholder:"NAME"`
}

// load reads and checks the file. What is wrong with it comes back as appfile.Problems.
func (f *FileFlags) load(ctx context.Context) (*appfile.File, error) {
	src, err := publisher.ReadAppFile(f.File, f.Name, f.Overrides, f.EnvFiles...)
	if err != nil {
		return nil, err
	}
	src.Profiles = f.Profiles
	return appfile.Load(ctx, src)
}
