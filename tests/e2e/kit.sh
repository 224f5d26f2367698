# shellcheck shell=bash disable=SC2034,SC2120
# kit.sh: what the end-to-end tests share: TAP, a directory and processes that go when the test ends,
# the programs under test. A test sources it, calls begin, then ok/check/..., then finish.
#   KEEP=1  leaves the directory, and says where it is

e2e=${top_srcdir:?}/tests/e2e
build=${top_builddir:?}
workloads=$build/tests/workloads
cases=0 failures=0
kit_pids=()

begin() { # programs the test needs, by their path in the build directory...
    local program
    for program; do
        [ -x "$build/$program" ] || skip_all "$program is not built"
    done
    dir=$(mktemp -d "${TMPDIR:-/tmp}/podflame-e2e.XXXXXX") || bail "no directory for the test"
    trap kit_end EXIT
    trap 'exit 130' INT TERM
}

# CPUs are switched by one test at a time, and not while another counts on knowing every mapping: what
# happens on a CPU between its coming and the opening of its events is told to nobody.
hotplug_lock() { # --exclusive|--shared
    exec 9>"${TMPDIR:-/tmp}/podflame-hotplug.lock"
    flock "$1" 9 || bail "no lock of CPUs"
}

# Also what runs it: samples of all CPUs.
need_root() {
    [ "$(id -u)" = 0 ] || skip_all "only root samples all CPUs"
}

kit_end() {
    local pid
    for pid in "${kit_pids[@]}"; do
        kill -KILL "$pid"
        wait "$pid"
    done 2>/dev/null
    [ "$(type -t test_cleanup)" != function ] || test_cleanup
    if [ -n "${KEEP:-}" ]; then
        echo "# kept: $dir"
    else
        rm -rf "$dir"
    fi
}

# ---- TAP

