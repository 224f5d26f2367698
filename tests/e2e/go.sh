#!/usr/bin/env bash
# go.sh: the chains of functions of Go programs without DWARF are in the flamegraph, from where each
# goroutine begins to the leaf: recursion over a stack that grew, methods behind interfaces, calls that
# were inlined, C that calls Go back. Also of one stripped of its symbols, as Go has names of its own.
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
sources=$top_srcdir/tests/workloads

begin podflamed podflame-server
need_root
[ -n "$(command -v go)" ] || skip_all "there is no Go"
# Not the modules, the settings and the cache of whoever runs this.
export GOCACHE=$dir/go-cache GOFLAGS='' GO111MODULE=off GOTOOLCHAIN=local
build_go() { # output, source, flags...
    local output=$1 source=$2
    shift 2
    go build "$@" -o "$dir/$output" "$sources/$source" >"$dir/go.log" 2>&1
}
# -w leaves out DWARF, and with it .debug_frame; -s the names too. Both leave
# .gopclntab alone.
build_go go-recurse chains.go -ldflags=-w || { show "$dir/go.log"; bail "the workload does not compile"; }
build_go go-bare chains.go "-ldflags=-s -w" || bail "no program without symbols"
build_go go-inlined inlined.go "-ldflags=-s -w" || bail "no program with inlined calls"
build_go go-pie chains.go -ldflags=-w -buildmode=pie || show "$dir/go.log"
cp "$dir/go-recurse" "$dir/go-routines"
cgo=yes
if [ -z "$(command -v "${CC:-cc}")" ] || ! CGO_ENABLED=1 build_go go-c chains_cgo.go -ldflags=-w; then
    show "$dir/go.log"
    cgo=
else
    cp "$dir/go-c" "$dir/go-back"
fi
export CHAINS_SECONDS=2

start_server
start_agent --stack-bytes 65528 --window 300s
run() { # program, arguments...
    local program=$1
    shift
    "$dir/$program" "$@" >"$dir/$program.out" 2>&1 || bail "$program $*: $(cat "$dir/$program.out")"
}
# Once, so that their tables are there: a test of the wait for tables is elsewhere.
for program in go-recurse go-bare go-pie go-c; do
    [ ! -e "$dir/$program" ] || CHAINS_SECONDS=0.2 run "$program" recurse
done
sleep 2
run go-recurse recurse
run go-bare recurse
run go-routines goroutines
run go-inlined
[ ! -e "$dir/go-pie" ] || run go-pie recurse
if [ -n "$cgo" ]; then
    run go-c c
    run go-back back
fi
stop "$agent_pid"
folded >"$dir/folded" || bail "the server did not answer"

main='runtime\.goexit[^;]*;runtime\.main;main\.main;'
recursion="${main}(main\\.recurse;){20}main\\.burn;main\\.spin"
check "a recursion" chain go-recurse 'main\.spin' "$recursion"
if [ -e "$dir/go-pie" ]; then
    check "in a program that is loaded anywhere" chain go-pie 'main\.spin' "$recursion"
else
    skip "in a program that is loaded anywhere" "this Go does not link one"
fi
check "goroutines" chain go-routines 'main\.spin' \
    'runtime\.goexit[^;]*;(main\.goroutines[^;]*;)?main\.work;main\.drawAll;(main\.\(\*square\)\.draw;)?main\.square\.draw;main\.burn;main\.spin'
check "a recursion in a program without symbols" chain go-bare 'main\.spin' "$recursion"
check "calls that were inlined into each other" chain go-inlined 'main\.\(\*mixer\)\.step_\[i\]' \
    "${main}main\\.burn;main\\.mix_\\[i\\];main\\.\\(\\*mixer\\)\\.twice_\\[i\\];main\\.\\(\\*mixer\\)\\.step_\\[i\\]"
if [ -n "$cgo" ]; then
    # C runs on the thread's stack, which knows nothing of the goroutine's.
    check "C, from where it was called" chain go-c c_burns 'runtime\.asmcgocall[^;]*;(_cgo_[^;]*;)?c_steps;c_burns'
    check "Go that C called back, with the goroutine's part before C" chain go-back 'main\.spin' \
        "${main}main\\.callBack;main\\._Cfunc_c_calls_go[^;]*;runtime\\.cgocall;([^;]*;)?runtime\\.cgocallback[^;]*;(runtime\\.cgocallbackg[^;]*;)+_cgoexp_[^;]*;main\\.goBurns;main\\.spin"
else
    skip "C, from where it was called" "Go does not compile C here"
    skip "Go that C called back, with the goroutine's part before C" "Go does not compile C here"
fi
[ "$failures" = 0 ] || { show "$agent_log"; KEEP=1; }
finish
