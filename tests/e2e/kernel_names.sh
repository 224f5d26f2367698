#!/usr/bin/env bash
# kernel_names.sh: functions of the kernel by name, also of code that came after the agent started:
# a BPF program of somebody else. Where others listen, too, the kernel writes its record too long; all
# that happens afterwards has to be heard as before.
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"

begin podflamed podflame-server
need_root
if ! grep -qv '^0* ' /proc/kallsyms; then
    skip_all "the kernel hides its symbols"
fi
"${CC:-cc}" -O2 "$top_srcdir/tests/workloads/bpf_spin.c" -o "$dir/pf-bpf" 2>"$dir/cc.log" ||
    { show "$dir/cc.log"; bail "the workload does not compile"; }

start_server
# Whoever is not the first to listen gets such records: one before, one behind.
listen() {
    "$build/podflamed" --server '' --state-dir "$dir/$1" --metrics-listen '' >/dev/null 2>"$dir/$1.log" &
    kit_pids+=("$!")
    wait_until 20 matches "$dir/$1.log" 'sampling cpus='
}
listen before
start_agent --window 300s --ring-bytes 128KiB --stack-bytes 8KiB --stack-bytes-max 8KiB
listen behind
"$dir/pf-bpf" 2 2>"$dir/bpf.log"
loaded=$?
# What such a record has too much is what was in the ring before: that must not be nothing.
for ((i = 0; i < 400; i++)); do /bin/true; done
for ((i = 0; i < 100; i++)); do taskset -c $((i % 2)) "$dir/pf-bpf" 0.01 2>/dev/null; done
sleep 1
records=$(metric records_total)
for ((i = 0; i < 200; i++)); do taskset -c $((i % 2)) /bin/true; done
sleep 1
records=$(($(metric records_total) - records))
timeout 2 dd if=/dev/zero of=/dev/null bs=1 2>"$dir/dd.log" || true
stop "$agent_pid"
folded >"$dir/folded" || bail "the server did not answer"

if [ "$loaded" = 77 ]; then
    skip "a BPF program that came later" "$(cat "$dir/bpf.log")"
else
    check "a BPF program that came later" \
        chain pf-bpf 'bpf_prog_[0-9a-f]+_pf_spin_[[]k[]]' '([^;]+;)*[^;]*bpf[^;]*_[[]k[]];([^;]+;)*bpf_prog_[0-9a-f]+_pf_spin_[[]k[]]'
fi
# At least a fork, two names, two mappings and an exit each.
check "programs that start behind it are told of as before" holds "$records >= 1200"
reading=$(lines_of_process dd | grep -cE ';(ksys_read|vfs_read|read_zero|ksys_write|vfs_write)_\[k\]')
note "$reading stacks of dd in read and write"
check "system calls" holds "$reading > 0"
check "no kernel address stands in a name" holds "$(grep -cE 'ffffffff[0-9a-f]{8}' "$dir/folded") == 0"
finish
