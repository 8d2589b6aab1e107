#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Starts PostgreSQL as people's app files expect of an image of that name: POSTGRES_PASSWORD, POSTGRES_USER and POSTGRES_DB say what a new
# data directory begins with, scripts in /docker-entrypoint-initdb.d run once then, and root steps down to the user postgres.
set -eu

if [ "$1" != postgres ]; then
	exec "$@"
fi
if [ "$(id -u)" = 0 ]; then
	mkdir -p "$PGDATA"
	chown -R postgres:postgres "$PGDATA"
	chmod 0700 "$PGDATA"
	exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
fi

user=${POSTGRES_USER:-postgres}
db=${POSTGRES_DB:-$user}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	: "${POSTGRES_PASSWORD:?must be set for a new database}"
	umask 077
	printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
	initdb --pgdata="$PGDATA" --username="$user" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8
	rm /tmp/password
	printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
	printf "listen_addresses = '*'\n" >>"$PGDATA/postgresql.conf"
	if [ "$db" != postgres ]; then
		printf 'CREATE DATABASE "%s"\n' "$db" | postgres --single -D "$PGDATA" postgres >/dev/null
	fi
	for file in /docker-entrypoint-initdb.d/*.sql; do
		[ ! -f "$file" ] || postgres --single -j -D "$PGDATA" "$db" <"$file" >/dev/null
	done
	echo "the database is made; starting PostgreSQL"
fi
exec "$@"
