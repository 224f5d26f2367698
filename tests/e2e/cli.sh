#!/usr/bin/env bash
# cli.sh: podflame(1) against a real podflame-server. Prints TAP.
set -u
: "${top_srcdir:?}" "${top_builddir:?}"
unset PODFLAME_SERVER http_proxy https_proxy ALL_PROXY
dir=$(mktemp -d) || exit 1
server_pid=
trap 'if [ -n "$server_pid" ]; then kill "$server_pid"; wait "$server_pid"; fi 2>/dev/null; rm -rf "$dir"' EXIT

n=0
ok() { # name, as the last command went
    local status=$?
    n=$((n + 1))
    if [ $status = 0 ]; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        sed 's/^/# /' "$dir/out" "$dir/err"
    fi
}
podflame() { # arguments; the output is in out and err, the status is its own
    "$top_builddir/podflame" "$@" >"$dir/out" 2>"$dir/err"
}
out() { # the output is these lines
    printf '%s\n' "$@" | diff - "$dir/out" >"$dir/diff" || { cat "$dir/diff" >>"$dir/err"; return 1; }
}
fails() { # status, text on stderr, arguments
    local want=$1 text=$2 status
    shift 2
    podflame "$@"
    status=$?
    [ $status = "$want" ] && grep -qF -- "$text" "$dir/err"
}

start_server() {
    "$top_builddir/podflame-server" --listen 127.0.0.1:0 --data-dir "$dir/data" 2>"$dir/log" &
    server_pid=$!
    for _ in $(seq 300); do
        address=$(sed -n 's/.*listening address=\([^ ]*\).*/\1/p' "$dir/log")
        [ -z "$address" ] || return 0
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.1
    done
    sed 's/^/# /' "$dir/log"
    echo "Bail out! podflame-server does not start"
    exit 1
}

post() { # file
    exec 3<>"/dev/tcp/127.0.0.1/${address##*:}" || return 1
    printf 'POST /api/v1/batches HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n' "$address" >&3
    printf 'Content-Type: application/vnd.podflame.batch\r\nContent-Length: %s\r\n\r\n' \
        "$(stat -c %s "$1")" >&3
    cat "$1" >&3
    grep -q '"stored": *true' <&3
}

echo 1..27
fails 1 "no server at http://127.0.0.1:1 (Connection refused); start podflame-server" \
    top --server http://127.0.0.1:1
ok "without a server it says which one, and what to start"

start_server
export PODFLAME_SERVER=http://$address
podflame top && grep -q ': 0 samples' "$dir/out" && grep -q 'podflame nodes' "$dir/err"
ok "an empty range is no failure, but says where to look"

now=$(date +%s)
cat >"$dir/folded" <<'END'
cc1plus;main;parse;lex 50
cc1plus;main;parse;parse;lex 20
cc1plus;main;page_fault_[k] 10
node;main;~render_[j] 15
node;node+0x1a2b 5
END
"$top_builddir/tests/workloads/make_batch" --node n1 --end "$now" --label namespace=shop \
    <"$dir/folded" >"$dir/1.batch" && post "$dir/1.batch" &&
    echo 'nginx;main;worker 900' | "$top_builddir/tests/workloads/make_batch" --node n2 \
        --end "$now" >"$dir/2.batch" && post "$dir/2.batch"
ok "two nodes' batches are stored"

podflame top --count 2 && sed 1d "$dir/out" >"$dir/rows" && mv "$dir/rows" "$dir/out" &&
    out "  SELF   TOTAL  FUNCTION  OBJECT" "90.00%  90.00%  worker    nginx user" \
        " 7.00%   7.00%  lex       cc1plus user"
ok "top prints the hottest functions first"

podflame --node n1 top --count 100 && sed 1d "$dir/out" >"$dir/rows" && mv "$dir/rows" "$dir/out" &&
    out "  SELF   TOTAL  FUNCTION     OBJECT" "70.00%  70.00%  lex          cc1plus user" \
        "15.00%  15.00%  ~render      [anon] jit" "10.00%  10.00%  page_fault   [kernel] kernel" \
        " 5.00%   5.00%  node+0x1a2b  node user" " 0.00%  80.00%  main         cc1plus user" \
        " 0.00%  70.00%  parse        cc1plus user" " 0.00%  15.00%  main         node user"
ok "what calls itself counts once in total, and flags may stand before the command"

podflame top --node n1 && grep -q ': 100 samples, 1.00 s of CPU time' "$dir/out"
ok "top says how much it is about"

podflame top --process node --count 1 && grep -q '^75.00%  75.00%  ~render' "$dir/out"
ok "top is limited to a process"

podflame top --where namespace=shop,namespace=none && grep -q ': 100 samples' "$dir/out" &&
    podflame top --where namespace=none && grep -q ': 0 samples' "$dir/out"
ok "samples are chosen by label"

podflame top --json --count 1 --node n2 && tr -d ' \n' <"$dir/out" >"$dir/flat" &&
    grep -q '"samples":900,"cpu_ms":9000,"functions":\[{"name":"worker","object":"/usr/bin/nginx","kind":"user","self":900,"total":900}\]}' "$dir/flat"
ok "top prints JSON"

podflame flame --node n1 && LC_ALL=C sort "$dir/folded" | diff - "$dir/out" >"$dir/err"
ok "flame prints the folded lines that went in"

podflame flame --node n2 --group node,namespace && out "n2;-;main;worker 900"
ok "flame stands the labels of --group before the frames"

podflame flame --node n2 --json && grep -q '"folded_nodes"' "$dir/out"
ok "flame prints JSON"

