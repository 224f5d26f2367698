#!/usr/bin/env bash
# pod_churn.sh: 50 pods start and stop at random within a minute; nearly all of their samples carry the
# right pod's name, and none a wrong one, by the container runtime's socket and by the log directories.
#   CHURN_SECONDS=60
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
# shellcheck source=tests/e2e/containerd.sh
. "${top_srcdir:?}/tests/e2e/containerd.sh"
begin podflamed podflame-server
need_root
need_containerd
test_cleanup() { stop_containerd; }
start_containerd
start_server
logs=$dir/log
none=(--kubelet-url '' --docker-socket '' --pod-info '') # who is never asked

# Each pod's program calls its thread like the pod: how many samples it has, how many of them have the
# name as a label, and how many another pod's.
churn_of() { # NODE
    folded "node=$1" group=pod,thread >"$dir/churn" || return
    awk -F ';' '
        $2 ~ /^churn-[0-9]+$/ { n = split($0, words, " "); all += words[n]; if ($1 == $2) right += words[n]; else if ($1 ~ /^churn-/) wrong += words[n] }
        END { print all + 0, right + 0, wrong + 0 }' "$dir/churn"
}
are_named() { # NODE
    read -r all right wrong < <(churn_of "$1")
    echo "$all samples, $right with the name of their pod, $wrong with another's"
    [ "$all" -ge 500 ] && holds "$right >= $all * 0.995"
}
none_is_wrong() { # NODE
    read -r all right wrong < <(churn_of "$1")
    [ "$all" -gt 0 ] && equal "$wrong" 0
}
churn() { # NODE [flags]
    local node=$1
    shift
    start_agent --node "$node" --state-dir "$dir/state-$node" --window 5s "${none[@]}" "$@"
    cri churn 50 "${CHURN_SECONDS:-60}" "/$containerd_top/kubepods/burstable" "$logs" "$containerd_image" ||
        bail "the pods did not run"
    sleep 1
    stop "$agent_pid"
    check "$node: 99.5 % of the pods' samples have their names" are_named "$node"
    check "$node: none has another pod's" none_is_wrong "$node"
    [ "$failures" = 0 ] || show "$agent_log"
}
churn by-socket --cri-socket "$containerd_socket" --pod-logs ''
churn by-logs --cri-socket '' --pod-logs "$logs"
finish
