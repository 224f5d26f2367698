#!/usr/bin/env bash
# pod_sources.sh: whoever is asked of pods and does not answer, or answers nonsense, holds nothing up:
# samples are taken, /metrics says what is wrong, and the end comes in time.
# shellcheck source=tests/e2e/kit.sh disable=SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
begin podflamed tests/workloads/split
need_root
command -v node >/dev/null || skip_all "there is no node"
command -v openssl >/dev/null || skip_all "there is no openssl"

# A server that hangs, one that answers each socket with nonsense, and one that does so as kubelet.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/key.pem" -out "$dir/cert.pem" -days 2 \
    -subj /CN=kubelet 2>"$dir/openssl.log" || bail "no certificate: $(cat "$dir/openssl.log")"
cat >"$dir/servers.mjs" <<'END'
import fs from "node:fs";
import https from "node:https";
import net from "node:net";
const [dir] = process.argv.slice(2);
const hanging = net.createServer(() => {});
const nonsense = (socket) => { socket.on("error", () => {}); socket.end("PRI * HTTP/0.0\r\n\0\xff{]"); };
net.createServer(nonsense).listen(`${dir}/cri.sock`);
net.createServer(nonsense).listen(`${dir}/docker.sock`);
hanging.listen(0, "127.0.0.1", () => fs.writeFileSync(`${dir}/port`, `${hanging.address().port}`));
const tls = { key: fs.readFileSync(`${dir}/key.pem`), cert: fs.readFileSync(`${dir}/cert.pem`) };
const kubelet = https.createServer(tls, (request, answer) => {
    console.log(request.headers.authorization);
    answer.statusCode = fs.existsSync(`${dir}/broken`) ? 500 : 200;
    answer.end(`nonsense\n{"items": [\0{`);
});
kubelet.listen(0, "127.0.0.1", () => fs.writeFileSync(`${dir}/kubelet-port`, `${kubelet.address().port}`));
END
node "$dir/servers.mjs" "$dir" >"$dir/asked" 2>"$dir/servers.log" &
kit_pids+=($!)
servers_run() { [ -s "$dir/port" ] && [ -s "$dir/kubelet-port" ]; }
wait_until 30 servers_run || { show "$dir/servers.log"; bail "the servers did not start"; }
name_workload split
"$workload" 300 >/dev/null &
kit_pids+=($!)

state() { sed -n "s/^podflamed_source_state_seconds{source=\"$1\",state=\"\([^\"]*\)\".*/\1/p" "$dir/metrics"; }
error() { sed -n "s/^podflamed_source_state_seconds{source=\"$1\",.*error=\"\(.*\)\"} .*/\1/p" "$dir/metrics"; }
read_metrics() { curl -sS --max-time 10 "$agent_metrics" >"$dir/metrics"; }
all_have_failed() { read_metrics && [ "$(state kubelet) $(state cri) $(state docker) $(state log-dirs)" = "failing failing failing failing" ]; }
samples() { sed -n 's/^podflamed_samples_total //p' "$dir/metrics"; }

# ---- none answers

token=e2e-$$-token-that-nobody-may-see
echo "$token" >"$dir/token"
start_agent --window 2s --kubelet-url "https://127.0.0.1:$(cat "$dir/port")" --kubelet-insecure --kubelet-token "$dir/token" \
    --cri-socket "$dir/cri.sock" --docker-socket "$dir/docker.sock" --pod-logs "$dir/no-logs" --pod-info ''
check "all that do not answer fail in the end" wait_until 60 all_have_failed
for source in kubelet cri docker log-dirs; do note "$source: $(error $source)"; done
check "the error names the directory" equal "$(error log-dirs)" "opening $dir/no-logs: No such file or directory"
sleep 2
read_metrics
check "samples were taken meanwhile" holds "$(samples) > 100"
two_batches() { [ "$(find "$dir/state/spool" -name '*.batch' | wc -l)" -ge 2 ]; }
check "and batches made of them" wait_until 60 two_batches
said() { [ "$(grep -c "a source of pods fails source=$1" "$agent_log")" = 1 ] || { grep "source of pods" "$agent_log"; false; }; }
for source in kubelet cri docker log-dirs; do check "the log says once that $source fails" said $source; done
check "/metrics does not tell the token" equal "$(grep -c "$token" "$dir/metrics")" 0
check "it ends in order" stop "$agent_pid"

# ---- kubelet answers with nonsense

kubelet_has_failed() { read_metrics && [ "$(state kubelet)" = failing ]; }
nonsense() { # words
    start_agent --window 2s --kubelet-url "https://127.0.0.1:$(cat "$dir/kubelet-port")" --kubelet-insecure \
        --kubelet-token "$dir/token" --cri-socket '' --docker-socket '' --pod-logs '' --pod-info ''
    check "a kubelet that $1 fails" wait_until 60 kubelet_has_failed
    note "kubelet: $(error kubelet)"
    sleep 2
    read_metrics
    check "samples are taken when it $1" holds "$(samples) > 100"
    check "/metrics does not tell the token when it $1" equal "$(grep -c "$token" "$dir/metrics")" 0
    check "podflamed ends in order when it $1" stop "$agent_pid"
}
nonsense "answers nonsense"
: >"$dir/broken"
nonsense "answers an error"
check "kubelet was given the token" matches "$dir/asked" "^Bearer $token\$"
check "and the log never tells it" equal "$(grep -c "$token" "$agent_log")" 0

# ---- there is nothing to ask

start_agent --window 2s --kubelet-url '' --cri-socket '' --docker-socket '' --pod-logs '' --pod-info ''
sleep 3
read_metrics
check "without sources none is told of" equal "$(grep -c '^podflamed_source_up{' "$dir/metrics")" 0
check "and samples are taken" holds "$(samples) > 100"
stop "$agent_pid"

# ---- what comes later is found

start_agent --window 2s --kubelet-url '' --cri-socket '' --docker-socket '' --pod-logs "$dir/logs" --pod-info ''
mkdir -p "$dir/logs/pods/shop_web-1_5b2f8a2e-6c3d-4a0e-9a57-0c1de1f0aa01"
answers() { read_metrics && [ "$(state log-dirs)" = ok ]; }
check "log directories that are made later are found" wait_until 60 answers
check "with the pod in them" matches "$dir/metrics" '^podflamed_source_pods\{source="log-dirs"\} 1$'
stop "$agent_pid"
[ "$failures" = 0 ] || show "$agent_log"
finish
