#!/usr/bin/env bash
# agent.sh: what podflamed costs a sample, in CPU time of the whole process and in memory, beside
# `perf record` + `perf script`, in one run on one workload, by turns. `make bench-agent` calls it.
#   ROUNDS=3 WINDOWS=2   rounds, and windows of 30 s that podflamed is measured for in each
# What the kernel spends in the timer's interrupt, which takes the sample, is in none of the figures.
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
rounds=${ROUNDS:-3} windows=${WINDOWS:-2}

begin podflamed podflame-server tests/workloads/storm tests/workloads/cost tests/workloads/crowd
need_root
command -v perf >/dev/null || bail "perf is not installed (Debian: linux-perf)"

# ---- the workload: programs of several kinds without frame pointers, more than there are CPUs

if command -v java >/dev/null && javac -d "$dir" "$top_srcdir/tests/workloads/Deep.java" >"$dir/javac.log" 2>&1; then
    kinds='awk, perl, python, java, bash, gzip, 20 forks a second'
else
    kinds='awk, perl, python, bash, gzip, 20 forks a second'
fi

workload_pids=()
run_workload() {
    "$@" >/dev/null 2>&1 &
    workload_pids+=($!)
    kit_pids+=($!)
}
start_workload() {
    run_workload python3 -c 'while True: sorted(str(i) for i in range(100000))'
    [[ $kinds != *java* ]] || run_workload java -cp "$dir" Deep 100000
    run_workload awk 'BEGIN { for (;;) for (i = 0; i < 100000; i++) a[i % 1000] = i "" }'
    # shellcheck disable=SC2016 # perl's
    run_workload perl -e 'while (1) { my %h; $h{$_ % 1000} .= "x" for 1 .. 100000; }'
    # shellcheck disable=SC2016 # the inner shell's
    run_workload bash -c 'while :; do for ((i = 0; i < 100000; i++)); do x=${i/1/2}; done; done'
    run_workload gzip -c /dev/zero
    run_workload "$workloads/storm" 100000 20 /bin/true
}
stop_workload() {
    for pid in "${workload_pids[@]}"; do stop "$pid" KILL; done 2>/dev/null
    workload_pids=()
}

# ---- podflamed

