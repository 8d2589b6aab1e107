# SPDX-License-Identifier: Apache-2.0
"""A notebook whose notes are rows in PostgreSQL: what the app file flask-postgres runs."""

import os

import flask
import psycopg2

app = flask.Flask(__name__)


def run(statement, *values):
    with psycopg2.connect(os.environ["DATABASE_URL"]) as db, db.cursor() as cursor:
        cursor.execute(statement, values)
        return [row[0] for row in cursor.fetchall()] if cursor.description else []


run("CREATE TABLE IF NOT EXISTS notes (id serial PRIMARY KEY, text text NOT NULL)")


@app.post("/notes")
def add():
    run("INSERT INTO notes (text) VALUES (%s)", flask.request.get_data(as_text=True))
    print("a note was added", flush=True)
    return "", 201


@app.get("/notes")
def notes():
    return flask.jsonify(title=os.environ.get("TITLE", "notes"), notes=run("SELECT text FROM notes ORDER BY id"))


@app.get("/server")
def server():
    return flask.jsonify(run("SELECT version()"))
