#!/usr/bin/env bash
# outage.sh: the server is away for two minutes, then back: nothing is lost, nothing is stored twice, and
# the batches come in the order they were made. It mostly waits. OUTAGE_SECONDS: how long (120).
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
seconds=${OUTAGE_SECONDS:-120}

begin podflamed podflame-server
need_root
start_server
start_agent --window 5s

taken_in() { # file: "seq samples stored" in the order of their coming
    sed -n 's/.*batch taken in .* seq=\([0-9]*\) samples=\([0-9]*\) stored=\([01]\).*/\1 \2 \3/p' \
        "$server_log" >"$1"
}
some_taken_in() { # at least so many
    taken_in "$dir/taken"
    [ "$(lines_of "$dir/taken")" -ge "$1" ]
}
check "batches arrive before the outage" wait_until 30 some_taken_in 2
stop "$server_pid"
before=$(taken_in "$dir/taken" && lines_of "$dir/taken")
sleep "$seconds"
waiting=$(metric spool_waiting_batches)
check "they wait in the spool during it" [ "$waiting" -ge $((seconds / 5 - 1)) ]
check "the agent says that it cannot ship, once" \
    equal "$(grep -c 'batches cannot be shipped' "$agent_log")" 1
start_server
# The agent tries again every 30 s at last.
check "they are shipped after it" wait_until 60 some_taken_in $((before + waiting))
check "the agent says that it ships again" matches "$agent_log" 'batches are shipped again'
stop "$agent_pid"
check "the spool is empty in the end" spool_is_empty

sed -n 's/.*batch spooled seq=\([0-9]*\) samples=\([0-9]*\).*/\1 \2/p' "$agent_log" >"$dir/spooled"
taken_in "$dir/taken"
grep ' 1$' "$dir/taken" | cut -d' ' -f1,2 >"$dir/stored"
sum() { awk '{ n += $2 } END { printf "%.0f\n", n }' "$1"; }
check "nothing is lost, nothing doubled, the order kept" cmp "$dir/spooled" "$dir/stored"
check "the store has as many batches" equal "$(status_of store.batches)" "$(lines_of "$dir/spooled")"
check "the store has as many samples" equal "$(status_of store.samples)" "$(sum "$dir/spooled")"
folded group= >"$dir/folded"
check "a flamegraph has them" equal "$(count_folded "$dir/folded")" "$(sum "$dir/spooled")"
note "batches: $before before, $waiting waited, $(lines_of "$dir/spooled") in all"
[ "$failures" = 0 ] || { show "$agent_log"; show "$server_log"; }
finish
