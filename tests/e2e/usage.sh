#!/usr/bin/env bash
# usage.sh: what a batch says that a container used is what the kernel's own files say, and what a
# program that uses a known amount of everything did use; and the server answers so. In cgroups of its
# own below each hierarchy this machine has: one container in v1's, one in v2's, the latter with a
# network of its own.
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"

begin podflamed podflame podflame-server tests/workloads/consume
need_root
mib=8 seconds=2 pages=5000 datagrams=200
name=$(printf '%064x' "$$")
made=() netns=pf$$ has_net=

test_cleanup() {
    ip netns del "$netns" 2>/dev/null
    for _ in 1 2 3 4 5; do
        rmdir "${made[@]}" 2>/dev/null
        [ -d "${made[0]:-/nothing}" ] || break
        sleep 0.1
    done
}

# hierarchy CONTROLLER: where v1's is mounted, of "" where v2 is.
hierarchy() {
    awk -v want="$1" '{ split($0, halves, " - "); split(halves[1], left, " "); split(halves[2], right, " ")
        n = split(right[3], options, ","); found = want == "" && right[1] == "cgroup2"
        for (i = 1; i <= n && right[1] == "cgroup"; i++) found = found || options[i] == want && want != ""
        if (found) { print left[5]; exit } }' /proc/self/mountinfo
}

# make_container ID HIERARCHY...: makes its cgroup in each.
make_container() {
    local id=$1 at
    shift
    for at; do
        [ -d "$at/docker-$id.scope" ] || mkdir "$at/docker-$id.scope" || skip_all "cgroups cannot be made below $at"
        made+=("$at/docker-$id.scope")
    done
}

# begin_in ID COMMAND...: runs it in the container's cgroups. Sets begun.
begin_in() {
    local id=$1 at procs=()
    shift
    for at in "${made[@]}"; do [[ $at != */docker-$id.scope ]] || procs+=("$at/cgroup.procs"); done
    # shellcheck disable=SC2016 # the inner shell's
    bash -c 'n=$1; shift; for at in "${@:1:n}"; do echo $$ >"$at" || exit 1; done; shift "$n"; exec "$@"' - \
        "${#procs[@]}" "${procs[@]}" "$@" >"$dir/used.$id" &
    begun=$!
    kit_pids+=("$begun")
}

is_stopped() { grep -q '^State:.T' "/proc/$1/status"; }
# A whole scan from now on: one may be under way.
two_scans() {
    local before
    before=$(grep -c 'usage read' "$agent_log")
    wait_until 60 more_scans $((before + 2))
}
more_scans() { [ "$(grep -c 'usage read' "$agent_log")" -ge "$1" ]; }

# key_of FILE KEY: the number behind a word in one of the kernel's files.
key_of() { awk -v key="$2" '$1 == key { print $2 }' "$1"; }

# rows ID: of the container, a line for each reading.
rows() { grep -h "\"cgroup\": \"/docker-$1.scope\", \"network\"" "$dir"/batch.*.json; }
# sum ID FIGURE, last ID FIGURE, as the batches have them; "null" where one is not known.
sum() {
    rows "$1" | awk -v key="\"$2\": " '/"span_ns": 0,/ { next }
        { at = index($0, key); v = substr($0, at + length(key)); sub(/[,}].*/, "", v)
          if (at == 0 || v == "null") unknown = 1; total += v }
        END { if (unknown || NR == 0) print "null"; else printf "%d\n", total }'
}
last() { rows "$1" | tail -n 1 | sed "s/.*\"$2\": \([^,}]*\).*/\1/"; }
within() { # got, wanted, share
    holds "\"$1\" != \"null\" && ($1 - $2) <= $3 * $2 && ($2 - $1) <= $3 * $2" || { echo "got $1, wanted $2"; return 1; }
}

