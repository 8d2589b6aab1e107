// SPDX-License-Identifier: Apache-2.0

// Command counts is what the app file redis-worker runs: a server that takes texts and puts them into a queue in Redis, and a worker that
// takes them out and counts their words, but for those of a list that its image has brought into its volume.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

const (
	queue  = "queue"
	taken  = "taken"
	folder = "/srv/results"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatalf("counts: %v", err)
	}
}

func run(ctx context.Context) error {
	options, err := redis.ParseURL(os.Getenv("REDIS_URL"))
	if err != nil {
		return err
	}
	db := redis.NewClient(options)
	switch what := strings.Join(os.Args[1:], " "); what {
	case "web":
		return serve(db)
	case "worker":
		return work(ctx, db)
	default:
		return fmt.Errorf("unknown command %q", what)
	}
}

func serve(db *redis.Client) error {
	http.HandleFunc("POST /texts", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		id := rand.Text()
		_, err = db.TxPipelined(r.Context(), func(p redis.Pipeliner) error {
			p.HSet(r.Context(), id, "text", text)
			p.LPush(r.Context(), queue, id)
			return nil
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_, _ = io.WriteString(w, id)
	})
	http.HandleFunc("GET /texts/{id}", func(w http.ResponseWriter, r *http.Request) {
		all, err := db.HGetAll(r.Context(), r.PathValue("id")).Result()
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(all)
	})
	log.Print("counts: listening")
	return http.ListenAndServe(":8080", nil)
}

// work takes one text after the other. One that an earlier worker has taken and not done comes first.
func work(ctx context.Context, db *redis.Client) error {
	common, err := os.ReadFile(filepath.Join(folder, "common.txt"))
	if err != nil {
		return err
	}
	for ; ; err = nil {
		id, err := db.LIndex(ctx, taken, -1).Result()
		if err == redis.Nil {
			id, err = db.BLMove(ctx, queue, taken, "RIGHT", "LEFT", 0).Result()
		}
		if err == nil {
			err = count(ctx, db, id, strings.Fields(string(common)))
		}
		if err != nil {
			return err
		}
	}
}

func count(ctx context.Context, db *redis.Client, id string, common []string) error {
	text, err := db.HGet(ctx, id, "text").Result()
	if err != nil {
		return err
	}
	n := 0
	for word := range strings.FieldsSeq(text) {
		if !slices.Contains(common, word) {
			n++
		}
	}
	if err := os.WriteFile(filepath.Join(folder, id), []byte(fmt.Sprintln(n)), 0o600); err != nil {
		return err
	}
	files, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	_, err = db.TxPipelined(ctx, func(p redis.Pipeliner) error {
		// How many results lie there says whether they outlive the worker.
		p.HSet(ctx, id, "words", n, "results", len(files)-1)
		p.LRem(ctx, taken, 1, id)
		return nil
	})
	log.Printf("counts: %s has %d words", id, n)
	return err
}
