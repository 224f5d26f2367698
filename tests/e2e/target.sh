#!/usr/bin/env bash
# target.sh: with --pid, --cgroup, --container or --pod exactly that is sampled: all of its CPU time, once,
# with what it creates, and nothing of a second burner's.
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"

begin podflamed podflame-server tests/workloads/family tests/workloads/split tests/workloads/tower
need_root

# ---- the hierarchy that perf uses

mount_of() { # awk condition on mountinfo's fields
    awk '{ for (i = 7; $i != "-"; i++); type = $(i + 1); options = $(i + 3) } '"$1"' { print $5; exit }' /proc/self/mountinfo
}
hierarchy=$(mount_of 'type == "cgroup" && ("," options ",") ~ /,perf_event,/')
[ -n "$hierarchy" ] || hierarchy=$(mount_of 'type == "cgroup2"')
[ -n "$hierarchy" ] || skip_all "no cgroup hierarchy is mounted that perf uses"
top=podflame-e2e.$$
mkdir "$hierarchy/$top" 2>/dev/null || skip_all "no cgroup can be made below $hierarchy"

test_cleanup() {
    local tries=50
    while ! find "$hierarchy/$top" -depth -type d -exec rmdir {} + 2>/dev/null && [ $((tries--)) -gt 0 ]; do
        sleep 0.1
    done
}

make_cgroup() { mkdir -p "$hierarchy/$top/$1"; }
# Its processes are gone a little later than their parent knows.
remove_cgroup() { wait_until 5 rmdir "$hierarchy/$top/$1"; }
# in_cgroup PATH COMMAND...: takes the shell's place.
in_cgroup() {
    echo "$BASHPID" >"$hierarchy/$top/$1/cgroup.procs" || exit 99
    shift
    exec "$@"
}

# ---- workloads

cp "$workloads/family" "$dir/kin.$$"
cp "$workloads/split" "$dir/alien.$$"
kin=$dir/kin.$$ alien=$dir/alien.$$

# What it used adds up in $dir/truth.
run_kin() { # cgroup or "", seconds
    if [ -n "$1" ]; then (in_cgroup "$1" "$kin" "$2" 0.02); else "$kin" "$2" 0.02; fi >>"$dir/truth"
}
start_alien() { # cgroup or ""
    (if [ -n "$1" ]; then in_cgroup "$1" "$alien" 100; else exec "$alien" 100; fi) >/dev/null &
    alien_pid=$!
    kit_pids+=("$alien_pid")
}

# Where each thread is opened by itself, as with --pid, the clock from sample to sample starts anew with
# each thread: of every life the last part, shorter than 10 ms, is not sampled. So lives are long there.

# Everything in the server since it was started is one case's.
begin_case() {
    rm -rf "$dir/data" "$dir/state" "$dir/truth" "$dir/agent.log"
    unset server_address
    start_server
}
end_case() {
    stop "$alien_pid" KILL
    folded >"$dir/folded" || bail "the server did not answer"
    stop "$server_pid"
}

