#!/bin/sh
# in-guest.sh: runs in the guest (busybox sh): a burner in a cgroup of its own beside podflamed, first
# all as root, then all as a plain user at paranoid 2. What podflamed said and shipped goes to /out.
seconds=12

cgroups=/sys/fs/cgroup
tree=$cgroups
[ ! -d $cgroups/perf_event ] || tree=$cgroups/perf_event
mkdir "$tree/burning"

# The server is a port where nobody listens: batches stay in the spool.
profile() { # who
    who=$1
    mkdir -p "/out/$who/state"
    chmod -R 777 "/out/$who"
    su -s /bin/sh "$who" -c "exec /guest/podflamed --server http://127.0.0.1:9 --state-dir /out/$who/state \
        --window 5s --metrics-listen '' >/out/$who/log 2>&1" &
    podflamed=$!
    # Emulated on a busy host, reading all kernel symbols takes its time.
    left=600
    until grep -q 'podflamed: sampling cpus' "/out/$who/log" 2>/dev/null || [ $left = 0 ]; do
        sleep 0.1
        left=$((left - 1))
    done
    sh -c "echo \$\$ >$tree/burning/cgroup.procs; exec su -s /bin/sh $who -c 'exec /guest/burner $seconds'" &
    burner=$!
    wait $burner
    kill -TERM $podflamed
    wait $podflamed
    echo $? >"/out/$who/code"
}

profile root
echo 2 >/proc/sys/kernel/perf_event_paranoid
profile user
