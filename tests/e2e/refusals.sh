#!/usr/bin/env bash
# refusals.sh: what the kernel or podflamed itself refuses is explained in one line that says what to do:
# wrong settings, perf_event_open that is forbidden in one way or another, a user without privileges.
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"

begin podflamed podflame-server podflame tests/workloads/split tests/workloads/deny_perf
need_root

# It must not run: a second would be enough for it to be seen running.
flags=(--server '' --state-dir "$dir/state" --metrics-listen '' --duration 1s)

# refused SENTENCE PATTERN COMMAND...: ends with 1; its only error line matches.
refused() {
    local sentence=$1 pattern=$2
    shift 2
    timeout 20 "$@" >/dev/null 2>"$dir/refused"
    local rc=$?
    check "$sentence" explains $rc "$pattern"
}
explains() { # exit code, pattern
    equal "$1" 1 && equal "$(grep -c ' error: ' "$dir/refused")" 1 &&
        matches "$dir/refused" "error: .*$2"
}

# ---- wrong settings: what is said, then the flags
printf '[podflamed]\nwindwo = 30s\n' >"$dir/wrong.conf"
while IFS='|' read -r pattern words; do
    read -ra given <<<"${words/DIR/$dir}"
    refused "refuses $words" "$pattern" "$build/podflamed" "${flags[@]}" "${given[@]}"
done <<'END'
--window: "5x" is not a duration such as|--window 5x
--window: "0s" is too small; allowed is 1s to 5m|--window 0s
--window: a value must follow|--window
--frequency: "0" is too small; allowed is 1 to 1000|--frequency 0
--frequency: "1e3" is|--frequency 1e3
--nope: unknown flag; podflamed --help|--nope
"extra" is no flag|extra
log-level is "loud"; it can be error, warning, info or debug|--log-level loud
ring-bytes is 49152; it must be a power of two|--ring-bytes 48KiB
stack-bytes is 1001; it must be a multiple of 8|--stack-bytes 1001
/nonexistent: No such file|--config /nonexistent
wrong.conf:2: unknown setting "windwo"|--config DIR/wrong.conf
record and replay exclude each other|--record a --replay b
/nonexistent: No such file|--replay /nonexistent
is no recording|--replay /bin/true
/nonexistent/x: No such file|--record /nonexistent/x
/proc/nowhere: No such file|--state-dir /proc/nowhere
"ftp://x" is no server: write http://HOST:PORT|--server ftp://x
--metrics-listen: .nonsense. is no address; write HOST:PORT|--metrics-listen nonsense
END

# ---- perf_event_open that is forbidden

refused "EPERM is a seccomp filter's: it says what to allow" \
    "\(EPERM\): a seccomp filter .* CAP_PERFMON .*SystemCallFilter=perf_event_open" \
    "$workloads/deny_perf" EPERM "$build/podflamed" "${flags[@]}"
refused "EACCES is a missing capability's: it says which" \
    "\(EACCES\): kernel.perf_event_paranoid is [0-9-]+ and CAP_PERFMON is missing .*CAP_SYS_ADMIN" \
    "$workloads/deny_perf" EACCES "$build/podflamed" "${flags[@]}"
refused "ENOSYS is the kernel's build" \
    "\(ENOSYS\): the kernel was built without CONFIG_PERF_EVENTS" \
    "$workloads/deny_perf" ENOSYS "$build/podflamed" "${flags[@]}"

# Debian's and Ubuntu's kernels know a paranoid 3 and 4: here in a mount namespace only.
echo 4 >"$dir/paranoid"
in_paranoia() {
    # shellcheck disable=SC2016 # the inner shell's
    unshare --mount sh -c 'mount --bind "$1" /proc/sys/kernel/perf_event_paranoid && shift && exec "$@"' - \
        "$dir/paranoid" "$@"
}
if in_paranoia true 2>/dev/null; then
    export -f in_paranoia
    export dir
    refused "above paranoid 2 only CAP_SYS_ADMIN serves, as it says" \
        "perf_event_paranoid is 4, a distribution.s patch .* CAP_SYS_ADMIN .*set it to 2" \
        bash -c 'in_paranoia "$@"' - "$workloads/deny_perf" EACCES "$build/podflamed" "${flags[@]}"
else
    skip "above paranoid 2 only CAP_SYS_ADMIN serves, as it says" "no mount namespace can be made"
fi

# ---- a plain user

as_nobody=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
plain_user() {
    chmod 755 "$dir"
    install -d -o nobody "$dir/own_state"
    start_server
    # What nobody can run and read, wherever the build may lie.
    cp "$build/podflamed" "$workloads/split" "$dir/"
    "${as_nobody[@]}" "$dir/podflamed" --server "$server" --state-dir "$dir/own_state" --metrics-listen 127.0.0.1:0 \
        >/dev/null 2>"$dir/agent.log" &
    agent_pid=$!
    kit_pids+=("$agent_pid")
    kit_started podflamed "$agent_pid" "$dir/agent.log" 0 'metrics address='
    "$workloads/split" 3 >/dev/null &
    local roots=$!
    cp "$dir/split" "$dir/own_split"
    "${as_nobody[@]}" "$dir/own_split" 3 >/dev/null
    wait $roots
    stop "$agent_pid"
    check "a plain user's podflamed ends with 0" equal $? 0
    log=$dir/agent.log
    check "it says that it does not see all CPUs" matches "$log" 'feature=all-cpus fallback="only processes of this user'
    check "that it does not see the kernel" matches "$log" 'feature=kernel-frames fallback="only user code'
    check "why: the paranoid setting and the capability" matches "$log" \
        '\(EACCES\): kernel.perf_event_paranoid is 2 and CAP_PERFMON is missing'
    check "why kernel frames had no names" matches "$log" 'CAP_SYSLOG'
    check "and that it may be late" matches "$log" 'normal priority.*CAP_SYS_NICE'
    folded >"$dir/folded"
    # 80 % of it is user code; a process is found within a second.
    check "its own processes are sampled, with names" \
        holds "$(count_folded "$dir/folded" '^own_split;.*;(hot_loop|tidy_up)') > 100"
    check "others' are not" equal "$(count_folded "$dir/folded" '^split;')" 0
    check "nor the kernel" equal "$(count_folded "$dir/folded" '_\\[k\\]')" 0
}
paranoid=$(cat /proc/sys/kernel/perf_event_paranoid)
if ! command -v setpriv >/dev/null; then
    skip "a plain user" "setpriv is not installed"
elif [ "$paranoid" != 2 ]; then
    skip "a plain user" "kernel.perf_event_paranoid is $paranoid, the test knows what 2 does"
else
    plain_user
fi
[ "$failures" = 0 ] || show "$dir/agent.log"
finish
