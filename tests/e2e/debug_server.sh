#!/usr/bin/env bash
# debug_server.sh: the server names what the node could not, from debug files that it is given or
# fetches by itself, also of samples that were stored before. One of another build-id is not used, and
# servers of debug files that hang, send something else or are away hold up nothing.
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
: "${CXX:=g++}"

begin podflamed podflame-server
need_root
for tool in "$CXX" objcopy readelf node; do
    [ -n "$(command -v "$tool")" ] || skip_all "there is no $tool"
done
export BURN_SECONDS=3
# Each program of its own, by its text: build-ids are hashes of it.
build_program() { # name
    "$CXX" -O2 -g -Wl,--build-id=sha1 "-DPROGRAM=\"$1\"" -o "$dir/$1.whole" \
        "$top_srcdir/tests/workloads/debug_server.cc" >"$dir/cxx.log" 2>&1 ||
        { show "$dir/cxx.log"; bail "the workload does not compile"; }
    objcopy --only-keep-debug "$dir/$1.whole" "$dir/$1.debug" || bail "objcopy"
    objcopy --strip-all "$dir/$1.whole" "$dir/$1" || bail "objcopy"
}
build_id() { readelf -n "$dir/$1.whole" | sed -n 's/ *Build ID: //p'; }
give() { # debug file of a program, as that of a program
    local id
    id=$(build_id "$2")
    mkdir -p "$dir/debug/.build-id/${id:0:2}"
    cp "$dir/$1.debug" "$dir/debug/.build-id/${id:0:2}/${id:2}.debug"
    kill -HUP "$server_pid" # or within a minute
}
for program in ds-bare ds-wrong ds-exact ds-fetch ds-hang; do build_program "$program"; done
objcopy --strip-debug "$dir/ds-exact.whole" "$dir/ds-exact"

sample() { # program, flags of the agent...
    local program=$1
    shift
    start_agent --window 300s "$@"
    "$dir/$program" || bail "$program failed"
    stop "$agent_pid"
}
fold() { folded "process=$1" >"$dir/folded"; }
# So many of ten samples of a program have the line.
mostly() { # program, regex
    fold "$1" || return 1
    local all good
    all=$(count_folded "$dir/folded")
    good=$(count_folded "$dir/folded" "$2")
    echo "$good of $all samples"
    if [ "$good" -lt 20 ] || [ $((good * 10)) -lt $((all * 8)) ]; then
        head -n 3 "$dir/folded"
        return 1
    fi
}
none() { # program, regex
    fold "$1" && ! grep -E "$2" "$dir/folded"
}
soon() { wait_until 20 mostly "$@"; mostly "$@"; }
least() { # store.samples, at least
    local n
    n=$(status_of "$1")
    [ "${n:-0}" -ge "$2" ] || { echo "$1 is ${n:-nothing}"; return 1; }
}
# The compiler may make a copy of it that takes no argument.
total='shop::Cart<unsigned long>::total\(\)( \[clone [^]]*\])?'
inlined="main;$total;shop::Cart<unsigned long>::mix\\(unsigned long\\)_\\[i\\]"
offset() { echo ";$1\\+0x[0-9a-f]+;$1\\+0x[0-9a-f]+[; ]"; }

# ---- files that are put there

mkdir "$dir/debug"
start_server --debug-dir "/nonexistent:$dir/debug"
sample ds-bare
check "a program without symbols is shown by offsets" mostly ds-bare "$(offset ds-bare)"
give ds-wrong ds-bare
refused() { fold ds-bare && least symbols.debug_files_refused 1; }
check "a debug file of another build-id is refused" wait_until 20 refused
check "and names nothing" mostly ds-bare "$(offset ds-bare)"
matches_log() { matches "$server_log" "$1"; }
check "the log says why" matches_log 'is not used: it has another build-id'
give ds-bare ds-bare
check "the right one names samples that were stored before" soon ds-bare "${inlined}[; ]"

