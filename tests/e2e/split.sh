#!/usr/bin/env bash
# split.sh: a program whose time is split 70/20/10 between three functions, one of them in the kernel,
# comes out of podflamed and podflame-server as it was. SPLIT_SECONDS: how long (60).
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
seconds=${SPLIT_SECONDS:-60}

begin podflamed podflame-server tests/workloads/split
need_root
name_workload split
start_server
start_agent
# What is not held up is sampled evenly, so that chance plays less of a part.
(first_in_queue "$workload" "$seconds") >"$dir/truth" || bail "the workload failed"
check "SIGTERM ends the agent well" stop "$agent_pid"
folded process="$workload_name" >"$dir/folded" || bail "the server did not answer"

# All of a function's samples: its own and those of what it called.
share() { # function
    awk -v f="$1" '
        NR == FNR { spent[$1] = $2; total += $2; next }
        index($0, ";" f ";") || index($0, ";" f " ") { got += $NF }
        { all += $NF }
        END {
            truth = 100 * spent[f] / total; share = all ? 100 * got / all : -1
            printf "%s: %.2f %% of %d samples, in truth %.2f %%\n", f, share, all, truth
            exit !(share > truth - 2 && share < truth + 2)
        }' "$dir/truth" "$dir/folded"
}
kernel_part() {
    awk 'index($0, ";read_zero;") { all += $NF; if ($0 ~ /_\[k\] [0-9]+$/) kernel += $NF }
        END {
            printf "%d of %d samples below read_zero end in the kernel\n", kernel, all
            exit !(kernel > 0.8 * all)
        }' "$dir/folded"
}
# Roughly: on a busy machine the scheduler's ticks and the samples' keep step.
total() {
    awk 'NR == FNR { wanted += $2 * 100; next }
        { n += $NF }
        END {
            printf "%d samples of 10 ms, %.2f s of CPU\n", n, wanted / 100
            exit !(n > 0.85 * wanted && n < 1.15 * wanted)
        }' "$dir/truth" "$dir/folded"
}
for function in hot_loop read_zero tidy_up; do
    check "$function has the share that it took, within 2 points" share $function
done
check "read_zero's time is in the kernel" kernel_part
check "the samples add up to the CPU time that was spent" total
[ "$failures" = 0 ] || { sort -t' ' -k2 -n "$dir/folded" | tail -n 20 | sed 's/^/# | /'; show "$agent_log"; }
finish
