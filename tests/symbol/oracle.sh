#!/usr/bin/env bash
# oracle.sh: names, inlined functions and lines at random addresses of this machine's libraries and
# programs are elfutils' (oracle.mjs). Prints TAP.
#   ORACLE_FILES=60  ELF files; ORACLE_COUNT=100  addresses of each
set -u
: "${top_srcdir:=.}" "${top_builddir:=.}" "${ORACLE_FILES:=60}" "${ORACLE_COUNT:=100}"
export SYMBOLIZE=${SYMBOLIZE:-$top_builddir/tests/e2e/symbolize}
if ! command -v eu-addr2line node >/dev/null || [ ! -x "$SYMBOLIZE" ]; then
    echo "1..0 # SKIP needs tests/e2e/symbolize, eu-addr2line and node"
    exit 0
fi
set -o pipefail
if node "$top_srcdir/tests/symbol/oracle.mjs" --count="$ORACLE_COUNT" --max="$ORACLE_FILES" \
    "$SYMBOLIZE" /usr/lib/*-linux-gnu /usr/bin | sed 's/^/# /'; then
    result=ok
else
    result='not ok'
fi
echo "$result 1 - no name is another than elfutils'"
echo 1..1
