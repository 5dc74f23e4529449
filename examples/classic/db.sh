#!/bin/sh
# Creates the database at the first start.
set -e
data=/var/lib/postgresql/example
bin=$(echo /usr/lib/postgresql/*/bin)
if [ ! -s "$data/PG_VERSION" ]; then
  "$bin/initdb" --pgdata "$data" --auth trust >/dev/null
  echo "host all all all trust" >>"$data/pg_hba.conf"
fi
exec "$bin/postgres" -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp
