#!/usr/bin/env bash
# kube.sh: podflamed on a whole real Kubernetes node, which this test brings up and takes away again: what
# the samples of its containers carry by kubelet, by the runtime's socket and by the log directories, each
# alone; and what podflame-server adds by the API server. `make kube-test` calls it after build.sh.
#   KEEP_NODE=1   leaves the node running; down.sh takes it away
# shellcheck source=tests/e2e/kit.sh disable=SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
# shellcheck source=tests/kube/lib.sh
. "${top_srcdir:?}/tests/kube/lib.sh"

begin podflamed podflame-server
need_root
for program in "${kube_programs[@]}"; do
    [ -x "$store/bin/$program" ] || skip_all "there is no $store/bin/$program; build.sh makes it"
done
for program in etcd containerd ctr runc busybox openssl ip curl node; do
    command -v "$program" >/dev/null ||
        skip_all "$program is not installed (Debian: etcd-server containerd runc containernetworking-plugins busybox-static openssl iproute2 curl nodejs)"
done

# ---- the node; before it, what an earlier one left that was killed

what_is_there() {
    kubepods
    mounts_of_run
    processes
    ls -d /var/log/pods /var/log/containers /var/lib/kubelet /var/lib/cni 2>/dev/null
    ls /var/lib/cni/results 2>/dev/null
    ip -o link | awk -F': ' '{ print $2 }' | grep '^veth'
    for key in "${sysctls[@]}"; do echo "$key $(cat "/proc/sys/$key")"; done
}
"$here/down.sh" || bail "an earlier node is in the way"
for there in /var/log/pods /var/log/containers /var/lib/kubelet $(kubepods); do
    [ ! -e "$there" ] || skip_all "$there: this machine is a node already"
done
for port in 2379 2380 6443 10248 10250; do
    ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || skip_all "something listens on port $port"
done
what_is_there >"$dir/before"
test_cleanup() { [ -n "${KEEP_NODE:-}" ] || "$here/down.sh"; }
"$here/up.sh" >"$dir/up.log" 2>&1 || { show "$dir/up.log"; bail "the node did not come up"; }
sed 's/^/# /' "$dir/up.log"

