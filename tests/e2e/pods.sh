#!/usr/bin/env bash
# pods.sh: pods of a real container runtime (containerd) on this machine: the samples of each carry its
# namespace, pod and container, by the runtime's socket alone, by the log directories alone and by a
# kubelet's answer alone; what is excluded is in no batch.
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
# shellcheck source=tests/e2e/containerd.sh
. "${top_srcdir:?}/tests/e2e/containerd.sh"

begin podflamed podflame-server
need_root
need_containerd
test_cleanup() { stop_containerd; }
logs=$dir/log

# start_pod NAME NAMESPACE POD UID CONTAINER SECONDS: its program burns CPU. Leaves what run_pod says in
# $dir/NAME.pod and the container's id in $dir/NAME.id.
start_pod() {
    run_pod "$3" "$2" "$4" "$logs" >"$dir/$1.pod" &&
        run_container "$(cat "$dir/$1.pod")" "$5" '{"seccomp": "Unconfined"}' /bin/sh -c \
            "t=\$((\$(date +%s) + $6)); while [ \$(date +%s) -lt \$t ]; do i=0; while [ \$i -lt 20000 ]; do i=\$((i + 1)); done; done; exec sleep 1000" \
            >"$dir/$1.id"
}

start_containerd
# Tests run side by side, and each agent sees the whole machine.
web_uid=$(printf '5b2f8a2e-6c3d-4a0e-9a57-%012x' $$)
db_uid=$(printf '9e1f0c7a-1111-4222-8333-%012x' $$)
late_uid=$(printf '77777777-8888-4999-aaaa-%012x' $$)
start_pod web shop web-6f9968b487-nf9wh "$web_uid" main 600 || { show "$dir/containerd.log"; bail "no pod"; }
start_pod db data db-0 "$db_uid" db 600 || bail "no second pod"

# ---- each source alone

start_server
none=(--kubelet-url '' --docker-socket '' --pod-info '')
# sample NAME [flags]: samples for some seconds under that node's name, meanwhile another pod comes
# and goes.
sample() {
    local name=$1
    shift
    start_agent --node "$name" --state-dir "$dir/state-$name" --window 4s "${none[@]}" "$@"
    sleep 2
    start_pod late jobs late-1 "$late_uid" work 2 || bail "no late pod"
    sleep 2.5
    cri remove "$(cat "$dir/late.pod")"
    sleep 3
    curl -sS "${agent_metrics}" >"$dir/metrics-$name"
    stop "$agent_pid"
    note "$name: $(grep -c . "$agent_log") lines of log"
}

# of NODE [LABEL=VALUE...]: samples.
of() {
    local node=$1
    shift
    folded "node=$node" "$@" >"$dir/folded-of" || return
    count_folded "$dir/folded-of"
}

# named LEAST NODE UID CONTAINER-ID NAMESPACE POD CONTAINER: all samples of the container, so many at
# least, have the names, and no others have them.
named() {
    local least=$1
    shift
    local all named others
    all=$(of "$1" "container_id=$3")
    named=$(of "$1" "container_id=$3" "pod_uid=$2" "namespace=$4" "pod=$5" "container=$6")
    others=$(of "$1" "namespace=$4" "pod=$5" "container=$6")
    echo "$named of $all samples, $others with these names"
    [ "$all" -ge "$least" ] && [ "$named" = "$all" ] && [ "$others" = "$all" ]
}
id_of() { cat "$dir/$1.id"; }
up() { matches "$dir/metrics-$1" "^podflamed_source_up\{source=\"$2\"\} 1"; }

sample by-cri --cri-socket "$containerd_socket" --pod-logs ''
check "the runtime's socket answers" up by-cri cri
check "by it a pod's samples have its names" named 20 by-cri "$web_uid" "$(id_of web)" shop web-6f9968b487-nf9wh main
check "and so have another's" named 20 by-cri "$db_uid" "$(id_of db)" data db-0 db
check "a pod that came and went within seconds has its names" named 5 by-cri "$late_uid" "$(id_of late)" jobs late-1 work

sample by-logs --cri-socket '' --pod-logs "$logs"
check "the log directories are read" up by-logs log-dirs
check "by them a pod's samples have its names" named 20 by-logs "$web_uid" "$(id_of web)" shop web-6f9968b487-nf9wh main
check "and so have another's" named 20 by-logs "$db_uid" "$(id_of db)" data db-0 db
check "a pod that came and went within seconds has its names" named 5 by-logs "$late_uid" "$(id_of late)" jobs late-1 work

# ---- one pod by its name

sample by-name --cri-socket "$containerd_socket" --pod-logs '' --pod data/db-0
check "a pod that is sampled alone is found by its name" named 20 by-name "$db_uid" "$(id_of db)" data db-0 db
check "and nothing else is sampled" equal "$(of by-name)" "$(of by-name pod_uid="$db_uid")"

# ---- kubelet, over TLS; its answer is a real one's, with these pods' uids in it

