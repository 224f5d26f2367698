#!/bin/sh
# cluster.sh: a real podflame-server beside an API server; see cluster.mjs. Prints TAP.
command -v node >/dev/null 2>&1 || {
    echo "1..0 # SKIP node is not installed"
    exit 0
}
exec node "${top_srcdir:?}/tests/e2e/cluster.mjs"
