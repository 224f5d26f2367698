#!/usr/bin/env bash
# chains.sh: the chains of functions of programs without frame pointers are in the flamegraph, root to
# leaf: callbacks, signal handlers, exceptions, threads, recursion through C, static and deleted
# programs. Code that has gone leaves no name where other code has come.
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
sources=$top_srcdir/tests/workloads
flags=(-O2 -fomit-frame-pointer -fasynchronous-unwind-tables)

begin podflamed podflame-server
need_root
hotplug_lock --shared
compile() { # output, source and flags...
    local output=$1
    shift
    "${CC:-cc}" "${flags[@]}" "$@" -o "$dir/$output" -pthread -ldl >"$dir/cc.log" 2>&1
}
build_workload() {
    compile "$@" || { show "$dir/cc.log"; bail "the workload $1 does not compile"; }
}
build_workload chains "$sources/chains.c"
build_workload fixed -no-pie "$sources/chains.c"
build_workload alpha.so -shared -fPIC -DNAME=alpha "$sources/chains_library.c"
build_workload beta.so -shared -fPIC -DNAME=beta "$sources/chains_library.c"
build_workload after-exec -no-pie -DNAME=gamma -DPROGRAM "$sources/chains_library.c"
static=yes
compile chains-static -static-pie "$sources/chains.c" || static=
throws=yes
"${CXX:-c++}" "${flags[@]}" "$sources/chains_throw.cc" -o "$dir/chains-throw" 2>"$dir/cxx.log" || throws=
python=$(command -v /usr/bin/python3 python3 | head -n 1)
for name in qsort signal altstack threads turns made deleted; do cp "$dir/chains" "$dir/c-$name"; done
export CHAINS_SECONDS=2

start_server
start_agent --stack-bytes 65528 --window 300s
run() { # program, arguments...
    local program=$1
    shift
    "$dir/$program" "$@" >"$dir/$program.out" 2>&1 || bail "$program $*: $(cat "$dir/$program.out")"
}
# Once, so that their tables are there: a test of the wait for tables is elsewhere.
CHAINS_SECONDS=0.2 run chains qsort
sleep 2

run c-qsort qsort
run c-signal signal
run c-altstack altstack
run c-threads threads
run c-turns turns "$dir/alpha.so" "$dir/beta.so"
run c-made made "$dir/alpha.so"
run fixed exec "$dir/after-exec"
[ -z "$static" ] || run chains-static qsort
[ -z "$throws" ] || run chains-throw
[ -z "$python" ] || "$python" "$sources/chains_deep.py"
# Its file goes and another program takes the name, at once.
"$dir/c-deleted" qsort &
deleted=$!
cp "$dir/after-exec" "$dir/other" && mv "$dir/other" "$dir/c-deleted"
wait $deleted
stop "$agent_pid"
folded >"$dir/folded" || bail "the server did not answer"

any='([^;]+;)*'
libc='([^;]*(libc|qsort|msort)[^;]*;)+'
start='(_start;)?([^;]*libc[^;]*;)*'
check "a callback of qsort" chain c-qsort burn "${start}main;sort_things;${libc}compare_slowly;burn"
check "a signal handler over a system call" \
    chain c-signal burn "${start}main;signal_over_read;wait_in_read;[^;]*(read|libc)[^;]*;([^;]*_[[]i[]];)*[^;]*(restore|libc)[^;]*;on_alarm;burn"
check "a signal handler on a stack of its own: its own part, marked" \
    chain c-altstack burn "\\[truncated\\];${any}on_alarm;burn"
check "threads" chain c-threads burn "([^;]*(clone|libc|start_thread)[^;]*;){1,3}thread_main;thread_step;burn"
if [ -n "$static" ]; then
    check "a static position-independent program" \
        chain chains-static burn "_start;([^;]*libc_start[^;]*;)+main;sort_things;([^;]*sort[^;]*;)+compare_slowly;burn"
else
    skip "a static position-independent program" "there is no static libc"
fi
if [ -n "$throws" ]; then
    check "a thrower of C++ exceptions" chain chains-throw _Unwind_RaiseException \
        "${start}main;catch_at_top\\(\\);(throw_at_bottom\\(int\\)( \\[clone .cold\\])?;){21}__cxa_throw;_Unwind_RaiseException"
else
    skip "a thrower of C++ exceptions" "there is no C++ compiler"
fi
check "a program deleted and replaced while it runs" \
    chain c-deleted burn "${start}main;sort_things;${libc}compare_slowly;burn"

deep() {
    awk '{ n = gsub(/;_PyEval_EvalFrameDefault/, "&") } n > 60 && /Py_BytesMain|Py_RunMain|main/ { good += $NF }
        /EvalFrameDefault/ { all += $NF; if (n <= 60 && !bad++) other = $0 }
        END { printf "%d of %d samples\n", good, all; if (other) print "another: " substr(other, 1, 600); exit !(good >= 20 && good >= 0.8 * all) }' "$dir/lines"
}
lines_of_process 'python[0-9.]*' >"$dir/lines"
if grep -q EvalFrameDefault "$dir/lines"; then
    check "recursion through Python's C stack, 60 deep" deep
else
    skip "recursion through Python's C stack, 60 deep" "this Python has no names"
fi

# ---- code that has gone

never() { # process, regular expression
    lines_of_process "$1" | grep -E "$2" >"$dir/wrong"
    [ ! -s "$dir/wrong" ] || { wc -l <"$dir/wrong"; head -n 5 "$dir/wrong"; return 1; }
}
check "two libraries took turns at one address" equal "$(sort -u "$dir/c-turns.out" | wc -l)" 1
check "the first has its chain" chain c-turns alpha_burns "${start}main;${any}call_alpha;step;alpha_steps;alpha_burns"
check "and the second" chain c-turns beta_burns "${start}main;${any}call_beta;step;beta_steps;beta_burns"
check "neither ever has the other's functions" never c-turns 'call_alpha;.*beta_|call_beta;.*alpha_'
check "code made over a library's has its caller" \
    chain c-made call_made_code "${start}main;make_code_over_library;call_made_code;[^;]*"
check "and never the library's functions" never c-made 'call_made_code;.*(alpha_|step)'
check "what ran before exec has its chain" chain fixed burn "${start}main;before_exec;burn"
check "what runs after it has its own" chain after-exec gamma_burns "${start}main;step;gamma_steps;gamma_burns"
check "and nothing of what ran before" never after-exec 'before_exec|;burn'
[ "$failures" = 0 ] || { show "$agent_log"; KEEP=1; }
finish
