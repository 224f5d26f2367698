# shellcheck shell=bash disable=SC2034,SC2154,SC2317
# runtime.sh: a real container runtime (containerd) of a test's own, with one image and no registry; for
# tests that have kit.sh and have begun. What is missing on the machine skips the test.

for program in containerd runc node; do
    command -v "$program" >/dev/null || skip_all "there is no $program"
done
busybox=$(command -v busybox) || skip_all "there is no busybox"
! ldd "$busybox" >/dev/null 2>&1 || skip_all "busybox is not static"
[ -x /usr/lib/cni/loopback ] || skip_all "there are no CNI plugins"

logs=$dir/log
socket=$dir/cri.sock
image=localhost/test:1
cgroups=/podflame-$$
# Flags that leave out whom a test does not ask.
none=(--kubelet-url '' --docker-socket '' --pod-info '')
cri() { node "$e2e/cri.mjs" "$socket" "$@"; }

make_image() {
    local root=$dir/image/root digest
    mkdir -p "$root"/{bin,etc,proc,sys,dev,tmp}
    cp "$busybox" "$root/bin/busybox" && ln "$root/bin/busybox" "$root/bin/sh" && ln "$root/bin/busybox" "$root/bin/sleep"
    tar -C "$root" -cf "$dir/image/layer.tar" . || return
    digest=$(sha256sum "$dir/image/layer.tar" | cut -d' ' -f1)
    # The sandbox runs it, too.
    cat >"$dir/image/config.json" <<END
{"architecture":"amd64","os":"linux","config":{"Cmd":["/bin/sleep","1000000"]},
 "rootfs":{"type":"layers","diff_ids":["sha256:$digest"]}}
END
    echo "[{\"Config\":\"config.json\",\"RepoTags\":[\"$image\"],\"Layers\":[\"layer.tar\"]}]" >"$dir/image/manifest.json"
    tar -C "$dir/image" -cf "$dir/image.tar" manifest.json config.json layer.tar
}

start_runtime() {
    make_image || bail "no image"
    cat >"$dir/containerd.toml" <<END
version = 2
root = "$dir/root"
state = "$dir/run"
[grpc]
  address = "$socket"
[plugins."io.containerd.internal.v1.opt"]
  path = "$dir/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$image"
  restrict_oom_score_adj = true
  disable_tcp_service = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$dir/cni"
END
    containerd -c "$dir/containerd.toml" >"$dir/containerd.log" 2>&1 &
    runtime_pid=$!
    kit_pids+=("$runtime_pid")
    wait_until 30 ctr -a "$socket" version || { show "$dir/containerd.log"; skip_all "containerd does not start here"; }
    ctr -a "$socket" -n k8s.io images import "$dir/image.tar" >"$dir/import.log" 2>&1 ||
        { show "$dir/import.log"; bail "the image was not taken"; }
}

# After the processes that kit.sh ends, containerd among them: a second one tidies up.
test_cleanup() {
    local tree
    [ -S "$socket" ] || return 0
    containerd -c "$dir/containerd.toml" >>"$dir/containerd.log" 2>&1 &
    local pid=$!
    wait_until 30 ctr -a "$socket" version && cri remove-all
    kill "$pid" && wait "$pid"
    for tree in "/sys/fs/cgroup$cgroups" /sys/fs/cgroup/*"$cgroups"; do
        [ ! -d "$tree" ] || find "$tree" -depth -type d -exec rmdir {} \;
    done
} 2>/dev/null

# start_pod NAMESPACE POD UID CONTAINER SECONDS: its program burns CPU.
start_pod() {
    cri start "$1" "$2" "$3" "$cgroups/burstable" "$logs" "$4" "$image" \
        /bin/sh -c "t=\$((\$(date +%s) + $5)); while [ \$(date +%s) -lt \$t ]; do i=0; while [ \$i -lt 20000 ]; do i=\$((i + 1)); done; done; exec sleep 1000"
}