echo 'shop;std::vector<int>::at(unsigned long) const{vector:12};main.go 7' |
    "$top_builddir/tests/workloads/make_batch" --node n4 --end "$now" >"$dir/4.batch" &&
    post "$dir/4.batch" && podflame top --node n4 && grep -q ' std::vector<…>::at  ' "$dir/out" &&
    podflame top --node n4 --names full && grep -q ' std::vector<int>::at(unsigned long) const  ' "$dir/out" &&
    podflame flame --node n4 && out 'shop;std::vector<int>::at(unsigned long) const;main.go 7' &&
    podflame flame --node n4 --names short --lines && out 'shop;std::vector<…>::at:12;main.go 7' &&
    podflame top --node n4 --lines && grep -q ' std::vector<…>::at:12  ' "$dir/out" &&
    podflame top --node n4 --lines --json && grep -q '"file": "vector"' "$dir/out" &&
    fails 2 "--names long: write full or short" top --names long
ok "names are short in a table, and in full where programs read them"

podflame processes --where node=n1,node=n2 && sed 1d "$dir/out" >"$dir/rows" && mv "$dir/rows" "$dir/out" &&
    out " SHARE     CPU  SAMPLES  PROCESS  NODE" "90.00%  9.00 s      900  nginx    n2" \
        " 8.00%  0.80 s       80  cc1plus  n1" " 2.00%  0.20 s       20  node     n1"
ok "processes prints who took the time"

"$top_builddir/tests/workloads/make_batch" --node n3 --end $((now - 3600)) --counter samples=9 \
    --counter stacks_bottom=90 --counter stacks_truncated=9 --counter stacks_pending=2 \
    --counter stacks_of_tomorrow=1 --counter frames_table=300 --counter frames_scan=0 \
    <"$dir/folded" >"$dir/3.batch" && post "$dir/3.batch" &&
    podflame stacks --start -2h --node n3 &&
    grep -q ': 100 stacks, 2 unwound before a table they needed was built$' "$dir/out" &&
    sed -e 1d -e 's/  [A-Z][a-z].*//' "$dir/out" >"$dir/rows" && mv "$dir/rows" "$dir/out" &&
    out " SHARE  COUNT  ENDED AT     MEANING" "90.00%     90  bottom     " \
        " 9.00%      9  truncated  " " 1.00%      1  of_tomorrow  " "" \
        "  SHARE  COUNT  CALLERS BY  MEANING" "100.00%    300  table     " \
        "  0.00%      0  scan      "
ok "stacks prints how they ended and how callers were found, also by words it does not know"

podflame stacks --start -2h --node n3 --json && grep -q '"of_tomorrow": 1' "$dir/out" &&
    podflame stacks --node nobody && grep -q ': 0 stacks' "$dir/out" &&
    grep -q 'podflame nodes' "$dir/err" && fails 2 "unknown flag" stacks --process x
ok "stacks prints JSON, and says where to look when there are none"

podflame nodes && [ "$(grep -c '^n[123] ' "$dir/out")" = 3 ] &&
    grep -q "^n1 .*  $(date -u -d "@$now" '+%Y-%m-%d %H:%M:%SZ')\$" "$dir/out"
ok "nodes prints who sends, and until when"

podflame status && grep -q "^podflame-server .* at http://$address, store sqlite" "$dir/out" &&
    grep -Eq '^samples +1107$' "$dir/out"
ok "status prints what is stored"

podflame batch "$dir/1.batch" && grep -q '"name": "cc1plus"' "$dir/out" &&
    podflame batch "$top_srcdir/tests/golden/batch/sample.batch" &&
    diff "$top_srcdir/tests/golden/batch/sample.json" "$dir/out" >"$dir/err"
ok "batch prints a batch as JSON, without a server"

fails 1 "seq-float.batch: seq is not an unsigned integer" \
    batch "$top_srcdir/tests/golden/batch/seq-float.batch" &&
    fails 1 "No such file" batch "$dir/none" && fails 2 "this must follow: FILE" batch
ok "batch says what is wrong with a file"

fails 1 "the server says: parameter start: 'yesterday' is no time" top --start yesterday
ok "a time that is none gets the server's words"

fails 2 "--where pod: write LABEL=VALUE" top --where pod &&
    fails 2 "there is no command tpo" tpo && grep -q '^  top ' "$dir/err" &&
    fails 2 "which command?" && fails 2 "unknown flag" nodes --count 3 &&
    fails 2 "here is x" nodes x && fails 2 "write http://HOST:PORT" nodes --server 127.0.0.1
ok "a wrong command line is answered with what is right"

fails 1 "the server says: nothing is served at /elsewhere/api/v1/nodes" \
    nodes --server "http://$address/elsewhere"
ok "a wrong path is told"

"$top_builddir/podflame" flame >/dev/full 2>"$dir/err"
[ $? = 1 ] && grep -q "No space left on device" "$dir/err" &&
    { "$top_builddir/podflame" top --json >/dev/full 2>"$dir/err"; [ $? = 1 ]; }
ok "a full disk is told"

podflame --help && grep -q '^  --server URL' "$dir/out" && grep -q '^  batch FILE ' "$dir/out" &&
    podflame nodes --help && grep -q -- --json "$dir/out" && ! grep -q -- --start "$dir/out"
ok "help lists the commands, and a command's own flags"

podflame --man && grep -q '^\.SH COMMANDS' "$dir/out" && grep -q 'fBprocesses' "$dir/out" &&
    podflame --version && grep -q '^podflame [0-9]' "$dir/out"
ok "the manual page and the version are printed"

kill "$server_pid" && wait "$server_pid"
server_pid=
fails 1 "no server at http://$address" status
ok "a server that is gone is told"
