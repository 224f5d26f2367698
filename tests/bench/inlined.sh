#!/usr/bin/env bash
# inlined.sh: functions, files, lines and inlined calls at the addresses of one recording: perf script
# with inlined names beside podflame's symbolizer, in one run, with the ratio. Of perf's time the part
# that it takes to read and print the recording without names is taken off. podflame is asked for each
# address once; perf sees one as often as it was sampled, and remembers what it found.
#   PERF="perf"      one or more perfs; the first records
#   BENCH_ELF        what is named while perf records, by default as symbols.sh
#   SYMBOLIZE        tests/e2e/symbolize of the build: also the program that is recorded
set -eu
: "${top_builddir:=.}" "${PERF:=perf}" "${SYMBOLIZE:=$top_builddir/tests/e2e/symbolize}"
: "${BENCH_ELF:=$(find -L /usr/lib/*/libstdc++.so.6 -maxdepth 0 | head -n 1)}"
base=555555554000 # where Linux puts a program on x86-64 when it does not choose at random
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

milliseconds() { # command...: the best of three
    local best='' from to
    for _ in 1 2 3; do
        from=$(date +%s%N)
        "$@" >"$dir/out" 2>"$dir/log" || { cat "$dir/log" >&2; return 1; }
        to=$(date +%s%N)
        if [ -z "$best" ] || [ $((to - from)) -lt "$best" ]; then best=$((to - from)); fi
    done
    awk "BEGIN { print $best / 1e6 }"
}
ratio() { awk "BEGIN { printf \"%.1f\", $1 / $2 }"; }

seq -f '%.0f' 4096 4 4000000 | awk '{ printf "%x\n", $1 }' >"$dir/many"
record() { # perf
    "$1" record -q -e cpu-clock:u -F 20000 -o "$dir/data" -- \
        setarch -R "$SYMBOLIZE" "$BENCH_ELF" <"$dir/many" >"$dir/out" 2>"$dir/log"
}

# The program's own addresses, as bytes of its file.
own_offsets() { # perf
    local shift
    shift=$(readelf -lW "$SYMBOLIZE" | awk '$1 == "LOAD" && / E / { print $2, $3; exit }')
    "$1" script -i "$dir/data" -F ip 2>/dev/null | awk -v base="$base" -v map="$shift" '
        function hex(text,    i, n) {
            sub(/^0x/, "", text)
            for (i = n = 0; i++ < length(text);)
                n = n * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
            return n
        }
        BEGIN { split(map, m, " "); move = hex(m[1]) - hex(m[2]) - hex(base) }
        { at = hex($1) + move }
        at > 0 && at < 2 ^ 32 && !seen[at]++ { printf "%x\n", at }' >"$dir/offsets"
}

first=${PERF%% *}
command -v "$first" >/dev/null || { echo "$first is not installed"; exit 0; }
record "$first"
own_offsets "$first"
for perf in $PERF; do
    floor=$(milliseconds "$perf" script -i "$dir/data" -F ip)
    named=$(milliseconds timeout 900 "$perf" script -i "$dir/data" -F ip,sym,srcline --inline)
    ours=$(milliseconds sh -c "\"$SYMBOLIZE\" --dwarf \"$SYMBOLIZE\" <\"$dir/offsets\"")
    awk "BEGIN { printf \"%s: %d samples, %d addresses of the program\n\", \"$("$perf" version | head -n 1)\",
        $("$perf" script -i "$dir/data" -F ip 2>/dev/null | wc -l), $(wc -l <"$dir/offsets") }"
    theirs=$(awk "BEGIN { print $named - $floor }")
    printf '  podflame %10.1f ms\n  perf     %10.1f ms above its floor of %.1f ms   ratio %s\n' \
        "$ours" "$theirs" "$floor" "$(ratio "$theirs" "$ours")"
done
