#!/usr/bin/env bash
# target.sh: what podflamed costs when it samples one cgroup, beside sampling the whole machine, by turns in
# one run, while other work fills the CPUs: its own CPU time, and what a switch between two processes
# that are in neither case the target takes longer. `make bench-target` calls it.
#   ROUNDS=3 SECONDS_EACH=20
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-20}

begin podflamed podflame-server tests/workloads/split tests/workloads/storm tests/workloads/pingpong
need_root
hierarchy=$(awk '{ for (i = 7; $i != "-"; i++); type = $(i + 1); options = $(i + 3) }
    type == "cgroup" && ("," options ",") ~ /,perf_event,/ && !v1 { v1 = $5 } type == "cgroup2" && !v2 { v2 = $5 }
    END { print v1 ? v1 : v2 }' /proc/self/mountinfo)
top=$hierarchy/podflame-bench.$$
mkdir -p "$top/target" "$top/ping" "$top/pong" || bail "no cgroup can be made below $hierarchy"
test_cleanup() { wait_until 5 rmdir "$top/target" "$top/ping" "$top/pong" "$top"; }

# The target wants a tenth of a CPU or so, the others all there is.
start_work() {
    (echo "$BASHPID" >"$top/target/cgroup.procs" && exec "$workloads/storm" 100000 20 "$workloads/split" 0.005) >/dev/null &
    kit_pids+=($!)
    local cpu
    for ((cpu = 0; cpu < $(nproc); cpu++)); do
        python3 -c 'while True: sorted(str(i) for i in range(100000))' &
        kit_pids+=($!)
    done
    "$workloads/storm" 100000 20 /bin/true >/dev/null &
    kit_pids+=($!)
}

cpu_ns() { awk '{ n += $1 } END { printf "%.0f\n", n }' /proc/"$agent_pid"/task/*/schedstat; }

# From the first batch on: starting is not what it costs.
measure_agent() { # file, flags...
    local out=$1 cpu samples
    shift
    rm -rf "$dir/state" "$dir/agent.log"
    start_agent --window 10s "$@"
    until grep -q 'batch spooled' "$agent_log"; do sleep 0.1; done
    cpu=$(cpu_ns) samples=$(metric samples_total)
    sleep "$seconds"
    echo "$((($(cpu_ns) - cpu) / seconds)) $((($(metric samples_total) - samples) / seconds))" >>"$out"
    measure_switches "$out.switches"
    stop "$agent_pid"
}
# Before all other work, on one CPU: how long it waits for that is not the question.
measure_switches() { # file
    chrt -f 1 "$workloads/pingpong" 1 | cut -d' ' -f2 >>"$1.same"
    chrt -f 1 "$workloads/pingpong" 1 "$top/ping" "$top/pong" | cut -d' ' -f2 >>"$1.two"
}

start_server
start_work
for ((round = 1; round <= rounds; round++)); do
    echo "# round $round of $rounds" >&2
    measure_switches "$dir/off.switches"
    measure_agent "$dir/node"
    measure_agent "$dir/cgroup" --cgroup "$top/target"
done

median() { sort -n -k"$2,$2" "$1" | awk -v column="$2" '{ v[NR] = $column } END { print v[int((NR + 1) / 2)] + 0 }'; }
row() { # name, file
    local us=- n=-
    [ ! -e "$2" ] || us=$(awk -v ns="$(median "$2" 1)" 'BEGIN { printf "%.2f", ns / 1e7 }') n=$(median "$2" 2)
    printf '%-28s %10s %12s %14s %14s\n' "$1" "$us" "$n" "$(median "$2.switches.same" 1)" "$(median "$2.switches.two" 1)"
}
echo "$(nproc) CPUs, full; Linux $(uname -r); median of $rounds"
printf '%-28s %10s %12s %14s %14s\n' '' '% of a CPU' 'samples/s' 'ns/switch' 'between cgroups'
row 'nobody samples' "$dir/off"
row 'podflamed' "$dir/node"
row 'podflamed --cgroup' "$dir/cgroup"
awk -v a="$(median "$dir/node" 1)" -v b="$(median "$dir/cgroup" 1)" 'BEGIN { printf "podflamed costs %.1f times as much as podflamed --cgroup\n", a / b }'
