# shellcheck shell=bash
# common.sh: how quickstart speaks: errors, and one line that says what it is doing.

started_at=$SECONDS
on_terminal=no
[ ! -t 1 ] || on_terminal=yes

die() {
    clear_progress
    echo "quickstart: $*" >&2
    exit 1
}

say() {
    clear_progress
    echo "$*"
}

# On a terminal the one line is written over; elsewhere a line is printed when what is done changes.
last_progress=
progress() { # what, detail that may change often
    if [ "$on_terminal" = yes ]; then
        local line width
        width=$(tput cols 2>/dev/null) || width=80
        line="[$((SECONDS - started_at)) s] $1${2:+: $2}"
        printf '\r\033[K%s' "${line:0:$((width - 1))}"
    elif [ "$1" != "$last_progress" ]; then
        echo "[$((SECONDS - started_at)) s] $1"
    fi
    last_progress=$1
}

clear_progress() {
    [ "$on_terminal" = no ] || printf '\r\033[K'
}

# In the background and in a process group of its own, so that all it starts can be ended with it.
start_group() { # command...
    set -m
    "$@" &
    set +m
}

# Runs a command with its output in a file, and shows the file's last line as it goes.
run_logged() { # what, log file, command...
    local what=$1 log=$2 pid
    shift 2
    progress "$what"
    start_group "$@" >"$log" 2>&1 </dev/null
    pid=$!
    # shellcheck disable=SC2064 # the pid of now is meant
    trap "kill -- -$pid 2>/dev/null; clear_progress; echo interrupted >&2; exit 130" INT TERM
    while [ "$on_terminal" = yes ] && kill -0 "$pid" 2>/dev/null; do
        progress "$what" "$(tail -n 1 "$log" | tr -d '\r' | cut -c 1-200)"
        sleep 0.3
    done
    wait "$pid"
    local rc=$?
    trap - INT TERM
    return $rc
}

# The end of a log, for a person who wants to know why.
show_log() { # log file
    echo "---- the last lines of $1" >&2
    tail -n 25 "$1" >&2
    echo "----" >&2
}

need_root() { # command, why
    [ "$(id -u)" = 0 ] || die "$1 needs root: $2. Try: sudo packaging/quickstart $1"
}

# What root has made in somebody's tree is theirs.
give_back() {
    [ ! -e "$top/build" ] || chown -R --reference="$top" "$top/build" 2>/dev/null
    chown --reference="$top" "$top"/{configure,config.h.in,aclocal.m4,Makefile.in} 2>/dev/null
    chown -R --reference="$top" "$top"/{build-aux,autom4te.cache} 2>/dev/null
    return 0
}
