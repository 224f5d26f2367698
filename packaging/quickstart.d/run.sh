# shellcheck shell=bash
# run.sh: `quickstart run`: build, start the server and the agent, show what is hot, stop both.

run_port=7357
run_data=/var/lib/podflame
run_duration=
run_install=yes
run_since=
server_pid=
agent_pid=

run_arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
        --port=* | --data-dir=* | --duration=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
        esac
        case $1 in
        --no-install)
            run_install=no
            shift
            continue
            ;;
        --port | --data-dir | --duration) [ $# -ge 2 ] || die "$1: a value must follow" ;;
        *) die "run: unknown argument \"$1\"; there are --port N, --data-dir DIR, --duration SECONDS, --no-install" ;;
        esac
        case $1 in
        --port) run_port=$2 ;;
        --data-dir) run_data=$2 ;;
        --duration) run_duration=${2%s} ;;
        esac
        shift 2
    done
    [[ $run_port =~ ^[1-9][0-9]{0,4}$ && $run_port -le 65535 ]] ||
        die "--port: \"$run_port\" is not a port from 1 to 65535"
    [[ -z $run_duration || $run_duration =~ ^[1-9][0-9]*$ ]] ||
        die "--duration: \"$run_duration\" is not a number of seconds"
}

port_answers() {
    (exec 3<>"/dev/tcp/127.0.0.1/$run_port") 2>/dev/null
}

build_for_run() { # build directory, log directory
    if ! make_configure "$2/configure.log" ||
        ! run_logged "configuring" "$2/configure.log" configure_in "$1" --prefix="$1/root"; then
        show_log "$2/configure.log"
        die "configure failed; all of it is in $2/configure.log"
    fi
    run_logged "building" "$2/build.log" make -C "$1" -j"$(nproc)" install || {
        show_log "$2/build.log"
        die "the build failed; all of it is in $2/build.log"
    }
}

is_running() { # pid
    [ -n "$1" ] && kill -0 "$1" 2>/dev/null
}

# Asks with SIGTERM, waits, insists.
stop_process() { # pid, seconds to wait
    local pid=$1 left=$(($2 * 10))
    is_running "$pid" || return 0
    kill -TERM "$pid"
    while is_running "$pid" && [ $left -gt 0 ]; do
        sleep 0.1
        left=$((left - 1))
    done
    ! is_running "$pid" || kill -KILL "$pid"
    wait "$pid" 2>/dev/null
}

# The agent first: what it has of the open window goes to the server that still runs.
stop_both() {
    trap 'trap - INT; kill -KILL $agent_pid $server_pid 2>/dev/null; exit 130' INT
    progress "stopping podflamed"
    stop_process "$agent_pid" 20
    progress "stopping podflame-server"
    stop_process "$server_pid" 20
    clear_progress
}

fail_run() { # log file, message
    show_log "$1"
    stop_both
    give_back
    die "$2; all of it is in $1"
}

# Own sessions, so that the terminal's Ctrl-C reaches this script alone and the order of stopping is
# ours.
start_server() { # directory of programs, log directory
    progress "starting podflame-server"
    setsid "$1/sbin/podflame-server" --listen "127.0.0.1:$run_port" --data-dir "$run_data/server" \
        >"$2/server.log" 2>&1 </dev/null &
    server_pid=$!
    local tries=100
    until port_answers; do
        is_running "$server_pid" || fail_run "$2/server.log" "podflame-server did not start"
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail_run "$2/server.log" "podflame-server does not answer after 10 s"
        sleep 0.1
    done
}

start_agent() { # directory of programs, log directory
    progress "starting podflamed"
    setsid "$1/sbin/podflamed" --server "http://127.0.0.1:$run_port" --state-dir "$run_data/agent" \
        --metrics-listen "" >"$2/agent.log" 2>&1 </dev/null &
    agent_pid=$!
}

# Waits for the first window, then prints what was hottest.
show_hottest() { # directory of programs, log directory
    local table deadline=$((SECONDS + 60))
    while [ $SECONDS -lt $deadline ]; do
        is_running "$agent_pid" || fail_run "$2/agent.log" "podflamed ended"
        is_running "$server_pid" || fail_run "$2/server.log" "podflame-server ended"
        if table=$("$1/bin/podflame" top --server "http://127.0.0.1:$run_port" --start "$run_since" 2>"$2/top.log") &&
            [[ $table != *": 0 samples"* ]]; then
            say "The ten hottest functions so far:"
            echo "$table"
            return
        fi
        progress "waiting for the first window"
        sleep 0.3
    done
    fail_run "$2/agent.log" "no samples reached the server within 60 s"
}

run_main() {
    run_arguments "$@"
    need_root run "only root may sample every CPU"
    ! port_answers || die "port $run_port is in use on 127.0.0.1; choose another with --port"
    local build=$top/build/run logs=$top/build/run/logs programs=$top/build/run/root
    mkdir -p "$logs" "$run_data" || die "cannot make $logs and $run_data"
    [ $run_install = no ] || install_packages run "$logs"
    build_for_run "$build" "$logs"
    stopping=no
    trap 'stopping=yes' INT TERM
    start_server "$programs" "$logs"
    run_since=$(date +%s)
    start_agent "$programs" "$logs"
    say "podflame is at http://127.0.0.1:$run_port (started in $((SECONDS - started_at)) s)"
    [ $stopping = yes ] || show_hottest "$programs" "$logs"
    [ $stopping = yes ] || say "It goes on${run_duration:+ for $run_duration s}; Ctrl-C stops it. Logs: $logs"
    local end=$((SECONDS + ${run_duration:-2000000000}))
    while [ $stopping = no ] && [ $SECONDS -lt $end ]; do
        is_running "$agent_pid" || fail_run "$logs/agent.log" "podflamed ended"
        is_running "$server_pid" || fail_run "$logs/server.log" "podflame-server ended"
        sleep 0.2
    done
    stop_both
    give_back
    say "Stopped. The data is in $run_data; the same command shows it again."
}
