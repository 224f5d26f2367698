#!/usr/bin/env bash
# node.sh: a node of its own under systemd-nspawn, whose runtime has systemd make the cgroups: seen from
# the machine around it, the samples of its pods carry their names, those of its services their units.
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
# shellcheck source=tests/e2e/containerd.sh
. "${top_srcdir:?}/tests/e2e/containerd.sh"

begin podflamed podflame-server tests/workloads/split
need_root
need_containerd
for program in systemd-nspawn nsenter findmnt; do
    command -v "$program" >/dev/null || skip_all "$program is not installed (Debian: systemd-container util-linux)"
done
[ -x /lib/systemd/systemd ] || skip_all "systemd is not installed"
unified=$(findmnt -rno TARGET -t cgroup2 | head -n 1)
[ -n "$unified" ] || skip_all "no unified cgroup hierarchy is mounted"
me=$$
own=$unified/podflame-e2e.$me
slice=podflame$me # as a kubelet's with --cgroup-root, which goes before kubepods

test_cleanup() {
    # In order first; the end of its first process is the end of all.
    [ -z "${nspawn_pid:-}" ] || { kill -TERM "$nspawn_pid" && wait_until 20 is_gone "$nspawn_pid"; } || kill -KILL "$leader" "$nspawn_pid"
    local tries=100 left
    while [ $((tries--)) -gt 0 ]; do
        left=$(find /sys/fs/cgroup -maxdepth 2 \( -name "$slice.slice" -o -name "${own##*/}" \) -type d)
        [ -n "$left" ] || break
        # shellcheck disable=SC2086 # several
        find $left -depth -type d -exec rmdir {} +
        sleep 0.1
    done
    umount -l "$dir/root"
} 2>/dev/null

# ---- the node: this machine's own files, with nothing written to them

in_node() { nsenter -t "$leader" -a "$@"; }
node_is_up() {
    leader=$(pgrep -P "$nspawn_pid" | head -n 1)
    [ -n "$leader" ] && in_node systemctl is-system-running | grep -qE 'running|degraded'
}
start_node() {
    mkdir "$dir/root" "$own"
    mount --bind / "$dir/root"
    local masked=() unit
    # What else this machine starts by itself.
    for unit in containerd.service docker.service docker.socket postgresql.service; do masked+=("systemd.mask=$unit"); done
    (
        echo "$BASHPID" >"$own/cgroup.procs"
        exec systemd-nspawn -q -D "$dir/root" --volatile=overlay --register=no --keep-unit --machine="podflame-$me" \
            --capability=all --system-call-filter='@keyring bpf' --private-network --bind="$dir" \
            -b systemd.unit=multi-user.target "${masked[@]}" </dev/null >"$dir/boot.log" 2>&1
    ) &
    nspawn_pid=$!
    wait_until 60 node_is_up || { show "$dir/boot.log"; bail "the node did not start"; }
    # The controllers' own hierarchies, where they have some, are there to be read only.
    local mounted
    for mounted in $(in_node findmnt -rno TARGET -t cgroup); do in_node mount -o remount,rw,bind "$mounted"; done
}
start_node
run_containerd() { in_node systemd-run -q --unit=node-runtime --property=Delegate=yes containerd -c "$1"; }
containerd_options='  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = true'
start_containerd "$workloads/split"

# start_pod NAME NAMESPACE UID CONTAINER: a program of its own burns CPU.
start_pod() {
    local parent
    parent=$(cri pod "$1" "$2" "$3" "$slice-kubepods-burstable-pod${3//-/_}.slice" "$dir/log") || return
    run_container "$parent" "$4" '{"seccomp": "Unconfined"}' /bin/sh -c "/bin/busybox ln -s /split /$1.$me; exec /$1.$me 1000"
}
web_uid=$(printf '5b2f8a2e-6c3d-4a0e-9a57-%012x' "$me")
db_uid=$(printf '9e1f0c7a-1111-4222-8333-%012x' "$me")
web=$(start_pod web-0 shop "$web_uid" main) || { in_node journalctl -u node-runtime | tail -n 5; bail "no pod"; }
db=$(start_pod db-0 data "$db_uid" db) || bail "no second pod"
cp "$workloads/split" "$dir/service.$me"
in_node systemd-run -q --unit=catalog "$dir/service.$me" 1000

# ---- what is seen of it from outside

start_server
sample() { # the node's name in the data, flags...
    local name=$1
    shift
    start_agent --node "$name" --state-dir "$dir/state-$name" --window 5s --kubelet-url '' --docker-socket '' --pod-info '' "$@"
    sleep 6
    stop "$agent_pid"
}
# All samples of PROCESS have what is said of them, and there are some.
all_have() { # node, process, LABEL=VALUE...
    local node=$1 process=$2 all
    shift 2
    folded "node=$node" "process=$process" >"$dir/folded" || return
    all=$(count_folded "$dir/folded")
    folded "node=$node" "process=$process" "$@" >"$dir/folded" || return
    echo "$(count_folded "$dir/folded") of $all samples"
    [ "$all" -ge 20 ] && [ "$(count_folded "$dir/folded")" = "$all" ]
}
by() { # node
    check "$1: a pod's samples have its names" all_have "$1" "web-0.$me" namespace=shop pod=web-0 container=main \
        "pod_uid=$web_uid" "container_id=$web" runtime=containerd
    check "$1: and so have another's" all_have "$1" "db-0.$me" namespace=data pod=db-0 container=db "pod_uid=$db_uid" "container_id=$db"
}
sample runtime --cri-socket "$containerd_socket" --pod-logs ''
by runtime
sample logs --cri-socket '' --pod-logs "$dir/log"
by logs
check "a service of the node has its unit" all_have logs "service.$me" unit=catalog.service
[ "$failures" = 0 ] || { show "$agent_log"; in_node journalctl -u node-runtime --no-pager | tail -n 20; }
finish