if command -v openssl >/dev/null; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/key.pem" -out "$dir/cert.pem" -days 2 \
        -subj /CN=node-1 -addext subjectAltName=DNS:node-1 2>"$dir/openssl.log" || bail "no certificate: $(cat "$dir/openssl.log")"
    echo "right-$$" >"$dir/token"
    echo "wrong-$$" >"$dir/wrong"
    node "$e2e/kubelet.mjs" "$top_srcdir/tests/golden/k8s/kubelet-pods.json" "$dir/cert.pem" "$dir/key.pem" "right-$$" \
        "shop/web-6f9968b487-nf9wh/main=$web_uid/$(id_of web)" "data/db-0/db=$db_uid/$(id_of db)" >"$dir/port" 2>"$dir/kubelet.log" &
    kit_pids+=($!)
    wait_until 30 test -s "$dir/port" || { show "$dir/kubelet.log"; bail "no kubelet"; }
    kubelet=(--cri-socket '' --pod-logs '' --kubelet-url "https://127.0.0.1:$(cat "$dir/port")" --kubelet-ca "$dir/cert.pem"
        --kubelet-server-name node-1)
    none=(--docker-socket '' --pod-info '')
    sample by-kubelet "${kubelet[@]}" --kubelet-token "$dir/token"
    check "kubelet answers" up by-kubelet kubelet
    check "by it a pod's samples have its names" named 20 by-kubelet "$web_uid" "$(id_of web)" shop web-6f9968b487-nf9wh main
    check "and so have another's" named 20 by-kubelet "$db_uid" "$(id_of db)" data db-0 db
    of_workload() { equal "$(of by-kubelet "container_id=$(id_of "$1")" "workload=$2")" "$(of by-kubelet "container_id=$(id_of "$1")")"; }
    check "the pod of a Deployment says so" of_workload web Deployment/web
    check "and that of a StatefulSet" of_workload db StatefulSet/db
    curl -sS --fail-with-body --max-time 60 -G "$server/api/v1/pods/shop/web-6f9968b487-nf9wh" --data-urlencode start=-1h \
        --data-urlencode node=by-kubelet >"$dir/pod.json"
    tells() { matches "$dir/pod.json" "$1"; }
    check "of a pod the server tells its workload, node, IP, phase and start without an API server" tells \
        "\"uids\":\\[\"$web_uid\"\\],\"workload\":\"Deployment/web\",\"node\":\"by-kubelet\",\"ip\":\"10.254.79.6\",\"phase\":\"Running\",\"started_ms\":1795339514000,"
    check "and who says so" tells '"known_by":\["agents","samples"\]'
    check "and its labels" tells '"labels":\{"app":"web","app.kubernetes.io/name":"web","app.kubernetes.io/version":"1.4","pod-template-hash":"6f9968b487","tier":"frontend"\}'
    check "and its container's image and state" tells \
        "\{\"container\":\"main\",\"id\":\"$(id_of web)\",\"kind\":\"app\",\"state\":\"running\",\"image\":\"localhost/busybox:1\",\"restarts\":0,\"started_ms\":1795339518000,"
    sample refused "${kubelet[@]}" --kubelet-token "$dir/wrong"
    check "with a wrong token it is told why" matches "$dir/metrics-refused" 'podflamed_source_state_seconds\{source="kubelet",state="failing".*401'
    check "and samples go on" holds "$(of refused "pod_uid=$web_uid") > 20"
    none=(--kubelet-url '' --docker-socket '' --pod-info '')
else
    skip "kubelet answers" "openssl is not installed"
fi

# ---- what is not to be kept

total() { sed -n "s/^podflamed_$2_total //p" "$dir/metrics-$1"; }
sample excluding --usage-interval 1s --cri-socket "$containerd_socket" --pod-logs '' --exclude 'namespace=data;label.app=late'
check "of pods excluded by name or label nothing is kept" equal "$(of excluding "pod_uid=$db_uid") $(of excluding "pod_uid=$late_uid")" "0 0"
check "of others all is" named 20 excluding "$web_uid" "$(id_of web)" shop web-6f9968b487-nf9wh main
check "what is left out is counted" holds "$(total excluding samples_excluded) > 20"
usage_of() { # LABEL=VALUE...: how many series
    local args=()
    for pair; do args+=(--data-urlencode "$pair"); done
    curl -sS --fail-with-body --max-time 60 -G "$server/api/v1/usage" --data-urlencode start=-1h --data-urlencode node=excluding "${args[@]}" |
        grep -o '"cgroup":"' | wc -l
}
check "what a container uses has its pod's names" equal \
    "$(usage_of "container_id=$(id_of web)" namespace=shop pod=web-6f9968b487-nf9wh container=main "pod_uid=$web_uid")" 1
check "and what those use that are left out is not kept" equal "$(usage_of "pod_uid=$db_uid") $(usage_of "container_id=$(id_of db)")" "0 0"

sample including --cri-socket '' --pod-logs "$logs" --include 'namespace=shop,pod=web-*'
check "what is included is kept" named 20 including "$web_uid" "$(id_of web)" shop web-6f9968b487-nf9wh main
check "and nothing else" equal "$(of including)" "$(of including "pod_uid=$web_uid")"

sample unlabelled --cri-socket '' --pod-logs "$logs" --exclude 'label.app=none'
check "where labels are not known, no pod is kept that has to be told by them" equal "$(of unlabelled namespace=shop)" 0
check "and that is counted" holds "$(total unlabelled samples_unidentified) > 20"
[ "$failures" = 0 ] || { show "$agent_log"; show "$dir/containerd.log"; }
finish
