#!/usr/bin/env bash
# kill9.sh: the agent, the server, or both are killed at random points, with batches in flight. Every
# batch that was in the spool is stored once, whole.
#   KILLS=50   how often in all
#   SEED=N     the same kills again, as far as the machine's own timing allows
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
kills=${KILLS:-50}
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}

begin podflamed podflame-server podflame tests/workloads/split
need_root
note "SEED=$seed KILLS=$kills"
RANDOM=$seed
spool=$dir/state/spool
mkdir "$dir/kept"

# A recording to replay: its windows follow each other as fast as they can be named, so that there
# is always a batch in flight. Between them the agent samples, in windows of a second.
record() {
    "$workloads/split" 6 >/dev/null &
    "$build/podflamed" --server '' --state-dir "$dir/recorder" --metrics-listen '' --duration 6s \
        --record "$dir/recording" >/dev/null 2>"$dir/recorder.log" || { show "$dir/recorder.log"; bail "no recording"; }
    wait $!
}

start_some_agent() {
    if [ $((RANDOM % 2)) = 0 ]; then
        start_agent --window 1s
        pause_ms=2000
    else
        start_agent --window 1s --replay "$dir/recording"
        pause_ms=800
    fi
}

random_pause() { # up to that many milliseconds
    local ms=$((RANDOM % $1))
    sleep "$((ms / 1000)).$(printf '%03d' $((ms % 1000)))"
}

# What a dead agent left is held on to: it may be gone before its name is looked at again.
keep_spool() {
    local file
    for file in "$spool"/*.batch; do
        [ ! -e "$file" ] || ln -f "$file" "$dir/kept/"
    done
}

# At one moment.
kill_all() { # pids...
    {
        kill -KILL "$@"
        wait "$@"
    } 2>/dev/null
    for pid; do forget "$pid"; done
}

# On a busy machine an agent may take long to come so far.
spooled() { grep -c 'batch spooled' "$agent_log"; }
has_spooled_since() { [ "$(spooled)" -gt "$1" ]; }

record
killed_agents=0 killed_servers=0
start_server
start_some_agent
for ((i = 0; i < kills; i++)); do
    # A third at once after the start, the others when there is something to lose.
    if [ $((RANDOM % 3)) != 0 ]; then
        before=$(spooled)
        random_pause $pause_ms
        wait_until 20 has_spooled_since "$before"
    fi
    victim=$((RANDOM % 3))
    pids=()
    [ $victim = 1 ] || pids+=("$agent_pid")
    [ $victim = 0 ] || pids+=("$server_pid")
    kill_all "${pids[@]}"
    if [ $victim != 1 ]; then
        killed_agents=$((killed_agents + 1))
        keep_spool
    fi
    if [ $victim != 0 ]; then
        killed_servers=$((killed_servers + 1))
        # Meanwhile the agent meets a closed port.
        [ $((RANDOM % 2)) = 0 ] || random_pause 500
        start_server
    fi
    if [ $victim != 1 ] || is_gone "$agent_pid"; then
        kill_all "$agent_pid" # a replay may have come to its end
        start_some_agent
    fi
done
kill_all "$agent_pid"
keep_spool
start_agent --window 1s
wait_until 60 spool_is_empty
stop "$agent_pid"
check "the spool is empty in the end" spool_is_empty
note "killed: agents $killed_agents, servers $killed_servers"

# "seq samples" of each batch that ever was in the spool: as its agent says; of one that was killed
# before it could say so, as the file that it left says.
sed -n 's/.*batch spooled seq=\([0-9]*\) samples=\([0-9]*\).*/\1 \2/p' "$agent_log" >"$dir/told"
for file in "$dir/kept"/*.batch; do
    seq=$(basename "$file" .batch)
    "$build/podflame" batch "$file" >"$dir/batch.json" || bail "what was in the spool is no batch: $file"
    awk -v seq="${seq##*(0)}" '
        /^  "[a-z]*": \[/ { table = $1 }
        table ~ /samples/ && match($0, /"count": [0-9]+/) { n += substr($0, RSTART + 9, RLENGTH - 9) }
        END { sub(/^0*/, "", seq); print seq, n + 0 }' "$dir/batch.json"
done >"$dir/left"
sort -u "$dir/told" "$dir/left" >"$dir/spooled"
cut -d' ' -f1 "$dir/spooled" | uniq -d >"$dir/twice"

# "seq samples stored" as the server says, and once a seq.
sed -n 's/.*batch taken in .* seq=\([0-9]*\) samples=\([0-9]*\) stored=\([01]\).*/\1 \2 \3/p' \
    "$server_log" | sort >"$dir/taken"
cut -d' ' -f1,2 "$dir/taken" | sort -u >"$dir/stored"
sum() { awk '{ n += $2 } END { printf "%.0f\n", n }' "$1"; }
note "batches spooled: $(lines_of "$dir/spooled"), of which left by a killed agent: $(lines_of "$dir/left"); sent again after they had been stored: $(grep -c ' 0$' "$dir/taken")"

nothing_missing() {
    comm -23 "$dir/spooled" "$dir/stored" >"$dir/missing"
    equal "$(cat "$dir/missing")" ""
}
# One that was shipped in the moment between its file's name and its agent's word, and whose agent
# was killed in that moment, nobody but the server knows of.
nothing_invented() {
    comm -13 "$dir/spooled" "$dir/stored" >"$dir/extra"
    cat "$dir/extra"
    [ "$(lines_of "$dir/extra")" -le $((killed_agents / 10)) ]
}
stored_once() {
    equal "$(awk '$3 == 1 { print $1 }' "$dir/taken" | sort | uniq -d)" "" &&
        equal "$(status_of store.batches)" "$(lines_of "$dir/stored")"
}
check "no two batches have one number" equal "$(cat "$dir/twice")" ""
check "there were batches to lose" [ "$(lines_of "$dir/spooled")" -ge $((kills / 2)) ]
check "every batch that was in the spool is stored, with its samples" nothing_missing
check "the server has no others" nothing_invented
check "each is stored once" stored_once
check "the store's samples are the batches'" equal "$(status_of store.samples)" "$(sum "$dir/stored")"
folded group= >"$dir/folded"
check "a flamegraph's samples are the batches'" equal "$(count_folded "$dir/folded")" "$(sum "$dir/stored")"
[ "$failures" = 0 ] || { show "$agent_log"; show "$server_log"; }
finish
