#!/usr/bin/env bash
# unwind.sh: what unwinding copied stacks costs: podflame, libdw and libunwind over the same
# samples by turns, and `perf script` over a recording of the same programs.
#   CORPUS           the recording, made first if it is not there: see tests/bench/corpus
#   BENCH_ROUNDS     7
#   PERF             perf programs to compare with, "perf"; "": none
#   PERF_SECONDS     how long each program of the corpus works for perf's recording, 1
set -eu
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}" "${top_builddir:=.}"
: "${CORPUS:=${XDG_CACHE_HOME:-$HOME/.cache}/podflame-corpus/corpus.pfrr}"
: "${BENCH_ROUNDS:=7}" "${PERF=perf}" "${PERF_SECONDS:=1}"
corpus=$top_srcdir/tests/bench/corpus
dir=$(dirname "$CORPUS")

[ -e "$CORPUS" ] || top_builddir=$top_builddir "$corpus" record "$dir"
"$top_builddir/tests/bench/bench_unwind" --rounds "$BENCH_ROUNDS" "$CORPUS"

# CPU seconds of a command
cpu_of() {
    local TIMEFORMAT='%U %S'
    { time "$@" >/dev/null 2>&1; } 2>&1 | awk '{print $1 + $2}'
}

# perf script reads, sorts and prints beside unwinding: what it takes without callchains is its
# floor. Each perf reads only its own recordings; it records all CPUs, as podflamed does, and puts a
# folder of its own in front of PATH.
for perf in $PERF; do
    command -v "$perf" >/dev/null || { echo "$perf is SKIPPED: not installed (apt install linux-perf)"; continue; }
    version=$("$perf" --version | cut -d ' ' -f 3)
    data=$dir/perf-$version.data
    [ -e "$data" ] || CORPUS_SECONDS=$PERF_SECONDS "$perf" record -q -a -B -N -e cpu-clock -F 199 \
        --call-graph dwarf,16384 -o "$data" -- /usr/bin/env PATH="$PATH" "$corpus" run "$dir" \
        >"$dir/perf.log" 2>&1 || { echo "perf $version is SKIPPED: see $dir/perf.log"; continue; }
    list=("$perf" script -f -i "$data" --no-inline)
    samples=$("${list[@]}" -F pid,time 2>/dev/null | wc -l)
    frames=$("${list[@]}" -F ip 2>/dev/null | awk 'NF' | wc -l)
    bare=$(cpu_of "${list[@]}" -F pid,time,ip)
    floor=$(cpu_of "${list[@]}" -F pid,time)
    whole=$(cpu_of "${list[@]}")
    awk -v name="perf script, $version" -v n="$samples" -v f="$frames" \
        -v w="$whole" -v b="$bare" -v z="$floor" 'BEGIN {
            printf "%-24s %10.3f %9.1f   above its floor of %.1f us; all in with names %.1f us; %d samples, %d frames\n",
                name, (b - z) / n * 1e6, (b - z) / f * 1e9, z / n * 1e6, w / n * 1e6, n, f
        }'
done