# Twice sampled is as wrong as not at all. On a busy machine a tick more or less is chance.
all_of_it() {
    awk 'NR == FNR { if ($1 == "cpu") wanted += $2 * 100; next }
        { n += $NF }
        END {
            printf "%d samples of 10 ms, %.2f s of CPU: %.1f %%\n", n, wanted / 100, 100 * n / wanted
            exit !(wanted > 100 && n >= 0.95 * wanted && n < 1.07 * wanted)
        }' "$dir/truth" "$dir/folded"
}
nothing_else() {
    grep -Ev "^${kin##*/}(;|\[)" "$dir/folded" >"$dir/others"
    # What becomes the target is the test's shell until it has executed it.
    cut -c 1-200 "$dir/others"
    equal "$(grep -Evc "^(bash|target.sh|sh${1:+|$1})(;|\\[)" "$dir/others")" 0 && equal "$(count_folded "$dir/folded" '^alien')" 0 &&
        holds "$(count_folded "$dir/others" "^(bash|target.sh|sh)(;|\\\\[)") <= 3 && $(count_folded "$dir/others") <= 100"
}
named() { # function...
    local function
    for function; do
        holds "$(count_folded "$dir/folded" ";$function;burn(;|\\[| )") > 5" || { echo "$function"; return 1; }
    done
}
judge() { # what
    check "$1: at least 95 % of its CPU time is sampled, once" all_of_it
    check "$1: nothing else is" nothing_else
    check "$1: its threads and children are in it, with names" named burn_first burn_early burn_thread burn_child
    [ "$failures" = 0 ] || show "$dir/agent.log"
}

said() { [ "$(grep -c "$2" "$agent_log")" = "$1" ]; } # times, words

# ---- --pid

pid_case() {
    begin_case
    start_alien ""
    mkfifo "$dir/go"
    "$kin" 5 1.5 wait <"$dir/go" >"$dir/truth" &
    local kin_pid=$!
    kit_pids+=("$kin_pid")
    exec 3>"$dir/go"
    wait_until 10 grep -q ready "$dir/truth" || bail "the workload did not start"
    start_agent --pid "$kin_pid"
    echo >&3
    exec 3>&-
    wait "$kin_pid" || bail "the workload failed"
    wait "$agent_pid"
    check "--pid: podflamed ends with 0 when the process is gone" equal $? 0
    forget "$agent_pid"
    check "--pid: it says why" matches "$agent_log" 'stopping: the process to be sampled is gone'
    check "--pid: and has shipped all" spool_is_empty
    end_case
    judge --pid
}

# ---- --pid of a tree that makes threads and children while it is found

# Its threads live for 50 ms, of which up to 10 ms are lost for each CPU that they were on.
busy_case() {
    begin_case
    start_alien ""
    bash -c 'for i in 1 2 3 4; do "$0" 5 0.05 & done; wait' "$kin" >"$dir/truth" &
    local root=$!
    kit_pids+=("$root")
    sleep 1
    start_agent --pid "$root"
    wait "$root"
    wait "$agent_pid"
    forget "$agent_pid"
    end_case
    grep -v ready "$dir/truth" >"$dir/used"
    check "what is made while it is found is sampled, too" holds \
        "$(count_folded "$dir/folded") > 50 * $(awk '{ n += $2 } END { print n }' "$dir/used") - 50"
    check "and not twice" holds "$(count_folded "$dir/folded") < 105 * $(awk '{ n += $2 } END { print n }' "$dir/used")"
    check "nothing else is sampled" nothing_else
}

# ---- --cgroup: one that has cgroups below it, goes and comes again

cgroup_case() {
    begin_case
    make_cgroup here/below
    make_cgroup there
    start_alien there
    start_agent --cgroup "/$top/here"
    check "--cgroup: it says what it found" matches "$agent_log" "target found cgroup=\"/$top/here\""
    run_kin here/below 3
    remove_cgroup here/below
    remove_cgroup here
    check "--cgroup: that it is gone" wait_until 5 grep -q 'the target is gone' "$agent_log"
    make_cgroup here
    wait_until 5 said 2 "target found"
    run_kin here 3
    check "--cgroup: SIGTERM ends podflamed well" stop "$agent_pid"
    end_case
    judge --cgroup
}

# ---- --cgroup: stacks that are deeper than their copies, which then grow

copies_are() { [ "$(metric stack_bytes)" -ge "$1" ]; }
deep_case() {
    begin_case
    make_cgroup deep
    start_alien ""
    start_agent --cgroup "/$top/deep" --stack-bytes 4096 --window 1s
    (in_cgroup deep "$workloads/tower" 18 2000 100) &
    local tower=$!
    kit_pids+=("$tower")
    check "copies of deep stacks grow to what they need" wait_until 60 copies_are 32768
    sleep 4
    stop "$tower" KILL
    stop "$agent_pid"
    end_case
    grep '^tower[;[]' "$dir/folded" >"$dir/tower"
    check "then they are whole" holds \
        "$(count_folded "$dir/tower" ';main;(alpha|beta)_root;(tower_step;)*(alpha|beta)_leaf') > 20"
    check "and only the target is sampled" equal "$(count_folded "$dir/folded" '^alien')" 0
}

# ---- --container: comes later, is restarted under its id; another one has an id that begins alike

container_case() {
    local id=5d1c0ffee0ddf00d5d1c0ffee0ddf00d5d1c0ffee0ddf00d5d1c0ffee0ddf00d
    local pod=kubepods/burstable/pod0b5a1c4e-7d1f-4c58-9a53-3f1c2e4d5b6a
    begin_case
    make_cgroup "$pod/${id/5d1c/5d1d}"
    start_alien "$pod/${id/5d1c/5d1d}"
    start_agent --container 5d1c0
    check "--container: it waits" matches "$agent_log" 'the target is not there yet; waiting for it container="5d1c0"'
    local round
    for round in 1 2; do
        make_cgroup "$pod/$id"
        wait_until 5 said $round "target found" || not_ok "--container: round $round: not found"
        run_kin "$pod/$id" 3
        [ $round = 1 ] || refused "an id that could be two containers'" 'several containers. ids begin with 5d1' --container 5d1
        remove_cgroup "$pod/$id"
        wait_until 5 said $round "the target is gone" || not_ok "--container: round $round: not gone"
    done
    stop "$agent_pid"
    end_case
    judge --container
}

# ---- --pod: by uid, with a container that comes later

pod_case() {
    local uid=9e1f0c7a-1111-4222-8333-44445555aaaa
    local slice=kubepods.slice/kubepods-pod${uid//-/_}.slice
    local other=kubepods.slice/kubepods-pod9e1f0c7a_1111_4222_8333_44445555aaab.slice
    begin_case
    make_cgroup "$slice/cri-containerd-$(printf 'a%.0s' {1..64}).scope"
    make_cgroup "$other/cri-containerd-$(printf 'b%.0s' {1..64}).scope"
    start_alien "$other/cri-containerd-$(printf 'b%.0s' {1..64}).scope"
    start_agent --pod "$uid"
    run_kin "$slice/cri-containerd-$(printf 'a%.0s' {1..64}).scope" 2
    make_cgroup "$slice/cri-containerd-$(printf 'c%.0s' {1..64}).scope"
    run_kin "$slice/cri-containerd-$(printf 'c%.0s' {1..64}).scope" 2
    stop "$agent_pid"
    end_case
    judge --pod
}

# ---- who is moved into the target while it runs

moved_case() {
    begin_case
    make_cgroup moved
    start_alien ""
    start_agent --cgroup "$hierarchy/$top/moved"
    "$kin" 4 0.02 >"$dir/truth" &
    local kin_pid=$!
    sleep 1
    echo "$kin_pid" >"$hierarchy/$top/moved/cgroup.procs"
    local before
    before=$(awk '{ print $14 + $15 + $16 + $17 }' "/proc/$kin_pid/stat")
    wait "$kin_pid"
    # Of what its first thread and those made later use; the early child stays outside.
    stop "$agent_pid"
    end_case
    check "a process moved into the cgroup is sampled from then on, with names" named burn_first burn_thread burn_child
    check "and not before" holds "$(count_folded "$dir/folded") <= 107 * $(awk '$1 == "cpu" { print $2 }' "$dir/truth") - $before"
    # One that came with it and was gone before its first sample was read has no name.
    check "nothing else is sampled" nothing_else '\[unknown\]'
}

# ---- what cannot be

refused() { # sentence, pattern, flags...
    local sentence=$1 pattern=$2
    shift 2
    timeout 20 "$build/podflamed" --server '' --state-dir "$dir/refused.state" --metrics-listen '' --duration 1s "$@" \
        >/dev/null 2>"$dir/refused"
    local rc=$?
    check "refuses $sentence" explains $rc "$pattern"
}
explains() { # exit code, pattern
    equal "$1" 1 && equal "$(grep -c ' error: ' "$dir/refused")" 1 && matches "$dir/refused" "error: .*$2"
}
errors() {
    local nobody
    nobody=$(sh -c 'echo $$')
    refused "two targets" 'exclude each other' --pid 1 --cgroup /x
    refused "a sidecar with a target" 'exclude each other' --sidecar --pod 0b5a1c4e-7d1f-4c58-9a53-3f1c2e4d5b6a
    refused "a pid that is no number" '"1x" is no process.s number' --pid 1x
    refused "pid 0" '"0" is no process.s number' --pid 0
    refused "a process that is not there" "there is no process $nobody" --pid "$nobody"
    refused "a cgroup that is not there" 'there is no cgroup /nowhere.* below /' --cgroup "/nowhere.$$"
    refused "a path that leads up" 'no path below a cgroup hierarchy' --cgroup /a/../../etc
    refused "a container without an id" 'is no container.s id' --container containerd://
    refused "a pod that is neither name nor uid" 'neither NAMESPACE/NAME nor a pod.s uid' --pod web
    refused "a target of a replay" 'takes no target' --replay "$dir/x" --pid 1
    refused "--sidecar where there is no pod" 'this is no pod: the pid namespace is the machine' --sidecar
    [ -z "$(command -v setpriv)" ] || as_nobody
}
as_nobody() {
    chmod 755 "$dir"
    install -d -o nobody "$dir/nobody"
    cp "$build/podflamed" "$dir/podflamed"
    local paranoid
    paranoid=$(cat /proc/sys/kernel/perf_event_paranoid)
    setpriv --reuid=nobody --regid=nogroup --clear-groups "$dir/podflamed" --server '' --state-dir "$dir/nobody" \
        --metrics-listen '' --duration 1s --pid 1 >/dev/null 2>"$dir/refused"
    check "refuses another user's process, and says what is missing" explains $? \
        "--pid: process 1: perf_event_open is refused \(EACCES\): kernel.perf_event_paranoid is $paranoid"
    setpriv --reuid=nobody --regid=nogroup --clear-groups "$dir/podflamed" --server '' --state-dir "$dir/nobody" \
        --metrics-listen '' --duration 1s --cgroup "/$top" >/dev/null 2>"$dir/refused"
    check "refuses a cgroup without CAP_PERFMON, and says so" explains $? 'CAP_PERFMON is missing'
}

pid_case
busy_case
cgroup_case
deep_case
container_case
pod_case
moved_case
errors
finish
