#!/usr/bin/env bash
# down.sh: undoes what up.sh has done, however far it came and whatever of it was killed since: pods, daemons,
# mounts, cgroups, directories, settings of the kernel. What it could not is named, and exit code 1.
set -u
# shellcheck source=tests/kube/lib.sh
. "$(dirname "$0")/lib.sh"
[ -d "$run" ] || exit 0
[ -z "$(foreign_kubelet)" ] || { echo "another kubelet runs here: nothing is undone; see $run" >&2; exit 1; }

stop_daemon kubelet # first: it would start the pods anew
! is_up containerd || timeout 120 node "$here/../e2e/cri.mjs" "$socket" remove-all
for daemon in kube-scheduler kube-controller-manager kube-apiserver etcd containerd; do stop_daemon "$daemon"; done

# What is left would start others: twice. A shim's children are its containers.
for _ in 1 2; do
    for left in $(processes); do
        # shellcheck disable=SC2046 # several
        kill -KILL $(! grep -q '^containerd-shim' "/proc/$left/comm" || cat /proc/"$left"/task/*/children) "$left"
    done 2>/dev/null
    [ -z "$(processes)" ] || sleep 0.5
done
for _ in 1 2 3; do
    mounts_of_run | sort -r | while read -r mounted; do umount -l "$mounted" 2>/dev/null; done
done
for _ in $(seq 50); do
    [ -n "$(kubepods)" ] || break
    # shellcheck disable=SC2046 # several
    find $(kubepods) -depth -type d -exec rmdir {} + 2>/dev/null
    sleep 0.1
done
# What killed shims leave behind, and a network's plug-in that nobody called any more.
for bundle in "$run"/containerd-state/io.containerd.runtime.v2.task/k8s.io/*/; do
    [ -f "$bundle/address" ] || continue
    shim_socket=$(cat "$bundle/address")
    rm -rf "${shim_socket#unix://}" "/run/containerd/runc/k8s.io/$(basename "$bundle")"
done
for result in "/var/lib/cni/results/$cni_network-"*-eth0; do
    [ -f "$result" ] || continue
    id=${result##*/"$cni_network"-}
    rm -f "$result" "/var/lib/cni/results/cni-loopback-${id%-eth0}-lo"
done
if [ -f "$run/before" ] && ! grep -qx "boot $(this_boot)" "$run/before"; then
    # Directories and settings may be somebody else's by now.
    echo "the machine has been started again since: look at what $run/before lists, then remove $run" >&2
    exit 1
elif [ -f "$run/before" ]; then
    put_sysctls_back
    awk '$1 == "absent" { print $2 }' "$run/before" | while read -r made; do rm -rf --one-file-system "$made"; done
fi
left=$(processes; mounts_of_run; kubepods)
[ -z "$left" ] || { echo "left behind: $left" >&2; exit 1; }
rm -rf --one-file-system "$run"
