#!/usr/bin/env bash
# signals.sh: what podflamed does when it is told to stop, to read its settings again, or is started
# twice.
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"

begin podflamed podflame-server podflame tests/workloads/split
need_root
name_workload split

batches_spooled() { grep -c 'batch spooled' "$agent_log"; }
at_least() { # command, number
    [ "$($1)" -ge "$2" ]
}
seconds_since() { echo $((SECONDS - $1)); }

# ---- SIGTERM

start_server
start_agent --window 300s
wait_until 20 at_least batches_spooled 1 # the first window closes early
"$workload" 2 >"$dir/truth"
before=$(batches_spooled)
stopped_at=$SECONDS
stop "$agent_pid"
check "SIGTERM ends it with 0" equal $? 0
check "at once" [ "$(seconds_since $stopped_at)" -le 5 ]
check "the window at hand becomes a batch" equal "$(batches_spooled)" $((before + 1))
folded process="$workload_name" >"$dir/folded"
check "which the server has, to the last second" \
    holds "$(count_folded "$dir/folded") > 140 && $(count_folded "$dir/folded") < 260"
check "and the spool no more" spool_is_empty
check "it says what stopped it" matches "$agent_log" 'stopping signal=TERM'

start_agent --window 300s
stop "$agent_pid" INT
check "SIGINT does the same" equal $? 0

# With the server away the last window waits for the next start.
stop "$server_pid"
start_agent --window 300s --shutdown-timeout 1s
stop "$agent_pid"
check "without a server it ends with 0, too" equal $? 0
waiting() { find "$dir/state/spool" -name '*.batch' | wc -l; }
check "and the batch waits in the spool" equal "$(waiting)" 1
check "as it says" matches "$agent_log" 'batches stay in the spool until the next start batches=1'
start_server
start_agent --window 300s
check "the next start ships it" wait_until 20 spool_is_empty

# ---- a second one

"$build/podflamed" --server '' --state-dir "$dir/state" --metrics-listen '' >"$dir/second" 2>&1
check "a second podflamed on one state directory fails" equal $? 1
check "and says why" matches "$dir/second" 'error: the spool .*/state/spool is in use by another process'
check "the first one samples on" curl -sSf -o /dev/null "$agent_metrics"
stop "$agent_pid"

# ---- SIGHUP

settings() { # server, log level, window
    printf '[podflamed]\nserver = %s\nlog-level = %s\nwindow = %s\nstate-dir = %s\nmetrics-listen = 127.0.0.1:0\n' \
        "$1" "$2" "$3" "$dir/state" >"$dir/podflamed.conf"
}
first=$server first_pid=$server_pid
mkdir "$dir/other"
"$build/podflame-server" --listen 127.0.0.1:0 --data-dir "$dir/other/data" >/dev/null 2>"$dir/other/log" &
other_pid=$!
kit_pids+=("$other_pid")
kit_started podflame-server "$other_pid" "$dir/other/log" 0 'listening address='
other=http://$(log_field "$dir/other/log" listening address)

settings "$first" info 1s
agent_log=$dir/hup.log
"$build/podflamed" --config "$dir/podflamed.conf" >/dev/null 2>"$agent_log" &
agent_pid=$!
kit_pids+=("$agent_pid")
kit_started podflamed "$agent_pid" "$agent_log" 0 'metrics address='
agent_metrics=http://$(log_field "$agent_log" metrics address)/metrics
shipped() { metric shipped_batches_total; }
check "it ships every second" wait_until 10 at_least shipped 3
check "at log level info it does not tell of each batch" equal "$(batches_spooled)" 0

settings "$other" debug 1s
kill -HUP "$agent_pid"
check "SIGHUP makes it read its settings again" wait_until 5 matches "$agent_log" 'settings read again'
check "the new log level shows" wait_until 5 at_least batches_spooled 2
stored_at() { server=$1 status_of store.batches; }
others() { stored_at "$other"; }
check "the new server gets the batches" wait_until 10 at_least others 2
had=$(stored_at "$first")
sleep 1.5
check "the old one no more" equal "$(stored_at "$first")" "$had"

settings "$other" shouting 1s
kill -HUP "$agent_pid"
check "wrong settings are refused" wait_until 5 matches "$agent_log" \
    'settings are kept as they were error="log-level is .shouting.'
now=$(others)
check "and it goes on with the old ones" wait_until 5 at_least others $((now + 2))

kill -TERM "$first_pid" "$other_pid"
wait "$first_pid" "$other_pid"
check "a server that is told to stop ends with 0" equal $? 0
check "the agent outlives it" wait_until 10 matches "$agent_log" 'batches cannot be shipped'
stop "$agent_pid"
check "and ends well without it" equal $? 0
[ "$failures" = 0 ] || { show "$agent_log"; show "$dir/agent.log"; }
finish
