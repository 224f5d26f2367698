#!/usr/bin/env bash
# storm.sh: more than 500 processes a second live and die, some of them burn 5 ms of CPU first. Their
# samples carry their name and their function, although they are long gone when it is looked up.
# STORM_SECONDS: how long (20).
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
seconds=${STORM_SECONDS:-20}
true_rate=430 burn_rate=120

begin podflamed podflame-server tests/workloads/storm tests/workloads/storm_burner
need_root

# The burners are known by their cgroup, which the kernel itself stamps on each sample.
hierarchy=$(awk '$3 == "cgroup" && $4 ~ /(^|,)perf_event(,|$)/ { print $2; exit }' /proc/mounts)
hierarchy=${hierarchy:-$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)}
cgroup=/podflame-storm.$$
test_cleanup() { rmdir "$hierarchy$cgroup"; }
mkdir "$hierarchy$cgroup" 2>/dev/null || skip_all "no cgroup can be made in '$hierarchy'"

start_server
start_agent
# Else the storm would rage only as far as this machine has nothing else to do.
storm() { # cgroup.procs file or nothing, storm's arguments...
    # shellcheck disable=SC2016 # the inner shell's
    local join='[ -z "$1" ] || echo $$ >"$1" || exit; shift; exec "$@"'
    (first_in_queue sh -c "$join" - "$1" "$workloads/storm" "$seconds" "${@:2}") 2>"$dir/storm.log"
}
storm '' $true_rate /bin/true >"$dir/true" &
trues=$!
storm "$hierarchy$cgroup/cgroup.procs" $burn_rate "$workloads/storm_burner" >"$dir/burn" ||
    { show "$dir/storm.log"; bail "the burners' storm failed"; }
wait $trues || bail "the storm of /bin/true failed"
read -r truths true_failures took <"$dir/true"
read -r burners burner_failures _ <"$dir/burn"
rate=$(((truths + burners) * 100 / ${took/./}))
note "$truths of /bin/true and $burners burners in $took s: $rate a second"
check "no process failed" [ $((true_failures + burner_failures)) = 0 ]
if [ $rate -ge 500 ]; then
    ok "500 processes a second were started"
else
    skip "500 processes a second were started" "this machine starts $rate under its present load"
fi

sleep 0.3 # the last records are in the table
lost=$(metric lost_records_total) lost_samples=$(metric lost_samples_total)
check "the agent counts what the kernel lost" [ -n "$lost" -a -n "$lost_samples" ]
note "records lost: $lost, samples lost: $lost_samples"
wait_until 10 [ "$(metric ship_failures_total)" = 0 ]
stop "$agent_pid"
folded "cgroup=$cgroup" >"$dir/folded"

# What the burners' cgroup was seen doing in user mode:
#   good     the burner's name, and the function that it spends its time in
#   runtime  the burner's name, in ld.so and libc before main and behind it; they may have no symbols
#   spawner  the storm itself, and its children on their way to the burner
#   missed   all else: another name, no function
# and in the kernel:
#   below    the burner's name, below the function
#   ended    the last of a process; unnamed: of these without the burner's name
awk -v burners="$burners" '
    {
        count = $NF; sub(/ [0-9]+$/, "")
        n = split($0, frames, ";"); leaf = frames[n]; burner = frames[1] == "storm_burner"
        own = burner && $0 ~ /;(burn_5ms|cpu_ns)(;|$)/
    }
    leaf ~ /_\[k\]$/ {
        if (own) below += count
        if ($0 ~ /;do_exit_\[k\]/) ended += count
        if ($0 ~ /;do_exit_\[k\]/ && !burner) { unnamed += count; print "unnamed: " $0 }
        next
    }
    own { good += count; next }
    burner && $0 !~ /;main;/ && leaf !~ /^(\[|storm)/ { runtime += count; next }
    frames[1] == "storm" && $0 ~ /;main;|;_?_?(fork|Fork|exec)/ && ($0 ~ /;run_storm(;|$)/ || leaf ~ /^(libc[-.]|ld[-.].*[.]so|_?_?(fork|Fork|execve?|wait4?|waitpid|nanosleep|clock_))/) {
        spawner += count; next
    }
    { missed += count; print "missed: " $0 " " count }
    END {
        printf "%d good %d below %d runtime %d spawner %d missed %d ended %d unnamed %d\n", \
            burners, good, below, runtime, spawner, missed, ended, unnamed
    }' "$dir/folded" >"$dir/counts"
read -r _ _ good _ below _ _ _ _ _ missed _ ended _ unnamed < <(tail -n 1 "$dir/counts")
note "$(tail -n 1 "$dir/counts")"

# Roughly: on a busy machine the scheduler's ticks and the samples' keep step. But not all may be lost.
all_are_there() {
    awk -v got=$((good + below + missed)) -v burners="$burners" -v lost="$lost" 'BEGIN {
        wanted = burners / 2
        printf "%d samples, %d expected of %d burners of 5 ms\n", got, wanted, burners
        exit !(got > 0.65 * wanted - lost && got < 1.35 * wanted)
    }'
}
check "the burners were sampled for the CPU time that they took" all_are_there
check "99 % of the burners' samples carry their name and function" [ $((good * 100)) -ge $(((good + missed) * 99)) ]
# One may be of the storm itself, which is in the cgroup, too.
check "99 % of the samples of their ends carry their name" [ $((unnamed * 100)) -le $((ended + 100)) ]
head -n -1 "$dir/counts" | head -n 20 | sed 's/^/# /'
[ "$failures" = 0 ] || show "$agent_log"
finish
