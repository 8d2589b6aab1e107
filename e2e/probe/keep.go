// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"net/http"
	"os"
)

// kept is a file on the volume.
const kept = "/data/kept"

// keeping serves what shows that data outlive updates and crashes: keep adds a line to the file, kept says what is in it.
func keeping(mux *http.ServeMux) {
	mux.HandleFunc("POST /keep", func(w http.ResponseWriter, r *http.Request) { reply(w, keep(r.FormValue("line"))) })
	mux.HandleFunc("GET /kept", func(w http.ResponseWriter, _ *http.Request) {
		content, err := os.ReadFile(kept)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		reply(w, struct{ Version, Kept string }{os.Getenv("VERSION"), string(content)})
	})
}

// keep returns "ok" once the line is on the disk, or the error.
func keep(line string) string {
	f, err := os.OpenFile(kept, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err.Error()
	}
	_, err = f.WriteString(line + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err.Error()
	}
	return "ok"
}
