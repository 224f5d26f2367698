#!/usr/bin/env bash
# unwind_tables.sh: the unwind tables of every program and library of this machine say what libdw says
# of the same rows' addresses: each row's first, middle and last.
#   UNWIND_EVERY=10       of so many rows one is compared; 1 takes ten minutes
#   UNWIND_DIRS=DIR...    where ELF files are looked for (/usr/bin /usr/lib)
# shellcheck source=tests/e2e/kit.sh
. "${top_srcdir:?}/tests/e2e/kit.sh"
read -ra dirs <<<"${UNWIND_DIRS:-/usr/bin /usr/lib}"
every=${UNWIND_EVERY:-10}

begin tests/unwind/oracle
find "${dirs[@]}" -type f \( -perm /111 -o -name '*.so*' \) -print0 >"$dir/files" 2>/dev/null
xargs -0 "$build/tests/unwind/oracle" "--every=$every" <"$dir/files" >"$dir/oracle" 2>&1
result=$?

# Long lists of files are taken in several goes.
sum() { # words of the oracle's last line that come behind the number
    sed -n "s/.*[^0-9]\{0,1\}\b\([0-9]\{1,\}\) $1.*/\1/p" "$dir/oracle" | awk '{ n += $1 } END { print n + 0 }'
}
show "$dir/oracle" 30
check "tables were built and compared" holds "$(sum files) > 50 && $(sum compared) > 10000"
check "no row differs" equal "$result $(sum different)" "0 0"
check "all but a thousandth can be said by a table" holds "$(sum left) * 1000 <= $(sum compared)"
finish
