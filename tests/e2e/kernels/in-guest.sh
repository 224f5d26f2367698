#!/bin/sh
# in-guest.sh: runs in the guest (busybox sh): a burner in a cgroup of its own beside podflamed, first
# all as root, then only that cgroup beside another burner, then all as a plain user at paranoid 2. What
# podflamed said and shipped goes to /out.

cgroups=/sys/fs/cgroup
tree=$cgroups
[ ! -d $cgroups/perf_event ] || tree=$cgroups/perf_event
mkdir "$tree/burning"

# The server is a port where nobody listens: batches stay in the spool.
profile() { # name, user, seconds, flags
    out=/out/$1 who=$2 seconds=$3 flags=$4
    mkdir -p "$out/state"
    chmod -R 777 "$out"
    su -s /bin/sh "$who" -c "exec /guest/podflamed --server http://127.0.0.1:9 --state-dir $out/state \
        --window 5s --metrics-listen '' $flags >$out/log 2>&1" &
    podflamed=$!
    # Emulated on a busy host, reading all kernel symbols takes its time.
    left=600
    until grep -q 'podflamed: sampling cpus' "$out/log" 2>/dev/null || [ $left = 0 ]; do
        sleep 0.1
        left=$((left - 1))
    done
    sh -c "echo \$\$ >$tree/burning/cgroup.procs; exec su -s /bin/sh $who -c 'exec /guest/burner $seconds'" &
    burner=$!
    wait $burner
    kill -TERM $podflamed
    wait $podflamed
    echo $? >"$out/code"
}

profile root root 12
cp /guest/burner /guest/stranger
/guest/stranger 1000 &
stranger=$!
profile target root 8 "--cgroup /burning"
kill $stranger
echo 2 >/proc/sys/kernel/perf_event_paranoid
profile user user 12
