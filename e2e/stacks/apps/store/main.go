// SPDX-License-Identifier: Apache-2.0

// Command store is what the app file one-shot-migration runs: a server of a shop's articles whose tables another run of it makes, and a third
// fills. Each run leaves its name in the database, and a server that finds no tables ends.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

func main() {
	db, err := pgxpool.New(context.Background(), os.Getenv("DATABASE_URL"))
	if err == nil {
		err = run(context.Background(), db, strings.Join(os.Args[1:], " "))
	}
	if err != nil {
		log.Fatalf("store: %v", err)
	}
}

func run(ctx context.Context, db *pgxpool.Pool, what string) error {
	switch what {
	case "migrate up":
		// The article's name has to be its own, so that a second seeding would fail if it were not careful.
		_, err := db.Exec(ctx, `CREATE TABLE IF NOT EXISTS runs (id serial PRIMARY KEY, what text NOT NULL);
			CREATE TABLE IF NOT EXISTS articles (name text PRIMARY KEY, price int NOT NULL)`)
		if err != nil {
			return err
		}
	case "seed --if-empty":
		_, err := db.Exec(ctx, `INSERT INTO articles SELECT 'teapot', 1800 WHERE NOT EXISTS (SELECT FROM articles)`)
		if err != nil {
			return err
		}
	case "":
		what = "serve"
	default:
		return fmt.Errorf("unknown command %q", what)
	}
	if _, err := db.Exec(ctx, `INSERT INTO runs (what) VALUES ($1)`, what); err != nil {
		return err
	}
	log.Printf("store: %s", what)
	if what != "serve" {
		return nil
	}
	http.HandleFunc("GET /runs", list(db, `SELECT what FROM runs ORDER BY id`))
	http.HandleFunc("GET /articles", list(db, `SELECT name FROM articles ORDER BY name`))
	http.HandleFunc("PUT /articles/{name}", func(w http.ResponseWriter, r *http.Request) {
		if _, err := db.Exec(r.Context(), `INSERT INTO articles VALUES ($1, 0)`, r.PathValue("name")); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	})
	return http.ListenAndServe(":8080", nil)
}

func list(db *pgxpool.Pool, query string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rows, err := db.Query(r.Context(), query)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(all)
	}
}
