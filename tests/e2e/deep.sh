#!/usr/bin/env bash
# deep.sh: stacks deeper than what samples hold: podflamed takes larger copies by itself until they are
# whole; with live-tail, the rest comes from the process.
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"

begin podflamed podflame-server tests/workloads/tower
need_root
name_workload tower
lines_of_tower() { grep "^${workload_name}[;[]" "$dir/folded"; }
run_tower() { (first_in_queue "$workload" "$@") || bail "the workload ended otherwise"; }

# ---- 20 KiB of stack, copies that begin at 4 KiB

start_server
start_agent --stack-bytes 4096 --window 2s
run_tower 18 2000 20
# Beyond that, what else runs on the machine may need more.
check "copies have grown to what the stacks need" holds "$(metric stack_bytes) >= 32768"
lost=$(($(metric lost_records_total) + $(metric lost_samples_total)))
stop "$agent_pid"
check "step by step, each logged" matches "$agent_log" 'stack_bytes=32768 before=16384'
check "no record was lost for it" equal "$lost" 0
folded "process=$workload_name" >"$dir/folded"
lines_of_tower >"$dir/tower"
whole=$(count_folded "$dir/tower" ';main;(alpha|beta)_root;(tower_step;)*(alpha|beta)_leaf') all=$(count_folded "$dir/tower")
note "$whole of $all samples are whole"
check "many samples of the whole run are whole" holds "$all > 500 && $whole > 0.3 * $all"
check "none is of two stacks" equal "$(count_folded "$dir/tower" 'alpha_root.*beta_leaf|beta_root.*alpha_leaf')" 0

stop "$server_pid"
rm -rf "$dir/data" "$dir/state"

# ---- copies stay small: the rest is read where it can be

start_server
start_agent --stack-bytes 8192 --stack-bytes-max 8192 --live-tail 50ms --window 300s
run_tower 18 2000 10
live=$(metric frames_live_total) late=$(metric peeks_late_total)
stop "$agent_pid"
check "memory was read in time" holds "$late < 50"
check "and gave callers" holds "$live > 500"
folded "process=$workload_name" >"$dir/folded"
lines_of_tower >"$dir/tower"
whole=$(count_folded "$dir/tower" ';main;(alpha|beta)_root;(tower_step;)*(alpha|beta)_leaf')
wrong=$(count_folded "$dir/tower" 'alpha_root.*beta_leaf|beta_root.*alpha_leaf')
cut=$(count_folded "$dir/tower" '^[^;]*;.truncated.')
# Two stacks that take turns every 2 ms and are alike to the byte where the copy ends: the worst case,
# and why it is off by default.
note "$whole whole, $wrong with the other's root, $cut cut"
check "stacks are whole by it" holds "$whole > 20"
[ "$failures" = 0 ] || { show "$agent_log"; KEEP=1; }
finish
