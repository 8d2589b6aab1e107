// SPDX-License-Identifier: Apache-2.0

// Command backend is the second service of the app file same-port-twice. It says who it is, and what the first one says when it is asked by
// name at the same port.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
)

func main() {
	http.HandleFunc("GET /api/who", func(w http.ResponseWriter, r *http.Request) {
		frontend, err := ask(r, "http://frontend:3000/name.txt")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"name": "backend", "host": r.Host, "other": frontend})
	})
	log.Print("backend: listening")
	log.Fatal(http.ListenAndServe(":3000", nil))
}

func ask(r *http.Request, url string) (string, error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}
