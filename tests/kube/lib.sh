# shellcheck shell=bash disable=SC2034
# lib.sh: what build.sh, up.sh, down.sh and kube.sh share. All they make is in the store; what up.sh
# changes elsewhere is written down in run/before, from which down.sh puts it back.
#   PODFLAME_KUBE   the store; by default podflame-kube in XDG_CACHE_HOME, or in /var/cache

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
store=${PODFLAME_KUBE:-${XDG_CACHE_HOME:-/var/cache}/podflame-kube}
kube_programs=(kube-apiserver kubelet kube-controller-manager kube-scheduler kubectl)
run=$store/run
node_name=node-1 # not the host's name, as on many real nodes
api=https://127.0.0.1:6443
kubelet=https://127.0.0.1:10250
socket=$run/containerd.sock
cni_network=podflame-kube
PATH=/usr/sbin:/sbin:$PATH

kubectl() { "$store/bin/kubectl" --kubeconfig "$run/admin.conf" "$@"; }
cri() { node "$here/../e2e/cri.mjs" "$socket" "$@"; }

say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

# ---- daemons, by recorded pid and time of start, so that a pid that is another's now is told apart

started_at() { awk '{ sub(/.*\) /, ""); print $20 }' "/proc/$1/stat" 2>/dev/null; }
is_up() { # name
    local pid at
    [ -f "$run/pid/$1" ] && read -r pid at <"$run/pid/$1" || return 1
    [ -n "$at" ] && [ "$(started_at "$pid")" = "$at" ] && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null
}
start_daemon() { # name, command...
    local name=$1
    shift
    setsid "$@" </dev/null >>"$run/log/$name.log" 2>&1 &
    echo "$! $(started_at $!)" >"$run/pid/$name"
    disown $!
}
stop_daemon() { # name
    local pid tries=100
    if is_up "$1"; then
        read -r pid _ <"$run/pid/$1"
        kill "$pid"
        while is_up "$1" && [ $((tries--)) -gt 0 ]; do sleep 0.1; done
        ! is_up "$1" || kill -KILL "$pid"
    fi
    rm -f "$run/pid/$1"
}

await() { # seconds, what, command...
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || { echo "waited in vain: $what; see $run/log" >&2; return 1; }
        sleep 0.3
    done
    say "$what"
}

# ---- what is on the machine besides the store

kubepods() { find /sys/fs/cgroup -maxdepth 2 -type d -name kubepods; }
mounts_of_run() { awk -v below="$run/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo; }
# All daemons, of which up.sh may have been killed before it wrote the pid down, and containerd's shims, which
# outlive it: each names a file of the store.
processes() {
    grep -lszF -e "$run/" /proc/[0-9]*/cmdline | cut -d/ -f3 | while read -r pid; do
        ! grep -Eqs '^(etcd|kube|containerd)' "/proc/$pid/comm" || echo "$pid"
    done
}
# Of another node than ours: nothing of it is touched.
foreign_kubelet() { pgrep -x kubelet | while read -r pid; do grep -qszF -e "$run/" "/proc/$pid/cmdline" || echo "$pid"; done; }
this_boot() { cat /proc/sys/kernel/random/boot_id; }
# kubelet and a plug-in of the network set these, whatever their settings are.
sysctls=(vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys
    kernel/keys/root_maxbytes net/ipv4/ip_forward)
put_sysctls_back() {
    local what key value
    while read -r what key value; do
        [ "$what" != sysctl ] || [ "$(cat "/proc/sys/$key")" = "$value" ] || echo "$value" >"/proc/sys/$key"
    done <"$run/before"
}
