#!/usr/bin/env bash
# postgres.sh start FOLDER: starts a PostgreSQL server for tests on a free port, with its files in
# FOLDER, and prints its URL. postgres.sh stop FOLDER: stops it. postgres.sh kill FOLDER: ends it at once
# and starts it again on the same port. Exits with 3 where PostgreSQL is not installed. The server
# refuses to run as root: there it runs as the user `postgres`.
set -euo pipefail

programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
if [[ -z $programs ]]; then
    echo "PostgreSQL is not installed (Debian: apt-get install postgresql)" >&2
    exit 3
fi
folder=$2

as_user() {
    if ((EUID == 0)); then runuser -u postgres -- "$@"; else "$@"; fi
}

serve() {
    as_user "$programs/pg_ctl" start --wait --pgdata "$folder/data" --log "$folder/data/server.log" \
        --options "-p $1 -k $folder/data -c listen_addresses=127.0.0.1 -c shared_buffers=16MB" >/dev/null
}

case $1 in
start)
    mkdir -p "$folder"
    ((EUID == 0)) && chown postgres "$folder"
    cd "$folder"
    as_user "$programs/initdb" --pgdata "$folder/data" --username tests --auth trust \
        --no-sync --no-locale --encoding UTF8 >"$folder/initdb.log" 2>&1
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    echo "$port" >"$folder/port"
    serve "$port"
    echo "postgresql://tests@127.0.0.1:$port/postgres"
    ;;
stop)
    cd "$folder"
    as_user "$programs/pg_ctl" stop --mode fast --pgdata "$folder/data" >/dev/null
    ;;
kill)
    # As after the death of the machine. The processes of its connections may end a moment later.
    cd "$folder"
    as_user "$programs/pg_ctl" stop --mode immediate --pgdata "$folder/data" >/dev/null || true
    for _ in {1..20}; do
        serve "$(cat "$folder/port")" && exit 0
    done
    tail -n 5 "$folder/data/server.log" >&2
    exit 1
    ;;
esac