# Nanoseconds on a CPU, of all threads.
agent_cpu_ns() { awk '{ n += $1 } END { printf "%.0f\n", n }' /proc/"$agent_pid"/task/*/schedstat; }
# "thread ns" of each.
agent_threads() {
    local task
    for task in /proc/"$agent_pid"/task/*; do
        echo "$(tr ' ' - <"$task/comm") $(cut -d' ' -f1 "$task/schedstat")"
    done | sort
}
agent_peak_kib() { awk '$1 == "VmHWM:" { print $2 }' "/proc/$agent_pid/status"; }
batches_spooled() { grep -c 'batch spooled' "$agent_log"; }
wait_for_batches() { # how many in all
    until [ "$(batches_spooled)" -ge "$1" ]; do
        is_gone "$agent_pid" && bail "podflamed ended"
        sleep 0.1
    done
}

# Between the ends of two windows, so that naming and shipping have their whole share.
measure_agent() { # file that gets "us_per_sample samples peak_KiB rings_KiB start_ms"
    rm -rf "$dir/state" "$dir/agent.log"
    start_agent
    local start_ns cpu samples lost
    start_ns=$(agent_cpu_ns)
    wait_for_batches 2 # the first closes early, the second is the rest of a window
    agent_threads >"$dir/threads.before"
    cpu=$(agent_cpu_ns) samples=$(metric samples_total)
    wait_for_batches $((2 + windows))
    cpu=$(($(agent_cpu_ns) - cpu)) samples=$(($(metric samples_total) - samples))
    awk -v cpu="$cpu" -v n="$samples" -v peak="$(agent_peak_kib)" -v rings="$(metric ring_bytes)" -v start="$start_ns" \
        'BEGIN { printf "%.2f %d %d %d %.0f\n", cpu / n / 1000, n, peak, rings / 1024, start / 1e6 }' >>"$1"
    agent_threads | join "$dir/threads.before" - | awk -v n="$samples" '
        { us[$1] += ($3 - $2) / n / 1000 }
        END { for (thread in us) printf "%s %.2f, ", thread, us[thread] }' >"$1.threads"
    lost=$(metric lost_records_total)
    [ "$lost" = 0 ] || note "podflamed lost $lost records"
    stop "$agent_pid"
}

# ---- perf

measure_perf() { # file that gets "us_per_sample samples peak_KiB", perf record's way of callchains...
    local out=$1 record_us record_kib script_us script_kib samples
    shift
    # Without build-ids: perf 6.1 dies of notes that are longer than it expects.
    "$workloads/cost" "$dir/record.cost" perf record -q -a -B -N -F 100 -e cpu-clock "$@" -o "$dir/perf.data" \
        -- sleep 30 >"$dir/perf.log" 2>&1 || { show "$dir/perf.log"; bail "perf record failed"; }
    "$workloads/cost" "$dir/script.cost" perf script --no-inline -i "$dir/perf.data" >/dev/null 2>"$dir/perf.log" ||
        { show "$dir/perf.log"; bail "perf script failed"; }
    samples=$(perf script -G -F comm -i "$dir/perf.data" 2>/dev/null | wc -l)
    read -r record_us record_kib <"$dir/record.cost"
    read -r script_us script_kib <"$dir/script.cost"
    awk -v us=$((record_us + script_us)) -v n="$samples" -v a="$record_kib" -v b="$script_kib" \
        'BEGIN { printf "%.2f %d %d\n", us / n, n, (a > b ? a : b) }' >>"$out"
    rm -f "$dir/perf.data"
}

# ---- the table

column_median() { # file, column
    sort -n -k"$2,$2" "$1" | awk -v column="$2" '{ v[NR] = $column } END { print v[int((NR + 1) / 2)] }'
}
row() { # name, file
    awk -v name="$1" -v us="$(column_median "$2" 1)" -v n="$(column_median "$2" 2)" -v kib="$(column_median "$2" 3)" \
        'BEGIN { printf "%-44s %10.1f %10d %10.1f\n", name, us, n, kib / 1024 }'
}
ratio() { # file, file
    awk -v a="$(column_median "$1" 1)" -v b="$(column_median "$2" 1)" 'BEGIN { printf "%.1f", a / b }'
}

start_server
for ((round = 1; round <= rounds; round++)); do
    echo "# round $round of $rounds" >&2
    start_workload
    measure_agent "$dir/agent"
    measure_perf "$dir/perf_fp" -g
    measure_perf "$dir/perf_dwarf" --call-graph dwarf,16384
    stop_workload
done
echo "# 500 processes" >&2
run_workload "$workloads/crowd" 500
start_workload
windows=1 measure_agent "$dir/crowd"
stop_workload

echo "$kinds; $(nproc) CPUs, Linux $(uname -r), $(perf --version); median of $rounds"
printf '%-44s %10s %10s %10s\n' '' 'us/sample' 'samples' 'peak MiB'
row 'podflamed (16 KiB of stack, by tables)' "$dir/agent"
row 'perf record -g (frame pointers) + script' "$dir/perf_fp"
row 'perf record --call-graph dwarf + script' "$dir/perf_dwarf"
row 'podflamed, 500 processes more' "$dir/crowd"
echo "podflamed's threads in the last round: $(sed 's/, $//' "$dir/agent.threads") us a sample"
echo "perf -g costs $(ratio "$dir/perf_fp" "$dir/agent") times as much a sample, perf dwarf $(ratio "$dir/perf_dwarf" "$dir/agent") times"
awk -v kib="$(column_median "$dir/crowd" 3)" -v rings="$(column_median "$dir/crowd" 4)" -v us="$(column_median "$dir/agent" 1)" -v start="$(column_median "$dir/agent" 5)" 'BEGIN {
    printf "podflamed: %.1f us a sample (aim: 25); %.1f MiB with 500 processes, of it rings %.1f (aim: 64 without them); start: %d ms of CPU\n", \
        us, kib / 1024, rings / 1024, start }'