note() { printf '# %s\n' "$*"; }
show() { [ ! -s "$1" ] || tail -n "${2:-30}" "$1" | sed 's/^/# | /'; }
ok() { echo "ok $((++cases)) - $1"; }
not_ok() { # sentence, why...
    echo "not ok $((++cases)) - $1"
    shift
    [ $# = 0 ] || note "$@"
    failures=$((failures + 1))
}
skip() { echo "ok $((++cases)) - $1 # SKIP $2"; }
skip_all() {
    echo "1..0 # SKIP $1"
    exit 0
}
bail() {
    echo "Bail out! $*"
    exit 1
}
finish() {
    echo "1..$cases"
    [ "$failures" = 0 ]
    exit
}

# check SENTENCE COMMAND...: the command says whether it is so; what it prints is shown.
check() {
    local sentence=$1
    shift
    if "$@" >"$dir/said" 2>&1; then ok "$sentence"; else not_ok "$sentence"; fi
    sed 's/^/# /' "$dir/said"
}

# holds AWK-EXPRESSION: arithmetic of more than whole numbers.
holds() {
    awk "BEGIN { exit !($1) }" && return
    echo "it is not so that $1"
    return 1
}
equal() { # got, wanted
    [ "$1" = "$2" ] || { echo "got '$1', wanted '$2'"; return 1; }
}
matches() { # file, extended regular expression
    grep -Eq -e "$2" "$1" || { echo "no line matches '$2' in:"; tail -n 20 "$1"; return 1; }
}

# ---- processes

# Makes a copy of a workload under a name of its own, which fits the kernel's 15 bytes: tests run side
# by side, and each samples the whole machine. Sets workload_name and workload.
name_workload() { # which
    workload_name=$1.$$
    workload=$dir/$workload_name
    cp "$workloads/$1" "$workload" || bail "no workload $1"
}

# first_in_queue COMMAND...: with three times the share of the CPUs that others have: sched(7), "The
# autogroup feature". More would starve podflamed's threads that read files and build tables. It takes
# the shell's place: call it in one of its own.
first_in_queue() {
    # shellcheck disable=SC2016 # the inner shell's
    exec nice -n -10 setsid --wait sh -c 'echo -5 2>/dev/null >/proc/$$/autogroup; exec "$@"' - "$@"
}

# wait_until SECONDS COMMAND...
wait_until() {
    local tries=$(($1 * 20))
    shift
    while ! "$@" >/dev/null 2>&1; do
        [ $((tries--)) -gt 0 ] || return 1
        sleep 0.05
    done
}

forget() { # a pid that is gone
    local pid kept=()
    for pid in "${kit_pids[@]}"; do [ "$pid" = "$1" ] || kept+=("$pid"); done
    kit_pids=("${kept[@]}")
}

# stop PID [SIGNAL]: its exit code is ours.
stop() {
    kill "-${2:-TERM}" "$1" 2>/dev/null
    wait "$1" 2>/dev/null
    local rc=$?
    forget "$1"
    return $rc
}

is_gone() { ! kill -0 "$1" 2>/dev/null; }

# After `word=value` in the last such line of a log.
log_field() { # file, line's words, field
    sed -n "s/.*$2.* $3=\"\{0,1\}\([^ \"]*\).*/\1/p" "$1" | tail -n 1
}

# Lines that a log had before are an earlier process's: they are not waited for.
kit_started() { # name, pid, log, lines before, words of the line that says it is ready
    local tries=600
    until tail -n "+$(($4 + 1))" "$3" 2>/dev/null | grep -q -e "$5"; do
        if is_gone "$2" || [ $((tries--)) = 0 ]; then
            show "$3"
            bail "$1 did not start"
        fi
        sleep 0.05
    done
}

lines_of() { if [ -e "$1" ]; then wc -l <"$1"; else echo 0; fi; }

# start_server [flags]: server_pid, server_log, server (its URL). Called again it takes the same
# port and data.
start_server() {
    server_log=$dir/server.log
    local before
    before=$(lines_of "$server_log")
    "$build/podflame-server" --listen "${server_address:-127.0.0.1:0}" --data-dir "$dir/data" \
        --log-level debug "$@" >/dev/null 2>>"$server_log" &
    server_pid=$!
    kit_pids+=("$server_pid")
    kit_started podflame-server "$server_pid" "$server_log" "$before" 'listening address='
    server_address=$(log_field "$server_log" listening address)
    server=http://$server_address
}

# start_agent [flags]: agent_pid, agent_log, agent_metrics (a URL). It ships to the server that was
# started, or nowhere.
start_agent() {
    agent_log=$dir/agent.log
    local before
    before=$(lines_of "$agent_log")
    "$build/podflamed" --server "${server:-}" --state-dir "$dir/state" --log-level debug \
        --metrics-listen 127.0.0.1:0 "$@" >/dev/null 2>>"$agent_log" &
    agent_pid=$!
    kit_pids+=("$agent_pid")
    kit_started podflamed "$agent_pid" "$agent_log" "$before" 'metrics address='
    agent_metrics=http://$(log_field "$agent_log" metrics address)/metrics
}

# ---- asking them

metric() { # name without podflamed_ in front
    curl -sS --max-time 10 "$agent_metrics" | awk -v name="podflamed_$1" '$1 == name { print $2 }'
}

# folded [PARAMETER=VALUE...]: all that was sampled in the last hour.
folded() {
    local args=()
    for pair; do args+=(--data-urlencode "$pair"); done
    curl -sS --fail-with-body --max-time 60 -G "$server/api/v1/flame" --data-urlencode format=folded \
        --data-urlencode start=-1h "${args[@]}"
}

# status_of store.samples: a number of /api/v1/status.
status_of() {
    curl -sS --max-time 60 "$server/api/v1/status" |
        sed -n "s/.*\"${1%.*}\":{[^}]*\"${1#*.}\":\([0-9]*\).*/\1/p"
}

spool_is_empty() { [ -z "$(find "$dir/state/spool" -name '*.batch')" ]; }

# count_folded FILE [REGEX]: samples in folded lines; in those that match.
count_folded() {
    awk -v regex="${2-}" 'regex == "" || $0 ~ regex { n += $NF } END { print n + 0 }' "$1"
}

# Of all that was sampled, in $dir/folded.
lines_of_process() { grep -E "^$1(;|\[)" "$dir/folded"; }

# chain PROCESS LEAF REGEX: at least nine of ten of the process's samples that are in the function
# LEAF have the chain REGEX, from the root on.
chain() {
    local all good
    lines_of_process "$1" | grep -E ";$2(;| [0-9]+\$)" >"$dir/lines"
    all=$(count_folded "$dir/lines")
    grep -Ev "^[^;]*;$3(;[^;]*)* [0-9]+\$" "$dir/lines" >"$dir/others"
    good=$((all - $(count_folded "$dir/others")))
    echo "$good of $all samples"
    head -n 1 "$dir/others" | cut -c 1-1000
    [ "$good" -ge 10 ] && [ $((good * 10)) -ge $((all * 9)) ]
}
