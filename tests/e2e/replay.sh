#!/usr/bin/env bash
# replay.sh: what podflamed recorded while it sampled gives, replayed, the same sums that it shipped.
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"

begin podflamed podflame-server tests/workloads/split tests/workloads/storm tests/workloads/storm_burner
need_root

# The parts of the answers that must be alike.
ask() { # directory to put them in
    mkdir "$1"
    folded group=process >"$1/all"
    folded group=process,thread,cpu process=split >"$1/split"
    folded group=process,thread,cpu process=storm_burner >"$1/burner"
    by_process "$1/all" >"$1/processes"
    by_leaf "$1/split" >"$1/split.leaves"
    by_leaf "$1/burner" >"$1/burner.leaves"
}
# "process;thread;CPU leaf samples": whether the callers are known depends on how soon the program's
# unwind table was there. A replay waits for it.
by_leaf() {
    awk '{ n = split($0, frames, ";"); split(frames[n], leaf, " "); sum[frames[1] ";" frames[2] ";" frames[3] " " leaf[1]] += $NF }
        END { for (key in sum) print key, sum[key] }' "$1" | sort
}
by_process() {
    awk '{ n[substr($0, 1, index($0, ";") - 1)] += $NF } END { for (p in n) print p, n[p] }' "$1" | sort
}

start_server
# How much of DWARF is read in time is chance.
start_agent --window 2s --record "$dir/recording" --node live --dwarf-time 0s
"$workloads/split" 5 >/dev/null &
long=$!
"$workloads/storm" 5 40 "$workloads/storm_burner" >/dev/null || bail "the storm failed"
wait $long || bail "the workload failed"
stop "$agent_pid"
spooled_in() { sed -n 's/.*batch spooled .* samples=\([0-9]*\).*/\1/p' "$1" | awk '{ n += $1 } END { print n + 0 }'; }
live_samples=$(spooled_in "$agent_log")
check "the recording is for its owner only" equal "$(stat -c %a "$dir/recording")" 600
ask "$dir/live"
stop "$server_pid"

# A server and a state directory of its own.
mv "$dir/data" "$dir/data.live"
mv "$dir/state" "$dir/state.live"
mv "$agent_log" "$dir/agent.live.log"
start_server
"$build/podflamed" --server "$server" --state-dir "$dir/state" --metrics-listen '' --window 2s --dwarf-time 0s \
    --replay "$dir/recording" --node replayed --log-level debug >/dev/null 2>"$agent_log"
check "a replay ends by itself" equal $? 0
check "and has shipped all" spool_is_empty
ask "$dir/replayed"

replayed_samples=$(status_of store.samples)
check "it has as many samples" equal "$replayed_samples" "$live_samples"
check "of the same processes" cmp "$dir/live/processes" "$dir/replayed/processes"
for process in split burner; do
    check "in the same functions of $process, by thread and CPU" \
        cmp "$dir/live/$process.leaves" "$dir/replayed/$process.leaves"
    # Short-lived processes spend much of their time being linked, before main.
    check "with all their callers" \
        holds "$(count_folded "$dir/replayed/$process" ';(main;|ld-)') >= 0.75 * $(count_folded "$dir/replayed/$process")"
done
note "$live_samples samples, $(count_folded "$dir/live/split") of split, $(count_folded "$dir/live/burner") of 200 burners"
check "which were there" holds "$(count_folded "$dir/live/split" ';hot_loop') > 250 &&
    $(count_folded "$dir/live/burner" ';burn_5ms') > 50"

# The recorder may have been killed: what is there is replayed.
replay_alone() { # file, name for its state and log
    "$build/podflamed" --server '' --state-dir "$dir/state.$2" --metrics-listen '' --log-level debug \
        --replay "$1" >/dev/null 2>"$dir/$2.log"
}
size=$(stat -c %s "$dir/recording")
head -c $((size * 2 / 3 + 5)) "$dir/recording" >"$dir/cut"
replay_alone "$dir/cut" cut
check "a recording that was cut is replayed as far as it goes" equal $? 0
check "which is not to its end" \
    holds "$(spooled_in "$dir/cut.log") > 0.3 * $live_samples && $(spooled_in "$dir/cut.log") < 0.9 * $live_samples"
{ head -c 56 "$dir/recording" && printf '\377\377\377\377' && tail -c +61 "$dir/recording"; } >"$dir/garbled"
replay_alone "$dir/garbled" garbled
check "one that makes no sense is refused" equal $? 1
check "with the place where it does not" matches "$dir/garbled.log" 'error: .*garbled: the chunk at byte 56'

if [ "$failures" != 0 ]; then
    for part in processes split.leaves burner.leaves split burner; do
        diff "$dir/live/$part" "$dir/replayed/$part" | head -n 20 | sed 's/^/# | /'
    done
    show "$dir/cut.log"
    show "$dir/garbled.log"
fi
finish