sample ds-exact --exact-addresses
check "a program with symbols has its functions' names" mostly ds-exact "main;${total}[; ]"
check "but not what is inlined" none ds-exact '_\[i\]'
give ds-exact ds-exact
check "with its debug file it has, if addresses are exact" soon ds-exact "${inlined}[; ]"

# A server that comes up later reads the files anew.
stop "$server_pid"
start_server --debug-dir "$dir/debug"
check "so it is after a restart" mostly ds-bare "${inlined}[; ]"
head -c 20000 /dev/urandom >"$dir/ds-bare.debug"
give ds-bare ds-bare
check "a file that is damaged later takes its names with it, and no more" soon ds-bare "$(offset ds-bare)"
check "the other's stay" mostly ds-exact "${inlined}[; ]"
stop "$server_pid"

# ---- files that are fetched

with_fetching() { # URL
    start_server --debug-dir "" --debuginfod "$1" --debuginfod-interval 200ms \
        --debuginfod-timeout 3s
}
if [ -n "$(command -v debuginfod)" ]; then
    mkdir "$dir/served"
    cp "$dir/ds-fetch.debug" "$dir/served/"
    port=$((20000 + $$ % 20000))
    debuginfod -vvv -d :memory: -p "$port" -F "$dir/served" >"$dir/debuginfod.log" 2>&1 &
    debuginfod_pid=$!
    kit_pids+=("$debuginfod_pid")
    serves() {
        curl -sSf -o /dev/null "http://127.0.0.1:$port/buildid/$(build_id ds-fetch)/debuginfo"
    }
    if wait_until 30 serves; then
        with_fetching "http://127.0.0.1:$port"
        sample ds-fetch
        fetched() { least debuginfod.debuginfod_fetched 1; }
        wait_until 60 fetched
        check "a debug file is fetched from debuginfod" fetched
        kill -HUP "$server_pid"
        check "and names what was stored before" soon ds-fetch "${inlined}[; ]"
        stop "$server_pid"
        start_server --debug-dir "$dir/data/debuginfod"
        check "it is kept" mostly ds-fetch "${inlined}[; ]"
        stop "$server_pid"
    else
        show "$dir/debuginfod.log"
        not_ok "debuginfod serves a debug file"
    fi
    stop "$debuginfod_pid"
else
    skip "a debug file is fetched from debuginfod" "there is no debuginfod"
fi

cat >"$dir/bad.mjs" <<'JS'
import { createServer } from "node:http";
createServer((request, response) => {
  if (request.url.startsWith("/garbage/")) response.end("<html>welcome</html>");
}).listen(0, "127.0.0.1", function () { console.log(`port=${this.address().port}`); });
JS
node "$dir/bad.mjs" >"$dir/bad.log" &
kit_pids+=("$!")
wait_until 20 grep -q port= "$dir/bad.log" || bail "no server for the test"
bad=http://127.0.0.1:$(sed -n 's/port=//p' "$dir/bad.log")

error_is() { curl -sS "$server/api/v1/status" | grep -Eo '"error":"[^"]*"' | grep -E "$1"; }
goes_on() { # URL, regex of the error
    local before after
    with_fetching "$1"
    before=$(status_of store.samples)
    sample ds-hang
    wait_until 30 least debuginfod.debuginfod_requests 1
    least debuginfod.debuginfod_requests 1 || return 1
    after=$(status_of store.samples)
    [ "$after" -gt "$before" ] || { echo "no samples came"; return 1; }
    mostly ds-hang "$(offset ds-hang)" || return 1
    wait_until 30 error_is "$2"
    error_is "$2" || { curl -sS "$server/api/v1/status"; return 1; }
    stop "$server_pid" || { echo "the server did not end well"; return 1; }
}
check "a server that hangs holds up neither batches nor answers" goes_on "$bad/hang" "too slow|timed out|Operation too slow"
check "one that sends something else is told" goes_on "$bad/garbage" "no good: no ELF file"
check "one that is away is told" goes_on "http://127.0.0.1:1" "refused"
finish
