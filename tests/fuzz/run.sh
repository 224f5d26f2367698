#!/usr/bin/env bash
# run.sh TARGET...: runs each fuzz target and prints TAP, a case a target. First its seed corpus in
# tests/fuzz/corpus/NAME alone, then FUZZ_SECONDS of new input. What it learns is kept in
# fuzz/NAME.corpus of the build directory, and an input that breaks it in fuzz/NAME-crash-*.
#   top_srcdir        where the tree is
#   FUZZ_SECONDS=60   for each target
#   FUZZ_JOBS=2       targets at once
#   FUZZ_MAX_LEN=     the longest input, in bytes; by default libFuzzer's own choice from the corpus
set -u
: "${top_srcdir:?}" "${FUZZ_SECONDS:=60}" "${FUZZ_JOBS:=2}"
mkdir -p fuzz

fuzz_one() { # target
    local name=${1##*/fuzz_} seeds
    seeds=$top_srcdir/tests/fuzz/corpus/$name
    mkdir -p "fuzz/$name.corpus"
    [ -n "$(ls "$seeds" 2>/dev/null)" ] || { echo "no seed corpus $seeds"; return 1; }
    local flags=(-timeout=20 -rss_limit_mb=4096 -artifact_prefix="fuzz/$name-" -print_final_stats=1)
    [ -z "${FUZZ_MAX_LEN:-}" ] || flags+=(-max_len="$FUZZ_MAX_LEN")
    "$1" "${flags[@]}" -runs=0 "$seeds" || return
    "$1" "${flags[@]}" -max_total_time="$FUZZ_SECONDS" "fuzz/$name.corpus" "$seeds"
}

running=0
for target in "$@"; do
    name=${target##*/fuzz_}
    { fuzz_one "$target" >"fuzz/$name.log" 2>&1; echo $? >"fuzz/$name.rc"; } &
    running=$((running + 1))
    if [ "$running" -ge "$FUZZ_JOBS" ]; then
        wait -n
        running=$((running - 1))
    fi
done
wait

echo "1..$#"
n=0
failed=0
for target in "$@"; do
    n=$((n + 1))
    name=${target##*/fuzz_}
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "fuzz/$name.log" | tail -n 1)
    if [ "$(cat "fuzz/$name.rc")" = 0 ]; then
        echo "ok $n - $name (${runs:-0} inputs)"
    else
        echo "not ok $n - $name"
        grep -v '^#[0-9]' "fuzz/$name.log" | tail -n 60 | sed 's/^/# /'
        echo "# the whole of it: $PWD/fuzz/$name.log; the input: $PWD/fuzz/$name-*"
        failed=1
    fi
done
exit $failed
