# shellcheck shell=bash disable=SC2034,SC2154
# containerd.sh: real pods for a test that has sourced kit.sh: a containerd of its own, whose image has what
# the test wants, and no network. Cgroups are below /podflame-e2e.PID.

need_containerd() {
    local program
    for program in containerd ctr runc busybox node; do
        command -v "$program" >/dev/null ||
            skip_all "$program is not installed (Debian: containerd runc busybox-static nodejs)"
    done
    containerd_top=podflame-e2e.$$
}

# How it is run; a test may have it run otherwise, and settings of its own in containerd_options.
run_containerd() { # file of settings
    setsid containerd -c "$1" >"$dir/containerd.log" 2>&1 &
    containerd_pid=$!
}

# start_containerd PROGRAM...: they are in the image's /, with the libraries they need.
start_containerd() {
    containerd_dir=$dir/containerd containerd_image=localhost/test:1
    containerd_socket=$containerd_dir/s
    mkdir -p "$containerd_dir"
    containerd_make_image "$@"
    # The copying snapshotter works whatever file system the directory is on.
    cat >"$containerd_dir/config.toml" <<END
version = 2
root = "$containerd_dir/root"
state = "$containerd_dir/state"
[grpc]
  address = "$containerd_socket"
[plugins."io.containerd.internal.v1.opt"]
  path = "$containerd_dir/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$containerd_image"
  restrict_oom_score_adj = true
  disable_tcp_service = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".cni]
    conf_dir = "$containerd_dir/cni"
${containerd_options:-}
END
    run_containerd "$containerd_dir/config.toml"
    wait_until 30 ctr -a "$containerd_socket" version || { show "$dir/containerd.log"; bail "containerd did not start"; }
    ctr -a "$containerd_socket" -n k8s.io images import --snapshotter native "$containerd_dir/image.tar" >"$dir/import" 2>&1 ||
        { show "$dir/import"; bail "the image could not be imported"; }
}

containerd_make_image() {
    local root=$containerd_dir/image program library
    mkdir -p "$root/bin" "$root/etc" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/out"
    cp "$(command -v busybox)" "$root/bin/busybox"
    for program in sh sleep date; do ln -s busybox "$root/bin/$program"; done
    for program; do cp "$program" "$root/"; done
    for program in "$root/bin/busybox" "$@"; do
        ldd "$program" 2>&1 | grep -o '/[^ ]*' | while read -r library; do
            mkdir -p "$root${library%/*}" && cp -Ln "$library" "$root$library"
        done
    done
    tar -C "$root" -cf "$containerd_dir/layer.tar" .
    local digest
    digest=$(sha256sum "$containerd_dir/layer.tar" | cut -d' ' -f1)
    # The pause container is the same image.
    cat >"$containerd_dir/config.json" <<END
{"architecture": "$(case $(uname -m) in aarch64) echo arm64 ;; *) echo amd64 ;; esac)", "os": "linux",
 "config": {"Cmd": ["/bin/sleep", "1000000"]}, "rootfs": {"type": "layers", "diff_ids": ["sha256:$digest"]}}
END
    printf '[{"Config": "config.json", "RepoTags": ["%s"], "Layers": ["layer.tar"]}]' "$containerd_image" \
        >"$containerd_dir/manifest.json"
    tar -C "$containerd_dir" -cf "$containerd_dir/image.tar" manifest.json config.json layer.tar
}

cri() { node "$e2e/cri.mjs" "$containerd_socket" "$@"; }

# run_pod NAME NAMESPACE UID [LOGS]: prints what run_container takes.
run_pod() { cri pod "$1" "$2" "$3" "/$containerd_top/kubepods/burstable/pod$3" ${4:+"$4"}; }
# run_container POD NAME SPEC COMMAND...: prints its id.
run_container() {
    local pod=$1 name=$2 spec=$3
    shift 3
    cri container "$pod" "$name" "$containerd_image" "$spec" "$@"
}

stop_containerd() {
    [ -n "${containerd_pid:-}" ] || return 0
    cri remove-all
    kill "$containerd_pid"
    wait "$containerd_pid"
    local top tries=50
    while [ $((tries--)) -gt 0 ]; do
        top=$(find /sys/fs/cgroup -maxdepth 2 -name "$containerd_top" -type d)
        [ -n "$top" ] || break
        # shellcheck disable=SC2086 # several
        find $top -depth -type d -exec rmdir {} + 2>/dev/null
        sleep 0.1
    done
    awk -v below="$containerd_dir/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
        while read -r mounted; do umount -l "$mounted"; done
} 2>/dev/null
