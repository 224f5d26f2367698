#!/usr/bin/env bash
# nocfi.sh: chains of code that has neither CFI nor frame pointers, found by following it to where it
# returns: C compiled without, musl's libc, methods that HotSpot interprets and compiles.
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
sources=$top_srcdir/tests/workloads
flags=(-O2 -fomit-frame-pointer -fno-asynchronous-unwind-tables -fno-unwind-tables -pthread)

begin podflamed podflame-server
need_root
"${CC:-cc}" "${flags[@]}" "$sources/chains.c" -o "$dir/bare" -ldl 2>"$dir/cc.log" ||
    { show "$dir/cc.log"; bail "the workload does not compile"; }
cp "$dir/bare" "$dir/bare-signal"
cp "$dir/bare" "$dir/bare-threads"
if [ -n "$(command -v musl-gcc)" ]; then
    musl-gcc "${flags[@]}" "$sources/chains.c" -o "$dir/musl" 2>"$dir/cc.log" ||
        { show "$dir/cc.log"; bail "the workload does not compile with musl"; }
    cp "$dir/musl" "$dir/musl-signal"
    cp "$dir/musl" "$dir/musl-threads"
fi
java=$(command -v java) && javac -d "$dir" "$sources/Deep.java" >"$dir/cc.log" 2>&1 || java=
export CHAINS_SECONDS=2

start_server
start_agent --stack-bytes 65528 --window 300s
CHAINS_SECONDS=0.2 "$dir/bare" qsort
sleep 2
for libc in bare musl; do
    [ -e "$dir/$libc" ] || continue
    "$dir/$libc" qsort
    "$dir/$libc-signal" signal
    "$dir/$libc-threads" threads
done
if [ -n "$java" ]; then
    flags=(-cp "$dir" -XX:CompileCommand=quiet "-XX:CompileCommand=dontinline,Deep.down" Deep 3)
    "$java" -Xint "${flags[@]}"
    "$java" -XX:TieredStopAtLevel=1 "${flags[@]}"
    "$java" -XX:-TieredCompilation "${flags[@]}"
fi
code=$(metric frames_code_total) late=$(metric peeks_late_total)
stop "$agent_pid"
folded >"$dir/folded" || bail "the server did not answer"
note "$code callers by following code, memory too late $late times"
check "code was followed" holds "$code > 1000"

any='([^;]+;)*'
# musl's start-up code has symbols without sizes; a root that is a marker is none.
start='([^;[]+;){1,4}'
for libc in bare musl; do
    if [ ! -e "$dir/$libc" ]; then
        for what in "a callback of qsort" "a signal handler" "threads"; do skip "$libc: $what" "there is no musl-gcc"; done
        continue
    fi
    check "$libc: a callback of qsort" chain $libc burn "${start}main;sort_things;${any}compare_slowly;burn"
    check "$libc: a signal handler over a system call" \
        chain $libc-signal burn "${start}main;signal_over_read;wait_in_read;${any}on_alarm;burn"
    check "$libc: threads" chain $libc-threads burn "(${start})?thread_main;thread_step;burn"
done

# Samples of the thread that recurses, be it interpreted or compiled by either compiler.
methods() {
    grep -E "^java;" "$dir/folded" | awk '
        { n = gsub(/_\[j\]/, "&") }
        n >= 10 { all += $NF; if (n >= 40) good += $NF; else if (!bad++) other = $0 }
        END { printf "%d of %d samples\n", good, all; if (bad) print substr(other, 1, 600)
              exit !(good >= 50 && good >= 0.9 * all) }'
}
if [ -n "$java" ]; then
    check "HotSpot: 40 methods deep" methods
else
    skip "HotSpot: 40 methods deep" "there is no Java compiler"
fi
[ "$failures" = 0 ] || { show "$agent_log"; KEEP=1; }
finish
