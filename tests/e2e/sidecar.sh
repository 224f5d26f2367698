#!/usr/bin/env bash
# sidecar.sh: podflamed --sidecar in real pods under containerd's RuntimeDefault: what it samples, and what it
# says it cannot see, with both capabilities, without any as the application's user, and as another.
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
# shellcheck source=tests/e2e/containerd.sh
. "${top_srcdir:?}/tests/e2e/containerd.sh"

me=$$
begin podflamed podflame-server tests/workloads/family tests/workloads/split
need_root
need_containerd
test_cleanup() { stop_containerd; }

mkdir "$dir/bin"
cp "$workloads/family" "$dir/bin/kin.$me"
cp "$workloads/split" "$dir/bin/late.$me"
cp "$workloads/split" "$dir/bin/alien.$me"
start_server
start_containerd "$build/podflamed" "$dir"/bin/*

give_both='securityContext: \{capabilities: \{add: \[PERFMON, SYS_PTRACE\]\}\}'
user=1000

# begin_pod CASE: a pod that shares its processes, with an application that waits for $out/go.
begin_pod() {
    name=$1 out=$dir/out.$1
    mkdir "$out"
    chmod 777 "$out"
    uid=$(printf '5b2f8a2e-6c3d-4a0e-9a57-%012d' $((++pods)))
    pod=$(run_pod "$name" shop "$uid") || bail "no pod"
    run_container "$pod" app "{\"user\": $user, \"mounts\": {\"/out\": \"$out\"}}" /bin/sh -c \
        "until [ -e /out/go ]; do sleep 0.05; done; exec /kin.$me 4 1.5 >/out/truth" >/dev/null || bail "no container"
}
pods=0

# start_sidecar SPEC WORDS: its log is $out/log; WORDS say that it is ready.
start_sidecar() {
    local env="\"PODFLAME_NAMESPACE\": \"shop\", \"PODFLAME_POD_NAME\": \"$name\", \"PODFLAME_POD_UID\": \"$uid\", \"PODFLAME_NODE_NAME\": \"node-of-$name\""
    sidecar=$(run_container "$pod" podflamed "${1%\}}, \"mounts\": {\"/out\": \"$out\"${mounts:-}}, \"env\": {$env}}" /bin/sh -c \
        "exec /podflamed --sidecar --server $server --state-dir /out/state --metrics-listen 127.0.0.1:0 2>/out/log") || bail "no container"
    wait_until 20 grep -Eq "$2" "$out/log" || { show "$out/log"; bail "the sidecar did not start"; }
}
run_app() {
    touch "$out/go"
    wait_until 60 grep -q '^cpu' "$out/truth" || bail "the application did not end"
}
# A container of the pod that starts with work to do.
run_late() { # user
    run_container "$pod" late "{\"user\": $1, \"mounts\": {\"/out\": \"$out\"}}" /bin/sh -c \
        "/late.$me 3 >/out/late; echo done >/out/late.done" >/dev/null || bail "no container"
    wait_until 60 test -e "$out/late.done" || bail "the late container did not end"
}
end_sidecar() {
    cri stop "$sidecar" 20
    folded "node=node-of-$name" >"$dir/folded" || bail "the server did not answer"
}

share() { # least percentage of what the application used
    awk -v least="$1" -v kin="^kin[.]$me(;|\\\\[)" 'NR == FNR { if ($1 == "cpu") wanted += $2 * 100; next }
        $0 ~ kin { n += $NF }
        END {
            printf "%d samples of 10 ms, %.2f s of CPU: %.1f %%\n", n, wanted / 100, 100 * n / wanted
            exit !(wanted > 100 && n >= least / 100 * wanted && n < 1.07 * wanted)
        }' "$out/truth" "$dir/folded"
}
# It used a CPU for 3 s, in the first of which it has to be seen.
late() {
    awk -v late="^late[.]$me(;|\\\\[)" '$0 ~ late { n += $NF } END { printf "%d samples\n", n; exit !(n >= 190 && n < 320) }' "$dir/folded"
}
only() { # process...
    local pattern
    pattern=$(IFS='|' && echo "$*")
    holds "$(count_folded "$dir/folded") > 0" || return
    equal "$(grep -Ev "^($pattern)(;|\\[| )" "$dir/folded" | head -n 3)" ""
}
# Processes of the pod itself, and what becomes them: busybox, and runc (exe, as podflamed's own that read DWARF).
mine=("kin[.]$me" "late[.]$me" podflamed sh sleep sampler busybox exe symbol-worker 'runc.*')

alien_pod=$(run_pod alien shop 5b2f8a2e-6c3d-4a0e-9a57-0c1de1f0aa01) || bail "no pod"
run_container "$alien_pod" alien "{\"user\": $user}" "/alien.$me" 1000 >/dev/null || bail "no container"

# ---- both capabilities and no other

both() {
    begin_pod both
    start_sidecar '{"user": 0, "drop": ["ALL"], "add": ["PERFMON", "SYS_PTRACE"]}' 'sampling cpus='
    run_app
    run_late 1001
    end_sidecar
    check "with both capabilities it says that it samples all" matches "$out/log" 'sidecar samples all processes that it sees count=[3-9]'
    check "and misses nothing" equal "$(grep -Ec 'CAP_PERFMON|CAP_SYS_PTRACE|EPERM|EACCES' "$out/log")" 0
    check "at least 95 % of the application's time is sampled, once" share 95
    check "a container that starts later is adopted within a second" late
    check "with the kernel" holds "$(count_folded "$dir/folded" ';read_zero;.*_\[k\]') > 20"
    check "and with names" holds "$(count_folded "$dir/folded" ";burn_child;burn(;| )") > 20 && $(count_folded "$dir/folded" ';hot_loop') > 100"
    check "nothing else is sampled" only "${mine[@]}"
    folded "node=node-of-$name" namespace=shop "pod=$name" "pod_uid=$uid" >"$dir/own" || bail "the server did not answer"
    check "all of it is the pod's own, as the downward API has it" equal "$(count_folded "$dir/own")" "$(count_folded "$dir/folded")"
    [ "$failures" = 0 ] || show "$out/log"
}

# ---- where the pod's cgroup is to be seen: the machine's hierarchy is mounted, and paths count from its root

by_cgroup() {
    begin_pod cgroup
    mounts=", \"/host\": \"$hierarchy\"" start_sidecar '{"user": 0, "drop": ["ALL"], "add": ["PERFMON", "SYS_PTRACE"]}' 'sampling cpus='
    run_app
    run_late 1001
    end_sidecar
    check "it samples the pod by its cgroup where it can" matches "$out/log" 'sidecar samples its pod by its cgroup pod_uid=5b2f8a2e'
    check "by cgroup, too, at least 95 % of the application's time is sampled, once" share 95
    check "by cgroup, too, a container that starts later is sampled" late
    check "by cgroup, too, nothing else is" only "${mine[@]}"
    [ "$failures" = 0 ] || show "$out/log"
}

# ---- none, under RuntimeDefault: seccomp

none_runtime_default() {
    begin_pod none
    start_sidecar "{\"user\": $user, \"drop\": [\"ALL\"]}" ' error: '
    check "without capabilities RuntimeDefault keeps it off: EPERM" matches "$out/log" \
        'error: --sidecar: perf_event_open is refused \(EPERM\): a seccomp filter forbids it'
    check "it says what to set" matches "$out/log" "\(EPERM\): to see all of the pod give its container $give_both"
    check "and what lets it see its own user's processes" matches "$out/log" 'seccompProfile that allows perf_event_open'
}

# ---- none, where seccomp allows it: user-only

none_same_user() {
    begin_pod same
    start_sidecar "{\"user\": $user, \"drop\": [\"ALL\"], \"seccomp\": \"Unconfined\"}" 'sampling cpus='
    run_app
    run_late $user
    end_sidecar
    check "as the application's user it says what is missing" matches "$out/log" \
        "only processes of its own user \(uid $user\), only in user code: CAP_PERFMON is missing .*$give_both"
    check "and that others' processes cannot be read" matches "$out/log" 'CAP_SYS_PTRACE is missing'
    check "and whose it does not sample" matches "$out/log" 'does not sample all .* refused=1 example_pid=1 example="sleep" example_uid=0 error=EACCES'
    # Of its user code, which is nearly all: a sample that is due in the kernel is not taken.
    check "at least 85 % of the application's time is sampled, once" share 85
    check "a container of the user that starts later is adopted" holds "$(count_folded "$dir/folded" "^late[.]$me;.*hot_loop") > 120"
    check "the kernel is not sampled" equal "$(count_folded "$dir/folded" '_\[k\]')" 0
    check "nothing else is" only "${mine[@]}"
    [ "$failures" = 0 ] || show "$out/log"
}

# ---- none, as another user

none_other_user() {
    begin_pod other
    start_sidecar '{"user": 2000, "drop": ["ALL"], "seccomp": "Unconfined"}' 'sampling cpus='
    run_app
    run_late 2000
    end_sidecar
    check "as another user it says that it does not sample them" matches "$out/log" \
        "does not sample all processes that it sees count=[0-9]+ refused=[2-9] .*error=EACCES: they are another user.s.*$give_both, or the same runAsUser"
    # They show that it samples at all.
    check "its own user's it samples" holds "$(count_folded "$dir/folded" "^late[.]$me;.*hot_loop") > 120"
    check "and nothing of the others" only "${mine[@]:1}"
    [ "$failures" = 0 ] || show "$out/log"
}

# ---- settings that are of no use

given_but_not_root() {
    begin_pod given
    start_sidecar "{\"user\": $user, \"drop\": [\"ALL\"], \"add\": [\"PERFMON\", \"SYS_PTRACE\"]}" 'sampling cpus='
    check "capabilities that only root would have: it says so" matches "$out/log" \
        'CAP_PERFMON is missing: the container was given it, but only as root \(runAsUser: 0\) a program has it'
}
not_shared() {
    begin_pod alone
    start_sidecar '{"user": 0, "add": ["PERFMON", "SYS_PTRACE"], "pid": "container"}' 'sampling cpus='
    check "without shareProcessNamespace it says that it is alone" matches "$out/log" \
        'sees only its own container.s processes: set shareProcessNamespace: true'
}

both
hierarchy=$(awk '{ for (i = 7; $i != "-"; i++); type = $(i + 1); options = $(i + 3) }
    type == "cgroup" && ("," options ",") ~ /,perf_event,/ && !v1 { v1 = $5 } type == "cgroup2" && !v2 { v2 = $5 }
    END { print v1 ? v1 : v2 }' /proc/self/mountinfo)
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    skip "it samples the pod by its cgroup where it can" "with cgroup v2 alone a container's paths count from its own cgroup"
else
    by_cgroup
fi
none_runtime_default
paranoid=$(cat /proc/sys/kernel/perf_event_paranoid)
if [ "$paranoid" = 2 ]; then
    none_same_user
    none_other_user
    given_but_not_root
else
    skip "without capabilities" "kernel.perf_event_paranoid is $paranoid, the test knows what 2 does"
fi
not_shared
[ "$failures" = 0 ] || show "$dir/containerd.log" 10
finish