memory=$(hierarchy memory) cpuacct=$(hierarchy cpuacct) cpu=$(hierarchy cpu) unified=$(hierarchy "")
v1=c${name:1} v2=d${name:1} ids=()
if [ -n "$memory" ] && [ -n "$cpuacct" ] && [ -w "$memory" ]; then
    make_container "$v1" "$memory" "$cpuacct" ${cpu:+"$cpu"}
    ids+=("$v1")
fi
if [ -n "$unified" ] && [ -w "$unified" ]; then
    make_container "$v2" "$unified"
    ids+=("$v2")
fi
[ ${#ids[@]} -gt 0 ] || skip_all "no cgroup hierarchy is mounted"
note "${#ids[@]} containers; v1: ${memory:-none} v2: ${unified:-none}"

# A network whose other end is ours. Datagrams to an address nobody has, by a neighbour that is told:
# they arrive and nothing answers.
if ip netns add "$netns" 2>/dev/null &&
    ip link add "$netns" type veth peer name eth0 netns "$netns" 2>/dev/null; then
    has_net=yes
    sysctl -qw "net.ipv6.conf.$netns.disable_ipv6=1" "net.ipv4.conf.$netns.forwarding=0"
    ip netns exec "$netns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv4.ip_forward=0
    ip addr add 10.213.77.1/24 dev "$netns"
    ip link set "$netns" up
    ip -n "$netns" link set eth0 up
    ip -n "$netns" addr add 10.213.77.2/24 dev eth0
    ip neigh replace 10.213.77.9 lladdr "$(ip netns exec "$netns" cat /sys/class/net/eth0/address)" dev "$netns"
    ip -n "$netns" neigh replace 10.213.77.8 lladdr "$(cat "/sys/class/net/$netns/address")" dev eth0
fi
send() { # to
    # shellcheck disable=SC2016 # the inner shell's
    bash -c 'exec 3>"/dev/udp/$1/9"; text=$(printf "%01000d" 0); for ((i = 0; i < $2; i++)); do printf %s "$text" >&3; done' \
        - "$1" "$datagrams"
}

declare -A pid
for id in "${ids[@]}"; do
    in_net=()
    [ "$id" != "$v2" ] || [ -z "$has_net" ] || in_net=(ip netns exec "$netns")
    begin_in "$id" "${in_net[@]}" "$workloads/consume" "$dir/file.$id" $mib $seconds $pages --password=geheim
    pid[$id]=$begun
done
for id in "${ids[@]}"; do wait_until 10 is_stopped "${pid[$id]}" || bail "the load did not begin"; done
start_agent --window 2s --usage-interval 1s
two_scans || bail "nothing is read of containers"

declare -A cpu_before faults_before written_before
cpu_of() { # id
    if [ "$1" = "$v1" ]; then cat "$cpuacct/docker-$1.scope/cpuacct.usage"; else echo "$(key_of "$unified/docker-$1.scope/cpu.stat" usage_usec)000"; fi
}
memory_dir() { # id: where its memory is counted
    if [ "$1" = "$v1" ]; then echo "$memory/docker-$1.scope"; elif [ -e "$unified/docker-$1.scope/memory.stat" ]; then echo "$unified/docker-$1.scope"; fi
}
faults_of() { # id: all of them
    local at
    at=$(memory_dir "$1")
    if [ -n "$at" ]; then awk '/^(total_)?pgfault / { n = $2 } END { print n }' "$at/memory.stat"; else awk '{ print $10 + $12 }' "/proc/${pid[$1]}/stat"; fi
}
# As v2's io.stat has it, else as the process has.
written_of() { # id
    local at=$unified/docker-$1.scope/io.stat
    if [ "$1" = "$v2" ] && [ -e "$at" ]; then
        awk '{ for (i = 2; i <= NF; i++) if (sub(/^wbytes=/, "", $i)) n += $i } END { print n + 0 }' "$at"
    else
        key_of "/proc/${pid[$1]}/io" write_bytes:
    fi
}
for id in "${ids[@]}"; do
    cpu_before[$id]=$(cpu_of "$id")
    written_before[$id]=$(written_of "$id")
    faults_before[$id]=$(faults_of "$id")
    kill -CONT "${pid[$id]}"
done
if [ -n "$has_net" ]; then
    rx_before=$(ip netns exec "$netns" cat /sys/class/net/eth0/statistics/rx_bytes)
    tx_before=$(ip netns exec "$netns" cat /sys/class/net/eth0/statistics/tx_bytes)
    send 10.213.77.9
    export -f send
    ip netns exec "$netns" env datagrams="$datagrams" bash -c 'send 10.213.77.8'
    rx=$(($(ip netns exec "$netns" cat /sys/class/net/eth0/statistics/rx_bytes) - rx_before))
    tx=$(($(ip netns exec "$netns" cat /sys/class/net/eth0/statistics/tx_bytes) - tx_before))
fi
for id in "${ids[@]}"; do wait_until 60 is_stopped "${pid[$id]}" || bail "the load did not end"; done
sleep 2 # the kernel adds up what memory.stat says every so long
two_scans || bail "nothing more is read of containers"
stop "$agent_pid"
check "the agent ends well" equal $? 0
n=0
for file in "$dir/state/spool"/*.batch; do
    "$build/podflame" batch "$file" >"$dir/batch.$n.json" || bail "no batch: $file"
    n=$((n + 1))
done

for id in "${ids[@]}"; do
    what=v1
    [ "$id" = "$v1" ] || what=v2
    cpu_now=$(cpu_of "$id") written_now=$(written_of "$id") faults_now=$(faults_of "$id") at=$(memory_dir "$id")
    read -r size resident _ <"/proc/${pid[$id]}/statm"
    page=$(getconf PAGESIZE)
    stat_rss=
    [ -z "$at" ] || stat_rss=$(awk '/^(total_rss|anon) / { n = $2 } END { print n }' "$at/memory.stat")
    charged=
    [ -z "$at" ] || charged=$(cat "$at/memory.usage_in_bytes" 2>/dev/null || cat "$at/memory.current")
    inactive=
    [ -z "$at" ] || inactive=$(awk '/^(total_)?inactive_file / { n = $2 } END { print n }' "$at/memory.stat")
    last_rss=$(last "$id" rss_bytes) last_charged=$(last "$id" memory_bytes) last_set=$(last "$id" working_set_bytes)
    kill -CONT "${pid[$id]}"
    wait "${pid[$id]}"
    forget "${pid[$id]}"
    used=$(cat "$dir/used.$id")
    got=$(($(sum "$id" cpu_user_ns) + $(sum "$id" cpu_system_ns)))
    note "$what: CPU $got ns, the cgroup's file $((cpu_now - cpu_before[$id])), the program $used"
    check "$what: CPU is that of the cgroup's file" within "$got" "$((cpu_now - cpu_before[$id]))" 0.001
    check "$what: and that of the load within 1 %" within "$got" "$used" 0.01
    check "$what: characters written are exact" equal "$(sum "$id" char_write_bytes)" $((mib << 20))
    check "$what: characters read are exact" equal "$(sum "$id" char_read_bytes)" $((mib << 20))
    if [ "$(stat -f -c %T "$dir")" = tmpfs ]; then
        skip "$what: bytes on disk are exact" "the test's directory is in memory"
    else
        # A file system may write down when it was written to.
        check "$what: bytes written to disk are exactly the kernel's" equal "$(sum "$id" block_write_bytes)" "$((written_now - written_before[$id]))"
        check "$what: and those of the load" within "$(sum "$id" block_write_bytes)" $((mib << 20)) 0.01
        check "$what: bytes read from disk are exact" equal "$(sum "$id" block_read_bytes)" $((mib << 20))
    fi
    got=$(($(sum "$id" minor_faults) + $(sum "$id" major_faults)))
    note "$what: faults $got, the kernel's file $((faults_now - faults_before[$id])), of $pages pages"
    check "$what: page faults are those of the kernel's file" within "$got" "$((faults_now - faults_before[$id]))" 0.02
    check "$what: and those of the load" within "$got" $pages 0.02
    check "$what: virtual size is exact" equal "$(last "$id" virtual_bytes)" $((size * page))
    check "$what: one process with one thread" equal "$(last "$id" processes) $(last "$id" threads)" "1 1"
    if [ -n "$at" ]; then
        check "$what: anonymous memory is that of memory.stat" within "$last_rss" "$stat_rss" 0.02
        check "$what: what is charged, too" within "$last_charged" "$charged" 0.02
        check "$what: the working set is without inactive files" within "$last_set" "$((charged - inactive))" 0.02
    else
        check "$what: resident memory is that of the process" equal "$last_rss" $((resident * page))
        check "$what: without a memory controller the working set is unknown" equal "$last_set" null
    fi
    if [ "$id" = "$v2" ] && [ -n "$has_net" ]; then
        note "$what: network rx $(sum "$id" net_rx_bytes) tx $(sum "$id" net_tx_bytes), the kernel's $rx $tx"
        check "$what: bytes received are those of its interface" equal "$(sum "$id" net_rx_bytes)" "$rx"
        check "$what: bytes sent are those of its interface" equal "$(sum "$id" net_tx_bytes)" "$tx"
        check "$what: and those that were sent there" equal "$rx $tx" "$((datagrams * 1042)) $((datagrams * 1042))"
    else
        check "$what: the node's own network is not the container's" equal "$(last "$id" net_rx_bytes)" null
    fi
done

# The same again, out of the store.
unset server
start_server
for file in "$dir/state/spool"/*.batch; do
    curl -sS --fail-with-body --max-time 60 -H 'Content-Type: application/vnd.podflame.batch' \
        --data-binary "@$file" "$server/api/v1/batches" >/dev/null || bail "a batch was not stored"
done
sum_stored() { # file, figure
    sed "s/.*\"$2\":\[\([^]]*\)\].*/\1/" "$1" | tr , '\n' | awk '{ n += $1 } END { printf "%d\n", n }'
}
for id in "${ids[@]}"; do
    curl -sS --max-time 60 "$server/api/v1/usage?start=-1h&container_id=$id" >"$dir/stored.json"
    for figure in cpu_user_ns minor_faults char_write_bytes; do
        check "the server has the container's $figure" equal "$(sum_stored "$dir/stored.json" $figure)" "$(sum "$id" $figure)"
    done
done

for id in "${ids[@]}"; do
    curl -sS --max-time 60 "$server/api/v1/usage/processes?start=-1h&container_id=$id" >"$dir/stored.json"
    check "and its process" matches "$dir/stored.json" "\"pid\":${pid[$id]},\"threads\":1,.*\"command\":\"$workloads/consume\""
done

check "the processes are named" matches "$dir/batch.1.json" "\"command\": \"$workloads/consume\""
check "without their arguments" equal "$(cat "$dir"/batch.*.json | grep -c geheim)" 0

"$build/podflamed" --command-lines all --duration 1s >/dev/null 2>"$dir/refused"
check "what command lines are kept is one of two words" matches "$dir/refused" 'command-lines is .all.; it must be short or full'
begin_in "${ids[0]}" "$workloads/consume" "$dir/file.again" 1 0 1 --password=geheim
wait_until 10 is_stopped "$begun" || bail "the load did not begin"
start_agent --window 2s --usage-interval 1s --command-lines full
two_scans || bail "nothing is read of containers"
stop "$agent_pid"
stop "$begun" KILL
told() {
    curl -sS --max-time 60 "$server/api/v1/usage/processes?start=-1h&container_id=${ids[0]}" >"$dir/stored.json"
    grep -q -e "\"command\":\"$workloads/consume [^\"]* 1 0 1 --password=geheim\"" "$dir/stored.json"
}
check "whole command lines are kept where that is asked for" wait_until 10 told
finish
