#!/usr/bin/env bash
# hotplug.sh: a CPU that goes offline and comes back is sampled before and after, and the other one all
# the time.
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"

begin podflamed podflame tests/workloads/split
need_root
switch=/sys/devices/system/cpu/cpu1/online
[ -w $switch ] || skip_all "this machine's second CPU cannot be switched off"
hotplug_lock --exclusive
[ "$(cat $switch)" = 1 ] || skip_all "this machine's second CPU is off"
test_cleanup() { echo 1 >"$switch"; }
echo 0 2>/dev/null >"$switch" || skip_all "this machine does not let its second CPU go"
echo 1 >"$switch"

start_agent --window 1s --record "$dir/recording"
"$workloads/split" 60 >/dev/null &
one=$!
"$workloads/split" 60 >/dev/null &
two=$!
kit_pids+=("$one" "$two")
now_ms() { date +%s%3N; }
began=$(now_ms)
sleep 3
off=$(now_ms)
echo 0 >"$switch"
check "the agent sees that the CPU is gone" wait_until 10 matches "$agent_log" 'CPU went offline cpu=1'
check "and samples one" equal "$(metric cpus)" 1
went=$(now_ms)
rescans=$(metric rescans_total)
sleep 2
back=$(now_ms)
echo 1 >"$switch"
check "the agent sees that the CPU is back" wait_until 10 matches "$agent_log" 'CPU came online cpu=1'
came=$(now_ms)
check "and samples both" equal "$(metric cpus)" 2
# What ran there before its events were opened was told to nobody.
read_again() { [ "$(metric rescans_total)" -gt "$rescans" ]; }
check "and reads /proc again" wait_until 10 read_again
sleep 4
ended=$(now_ms)
stop "$one"
stop "$two"
stop "$agent_pid"
check "it ends well" equal $? 0

# The store keeps 10 s apart, a batch says what a second held: "start end CPU samples" in ms.
read_seconds() {
    for file in "$dir/state/spool"/*.batch; do
        "$build/podflame" batch "$file" >"$dir/batch.json" || bail "no batch: $file"
        awk '
            function number(key) { match($0, "\"" key "\": [0-9]+"); return substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 4) }
            /^  "window":/ { start = number("start_ns") / 1e6; end = number("end_ns") / 1e6 }
            /^  "[a-z]*": \[/ { table = $1 }
            /"count":/ && table ~ /samples/ { n[number("cpu")] += number("count") }
            END { for (cpu = 0; cpu < 2; cpu++) printf "%.0f %.0f %d %d\n", start, end, cpu, n[cpu] }' "$dir/batch.json"
    done >"$dir/seconds"
}
read_seconds
samples() { # from, to: "samples of CPU 0, samples of CPU 1" of the windows between
    awk -v from="$1" -v to="$2" '$1 >= from && $2 <= to { n[$3] += $4 } END { print n[0] + 0, n[1] + 0 }' "$dir/seconds"
}
read -r before_0 before_1 <<<"$(samples "$began" "$off")"
read -r during_0 during_1 <<<"$(samples "$went" "$back")"
read -r after_0 after_1 <<<"$(samples "$came" "$ended")"
note "samples of CPU 0 and CPU 1: before $before_0 $before_1, during $during_0 $during_1, after $after_0 $after_1"
check "both were sampled before" [ "$before_0" -gt 100 -a "$before_1" -gt 100 ]
check "one while the other was gone" [ "$during_0" -gt 50 -a "$during_1" = 0 ]
check "both after" [ "$after_0" -gt 100 -a "$after_1" -gt 100 ]

# A ring that comes anew is recorded from its start.
spooled_in() { sed -n 's/.*batch spooled .* samples=\([0-9]*\).*/\1/p' "$1" | awk '{ n += $1 } END { print n + 0 }'; }
"$build/podflamed" --server '' --state-dir "$dir/replayed" --metrics-listen '' --log-level debug \
    --replay "$dir/recording" >/dev/null 2>"$dir/replay.log"
check "a recording of it holds as many samples" equal "$(spooled_in "$dir/replay.log")" "$(spooled_in "$agent_log")"
[ "$failures" = 0 ] || { show "$dir/seconds"; show "$agent_log"; }

# ---- of a target only: events that are led to the CPU's new rings

says() { tail -n "+$((before + 1))" "$agent_log" | grep -q "$1"; }
ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; } # of CPU time; 100 a second
ran() { [ "$(ticks "$tree")" -gt "$1" ] && [ "$(ticks "${children[0]}")" -gt "$2" ]; }
target_case() { # what, flags...
    local what=$1
    shift
    rm -rf "$dir/state"
    before=$(lines_of "$agent_log")
    start_agent --window 1s "$@"
    sleep 1
    echo 0 >"$switch"
    wait_until 10 says "CPU went offline"
    echo 1 >"$switch"
    wait_until 10 says "CPU came online"
    # Which CPU they would be on is chance.
    taskset -p -c 1 "$tree" >/dev/null
    taskset -p -c 0 "${children[0]}" >/dev/null
    came=$(now_ms)
    # By their CPU time, of which a busy machine gives them less.
    wait_until 60 ran $(($(ticks "$tree") + 200)) $(($(ticks "${children[0]}") + 200))
    sleep 2
    ended=$(now_ms)
    stop "$agent_pid"
    read_seconds
    read -r after_0 after_1 <<<"$(samples "$came" "$ended")"
    note "samples of CPU 0 and CPU 1 afterwards: $after_0 $after_1"
    check "$what: both are sampled when the CPU is back" [ "$after_0" -gt 20 -a "$after_1" -gt 20 ]
}
# shellcheck disable=SC2016 # the inner shell's
bash -c '"$0" 300 & exec "$0" 300' "$workloads/split" >/dev/null &
tree=$!
kit_pids+=("$tree")
sleep 0.5
read -ra children <"/proc/$tree/task/$tree/children"
kit_pids+=("${children[@]}")
target_case --pid --pid "$tree"
target_case --cgroup --cgroup /
finish