token() { # account
    kubectl create --raw "/api/v1/namespaces/ops/serviceaccounts/$1/token" -f - <<J | sed -n 's/.*"token":"\([^"]*\)".*/\1/p'
{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
J
}
for account in podflamed podflame-server nobody; do
    (umask 077 && token "$account" >"$dir/$account.token")
    [ -s "$dir/$account.token" ] || bail "no token for $account"
done

# Objects of all kinds, as kubectl tells them; what it told of containers is added to what it told before.
look() {
    kubectl get -A -o json namespaces,pods,services,deployments,statefulsets,daemonsets,replicasets,cronjobs,jobs >"$dir/objects.json" &&
        node "$here/told.mjs" containers "$dir/objects.json" >"$dir/now" && cat "$dir/now" >>"$dir/told"
}
# id_of STATE NAMESPACE POD CONTAINER: of the last look.
id_of() { awk -F'\t' -v state="$1" -v name="$2/$3/$4" '$7 == state && $2 "/" $3 "/" $4 == name { print $1; exit }' "$dir/now"; }
runs() { look && [ -n "$(id_of running "$@")" ]; }
run_one() { # name, init command, command
    kubectl apply -f - <<Y >>"$dir/kubectl.log"
apiVersion: v1
kind: Pod
metadata: {name: $1, namespace: ops, labels: {run: $1}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  initContainers:
  - {name: prepare, image: "localhost/busybox:1", imagePullPolicy: Never, command: [/bin/sh, -c, "$2"]}
  containers:
  - {name: main, image: "localhost/busybox:1", imagePullPolicy: Never, command: [/bin/sh, -c, "$3"]}
Y
}

# ---- agents

# agent NAME [flags]: one that asks nobody but whom the flags say, and a server of its own: what one has of a
# pod, also of other nodes, completes all samples of it.
agents=()
declare -A metrics_of server_of server_pid_of server_address_of
agent() {
    local name=$1 dir=$dir/$1 server_address=
    shift
    mkdir "$dir"
    serve "$name"
    start_agent --node "$name" --window 5s --kubelet-url '' --cri-socket '' --docker-socket '' --pod-logs '' --pod-info '' "$@"
    agents+=("$agent_pid")
    metrics_of[$name]=$agent_metrics
}
serve() { # name, flags
    local name=$1
    shift
    start_server "$@"
    server_of[$name]=$server server_pid_of[$name]=$server_pid server_address_of[$name]=$server_address
}
ask() { curl -sS --max-time 10 "${metrics_of[$1]}"; }
stop_agents() {
    local pid
    for pid in "${agents[@]}"; do stop "$pid"; done
    agents=()
}
ask_kubelet=(--kubelet-url "$kubelet" --kubelet-ca "$run/pki/ca.crt")
by_kubelet=("${ask_kubelet[@]}" --kubelet-token "$dir/podflamed.token")

agent kubelet "${by_kubelet[@]}"
agent cri --cri-socket "$socket"
agent logs --pod-logs /var/log
labels='label.tier=frontend;label.app=db;label.component=proxy;label.app=report;label.app=cache'
agent labels-kubelet "${by_kubelet[@]}" --include "$labels"
agent labels-cri --cri-socket "$socket" --exclude "$labels"
look || bail "kubectl does not answer"
cp "$dir/now" "$dir/first"
sleep 6

# ---- what happens meanwhile; each container's id is kubectl's, at a time when it ran

killed=$(id_of running ops bare main)
# shellcheck disable=SC2046 # several
kill -KILL $(find /sys/fs/cgroup -path "*/kubepods/*/$killed/cgroup.procs" -exec cat {} + | sort -u)
is_restarted() { runs ops bare main && [ "$(id_of running ops bare main)" != "$killed" ]; }
check "a container that is killed is started again, under another id" wait_until 60 is_restarted
restarted=$(id_of running ops bare main)

kubectl -n ops debug bare --image=localhost/busybox:1 --image-pull-policy=Never -c debugger --attach=false -- /app/busy >>"$dir/kubectl.log"
check "an ephemeral container is started" wait_until 60 runs ops bare debugger
ephemeral=$(id_of running ops bare debugger)

# shellcheck disable=SC2016 # the container's
run_one slow 'for j in 1 2 3 4 5 6 7 8; do i=0; while [ $i -lt 40000 ]; do i=$((i + 1)); done; sleep .5; done' 'exec /app/busy'
check "an init container runs" wait_until 60 runs ops slow prepare
init=$(id_of running ops slow prepare)

run_one brief ':' 'exec /app/busy'
check "a pod runs that is deleted soon" wait_until 60 runs ops brief main
brief=$(id_of running ops brief main)
sleep 1.5
kubectl -n ops delete pod brief --grace-period=1 >>"$dir/kubectl.log"
is_deleted() { look && ! grep -qF "$brief" "$dir/now"; }
check "and is gone" wait_until 30 is_deleted
check "after the init container comes the pod's own" wait_until 60 runs ops slow main
sleep 4
look

declare -A shown
for name in kubelet cri logs labels-kubelet labels-cri; do
    shown[$name]=$(ask $name)
done
stop_agents

# ---- what the samples carry

# rows NODE: containers of samples, and under which names.
rows() {
    server=${server_of[$1]} folded group=container_id,namespace,pod,container,workload,pod_uid >"$dir/rows-$1" || return
    awk -F';' '{ match($0, / [0-9]+$/); n[$1 "\t" $2 "\t" $3 "\t" $4 "\t" $6 "\t" $5] += substr($0, RSTART + 1) }
        END { for (row in n) print row "\t" n[row] }' "$dir/rows-$1"
}
# judge NODE COLUMN: each container that kubectl told of has samples, if it ran from the first look to the last;
# and all samples of each have its names, and the workload of the column: 8 what a node knows, 9 the API server, 0 none.
judge() {
    rows "$1" >"$dir/got" || return
    sort -u -t"$(printf '\t')" -k1,1 "$dir/told" >"$dir/all-told"
    awk -F'\t' -v column="$2" '
        FILENAME ~ /first$/ { old[$1]; next }
        FILENAME ~ /now$/ { if ($7 == "running" && $1 in old) throughout[$1]; next }
        FILENAME ~ /told$/ {
            names[$1] = $2 "\t" $3 "\t" $4 "\t" $5 "\t" (column ? $column : "-")
            next
        }
        $1 in names {
            samples[$1] += $7; all += $7
            carried = $2 "\t" $3 "\t" $4 "\t" $5 "\t" $6
            if (carried == names[$1]) good += $7
            else { print $7 " samples of " names[$1] " carry " carried; wrong = 1 }
        }
        END {
            for (id in throughout) { n++; if (samples[id] < 10) { print "only " samples[id] + 0 " samples of " names[id]; wrong = 1 } }
            for (id in samples) seen++
            print good " of " all " samples, of " seen " containers, " n " of which ran throughout"
            exit wrong || n < 10
        }' "$dir/first" "$dir/now" "$dir/all-told" "$dir/got" | tr '\t' ' '
    return "${PIPESTATUS[0]}"
}
# has NODE ID LEAST: so many samples of the container, which judge() has looked at.
has() {
    local n
    n=$(rows "$1" | awk -F'\t' -v id="$2" '$1 == id && $3 != "-" { n += $7; names = $2 "/" $3 "/" $4 " " $6 } END { print n + 0, names }')
    echo "${2:0:12}: $n"
    [ "${n%% *}" -ge "$3" ]
}

for by in "kubelet:8:by kubelet with the profiler's token, the workload too" "cri:0:by the runtime's socket alone, which knows no workload" \
    "logs:0:by the log directories alone, which know none either"; do
    IFS=: read -r name column how <<<"$by"
    check "$name: every container's samples carry its names, $how" judge "$name" "$column"
    check "$name: a restarted container's, under its new id" has "$name" "$restarted" 10
    check "$name: and under the old one" has "$name" "$killed" 10
    check "$name: a static pod's" has "$name" "$(awk -F'\t' '$6 == "static" { print $1 }' "$dir/first")" 10
    check "$name: an init container's, while it runs" has "$name" "$init" 5
    check "$name: an ephemeral container's" has "$name" "$ephemeral" 10
    check "$name: a pod's that was deleted within a window" has "$name" "$brief" 3
done
awk -F'\t' '{ sub("/.*", "", $8); print $8 }' "$dir/first" | sort | uniq -c | sed 's/^/# containers at first, by kind of workload: /'

# by_labels NODE NEGATED: of which containers there are samples, beside those that kubectl selects.
by_labels() {
    local selector
    for selector in tier=frontend app=db component=proxy app=report app=cache; do
        kubectl get pods -A -l "$selector" --no-headers | awk '{ print $1 "\t" $2 }'
    done | sort -u >"$dir/selected"
    awk -F'\t' -v negated="$2" 'NR == FNR { selected[$1 "\t" $2]; next }
        $7 == "running" && (($2 "\t" $3) in selected) != negated { print $1 }' "$dir/selected" "$dir/first" | sort >"$dir/wanted-ids"
    rows "$1" | awk -F'\t' 'NR == FNR { first[$1]; next } $1 in first { print $1 }' "$dir/first" - | sort -u >"$dir/got-ids"
    echo "$(grep -c . "$dir/got-ids") containers; $(rows "$1" | awk -F'\t' '$3 == "-" { n += $7 } END { print n + 0 }') samples of no pod"
    diff "$dir/wanted-ids" "$dir/got-ids"
}
check "kubelet: with --include by labels, of the pods that kubectl selects by them, and no others" by_labels labels-kubelet 0
check "cri: with --exclude by the same, of all others" by_labels labels-cri 1
is_counted() { # node
    local n
    n=$(sed -n 's/^podflamed_samples_excluded_total //p' <<<"${shown[$1]}")
    echo "$n samples left out"
    [ "$n" -ge 20 ]
}
check "kubelet: what is left out is counted" is_counted labels-kubelet
check "cri: and here" is_counted labels-cri

# ---- tokens that kubelet does not take

echo wrong >"$dir/wrong.token"
agent wrong "${ask_kubelet[@]}" --kubelet-token "$dir/wrong.token"
agent none "${ask_kubelet[@]}"
agent nobody "${ask_kubelet[@]}" --kubelet-token "$dir/nobody.token"
fails() { # agent, error
    local status
    status=$(ask "$1")
    sed -n 's/^podflamed_source_state_seconds{.*\(state=.*\)} .*/\1/p' <<<"$status"
    grep -Eq "^podflamed_source_state_seconds\{source=\"kubelet\",state=\"failing\",error=\".*$2" <<<"$status"
}
samples_of() { ask "$1" | sed -n 's/^podflamed_samples_total //p'; }
wait_until 30 fails wrong 401
check "with a wrong token the status says so" fails wrong 'HTTP 401'
wait_until 30 fails none 401
check "and without one" fails none 'HTTP 401'
wait_until 30 fails nobody 403
check "and with one that may not ask kubelet" fails nobody 'HTTP 403.*nodes/proxy'
for name in wrong none nobody; do
    before=$(samples_of "$name")
    goes_on() { [ "$(samples_of "$name")" -gt "$((before + 20))" ]; }
    check "$name: sampling goes on" wait_until 30 goes_on
done
cp "$dir/podflamed.token" "$dir/wrong.token"
works() { ask wrong | grep -q '^podflamed_source_up{source="kubelet"} 1'; }
check "once the right token is in the file, kubelet answers" wait_until 60 works
stop_agents

# ---- the API server: the same samples, at query time

ask_api=(--api-server "$api" --api-ca "$run/pki/ca.crt" --api-token "$dir/podflame-server.token")
with_api() {
    local dir=$dir/$1 server_address=${server_address_of[$1]}
    stop "${server_pid_of[$1]}"
    serve "$1" "${ask_api[@]}"
}
namespaces() { curl -sS --fail-with-body --max-time 30 -G "${server_of[$1]}/api/v1/namespaces" --data-urlencode start=-1h >"$dir/namespaces.json"; }
all_told() { namespaces "$1" && ! grep -Eq '"state":"(listing|failing)"' "$dir/namespaces.json"; }
for name in kubelet cri logs; do
    with_api $name
    check "$name: podflame-server follows the API server with a token of its own" wait_until 30 all_told $name
done
counts() {
    node "$here/told.mjs" counts "$dir/objects.json" >"$dir/counts" && node "$here/told.mjs" answered "$dir/namespaces.json" >"$dir/answered" || return
    cat "$dir/answered"
    diff "$dir/counts" "$dir/answered"
}
counts_hold() { look && namespaces kubelet && counts; }
wait_until 30 counts_hold
check "pods, services and workloads of each namespace are as many as kubectl's" counts
for name in kubelet cri logs; do
    check "$name: samples carry the workload that the API server knows: Deployment, CronJob, ..." judge "$name" 9
done
workload() { # node, workload
    server=${server_of[$1]} folded "workload=$2" >"$dir/of-workload" || return
    echo "$2: $(count_folded "$dir/of-workload") samples"
    [ "$(count_folded "$dir/of-workload")" -ge 10 ]
}
for name in Deployment/web StatefulSet/db DaemonSet/agent ReplicaSet/cache CronJob/report Job/once; do
    check "logs: and are found by it: $name" workload logs $name
done

# ---- and away

[ "$failures" = 0 ] || { show "$dir/kubelet/agent.log"; show "$dir/kubelet/server.log"; show "$dir/kubectl.log"; }
if [ -z "${KEEP_NODE:-}" ]; then
    check "the node is taken away" "$here/down.sh"
    is_as_before() { what_is_there | diff "$dir/before" -; }
    check "the machine is as it was" wait_until 10 is_as_before
    is_as_before | sed 's/^/# /'
fi
finish
