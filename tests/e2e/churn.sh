#!/usr/bin/env bash
# churn.sh: pods of a real container runtime that come and go at random. Each has a program of its own
# name, by which its samples are known for its: nearly all carry their pod's names, and none another's.
#   PODS=50     how many in all
#   SECONDS_IN=60  within which they start
#   SEED=N      the same pods again
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
# shellcheck source=tests/e2e/containerd.sh
. "${top_srcdir:?}/tests/e2e/containerd.sh"
pods=${PODS:-50} seconds=${SECONDS_IN:-60}
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}

begin podflamed podflame-server tests/workloads/split
need_root
need_containerd
test_cleanup() { stop_containerd; }
note "SEED=$seed PODS=$pods"
RANDOM=$seed
me=$$

cp "$workloads/split" "$dir/burn"
start_server
start_containerd "$dir/burn"
start_agent --window 5s --cri-socket "$containerd_socket" --kubelet-url '' --docker-socket '' --pod-logs '' --pod-info ''

# A pod with two containers, of which the second starts later, in the pod that is there by then.
run_one() { # number, seconds of CPU
    local uid pod
    uid=$(printf '%08x-1111-4222-8333-%012x' "$1" "$me")
    pod=$(run_pod "web-$1" "space-$(($1 % 7))" "$uid") &&
        run_container "$pod" main '{"seccomp": "Unconfined"}' /bin/sh -c "/bin/busybox ln -s /burn /p$1.$me; exec /p$1.$me $2" >/dev/null &&
        sleep "0.$((RANDOM % 10))" &&
        run_container "$pod" side '{"seccomp": "Unconfined"}' /bin/sh -c "/bin/busybox ln -s /burn /s$1.$me; exec /s$1.$me 0.3" >/dev/null &&
        sleep "$3" &&
        cri remove "$pod" || echo "$1" >>"$dir/failed"
}
running=()
for ((i = 1; i <= pods; i++)); do
    run_one "$i" "0.$((RANDOM % 9 + 1))" "$((RANDOM % 4)).$((RANDOM % 10))" 2>>"$dir/failed.log" &
    running+=($!)
    sleep "$(awk -v s="$seconds" -v n="$pods" -v r="$RANDOM" 'BEGIN { print 2 * s / n * r / 32768 }')"
done
wait "${running[@]}"
stop "$agent_pid"
touch "$dir/failed"
check "all pods ran" equal "$(tr '\n' ' ' <"$dir/failed")" ''
[ ! -s "$dir/failed.log" ] || show "$dir/failed.log"

# PROCESS;NAMESPACE;POD;CONTAINER;... N
folded group=process,namespace,pod,container >"$dir/folded" || bail "the server did not answer"
awk -F';' -v me="$me" '
    $1 ~ "^[ps][0-9]+[.]" me "$" {
        match($0, / [0-9]+$/); n = substr($0, RSTART + 1) + 0
        number = $1; sub(/^[ps]/, "", number); sub(/[.].*/, "", number)
        all += n; seen[$1]
        named = $2 != "-" && $3 != "-" && $4 != "-"
        right = $2 == "space-" (number % 7) && $3 == "web-" number && $4 == (substr($1, 1, 1) == "p" ? "main" : "side")
        if (right) good += n
        else if (named) { wrong += n; print "# wrong: " $1 " in " $2 "/" $3 "/" $4 > "/dev/stderr" }
        else { print "# unnamed: " $1 " in " $2 "/" $3 "/" $4 " " n > "/dev/stderr" }
    }
    END { for (p in seen) programs++; printf "%d %d %d %d\n", all, good, wrong, programs }' "$dir/folded" >"$dir/counts"
read -r all good wrong programs <"$dir/counts"
note "$all samples of $programs programs: $good with the right names, $wrong with wrong ones"
check "most programs were sampled" [ "$programs" -ge $((pods * 18 / 10)) ]
check "99.5 % of the samples carry their pod's and container's names" [ $((good * 1000)) -ge $((all * 995)) ]
check "none carries another's" equal "$wrong" 0
[ "$failures" = 0 ] || { show "$agent_log"; show "$dir/containerd.log" 10; KEEP=1; }
finish
