#!/usr/bin/env bash
# up.sh: one real Kubernetes node on this machine: etcd, API server (RBAC), controller-manager, scheduler,
# containerd, kubelet; then the pods of manifests/. All listen on the loopback. down.sh undoes it.
set -eu
# shellcheck source=tests/kube/lib.sh
. "$(dirname "$0")/lib.sh"
umask 022
mkdir -p "$run"/{pki,pid,log,manifests,cni,img,volumeplugins,kubelet-pki}
node_ip=$(ip -4 -o addr show scope global | awk '{ sub("/.*", "", $4); print $4; exit }')
node_ip=${node_ip:-127.0.0.1}

write_before() {
    local key dir
    echo "boot $(this_boot)"
    for key in "${sysctls[@]}"; do [ ! -r "/proc/sys/$key" ] || echo "sysctl $key $(cat "/proc/sys/$key")"; done
    for dir in /var/log/pods /var/log/containers /var/lib/cni /var/lib/kubelet; do [ -e "$dir" ] || echo "absent $dir"; done
}
[ -f "$run/before" ] || { write_before >"$run/before.new" && mv "$run/before.new" "$run/before"; }

# ---- certificates

certificate() { # name, subject, SAN
    (
        cd "$run/pki"
        openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2"
        printf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n%s\n' "${3:+subjectAltName=$3}" >"$1.ext"
        openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile "$1.ext" -out "$1.crt"
    ) 2>>"$run/log/openssl.log"
}
login() { # name, subject
    certificate "$1" "$2"
    cat >"$run/$1.conf" <<Y
{"apiVersion": "v1", "kind": "Config", "current-context": "c",
 "clusters": [{"name": "c", "cluster": {"server": "$api", "certificate-authority": "$run/pki/ca.crt"}}],
 "users": [{"name": "u", "user": {"client-certificate": "$run/pki/$1.crt", "client-key": "$run/pki/$1.key"}}],
 "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}
Y
}
{
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=kubernetes-ca \
        -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature -keyout "$run/pki/ca.key" -out "$run/pki/ca.crt"
    openssl genrsa -out "$run/pki/sa.key" 2048
    openssl rsa -in "$run/pki/sa.key" -pubout -out "$run/pki/sa.pub"
} 2>>"$run/log/openssl.log"
certificate apiserver /CN=kube-apiserver "DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:10.96.0.1"
certificate kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
certificate kubelet-serving "/O=system:nodes/CN=system:node:$node_name" "DNS:$node_name,IP:127.0.0.1"
login admin /O=system:masters/CN=admin
login controller-manager /CN=system:kube-controller-manager
login scheduler /CN=system:kube-scheduler
login kubelet "/O=system:nodes/CN=system:node:$node_name"
say "certificates"

# ---- control plane

etcd=http://127.0.0.1:2379
start_daemon etcd etcd --name e --data-dir "$run/etcd" --listen-client-urls $etcd --advertise-client-urls $etcd --unsafe-no-fsync \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster e=http://127.0.0.1:2380
await 60 "etcd answers" curl -fsS --noproxy '*' $etcd/health
start_daemon kube-apiserver "$store/bin/kube-apiserver" --bind-address=127.0.0.1 --secure-port=6443 --advertise-address="$node_ip" \
    --etcd-servers=$etcd --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged \
    --client-ca-file="$run/pki/ca.crt" --tls-cert-file="$run/pki/apiserver.crt" --tls-private-key-file="$run/pki/apiserver.key" \
    --kubelet-client-certificate="$run/pki/kubelet-client.crt" --kubelet-client-key="$run/pki/kubelet-client.key" \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$run/pki/sa.pub" \
    --service-account-signing-key-file="$run/pki/sa.key" --service-cluster-ip-range=10.96.0.0/16 --feature-gates=EphemeralContainers=true
await 120 "the API server is ready" kubectl get --raw /readyz
start_daemon kube-controller-manager "$store/bin/kube-controller-manager" --bind-address=127.0.0.1 --kubeconfig="$run/controller-manager.conf" \
    --use-service-account-credentials --service-account-private-key-file="$run/pki/sa.key" --root-ca-file="$run/pki/ca.crt" \
    --cluster-signing-cert-file="$run/pki/ca.crt" --cluster-signing-key-file="$run/pki/ca.key" --leader-elect=false
start_daemon kube-scheduler "$store/bin/kube-scheduler" --bind-address=127.0.0.1 --kubeconfig="$run/scheduler.conf" --leader-elect=false

# ---- containerd

cat >"$run/cni/10.conflist" <<J
{"cniVersion": "0.4.0", "name": "$cni_network", "plugins": [{"type": "ptp", "ipMasq": false,
 "ipam": {"type": "host-local", "dataDir": "$run/ipam", "ranges": [[{"subnet": "10.254.79.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
J
# restrict_oom_score_adj: there may be no CAP_SYS_RESOURCE. netns_mounts_under_state_dir: down.sh finds them.
# The copying snapshotter works whatever file system the store is on.
cat >"$run/containerd.toml" <<T
version = 2
root = "$run/containerd"
state = "$run/containerd-state"
[grpc]
  address = "$socket"
[plugins."io.containerd.internal.v1.opt"]
  path = "$run/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:3"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_tcp_service = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$(if [ -d /usr/lib/cni ]; then echo /usr/lib/cni; else echo /opt/cni/bin; fi)"
    conf_dir = "$run/cni"
T
start_daemon containerd containerd -c "$run/containerd.toml"
await 30 "containerd answers" ctr -a "$socket" version

# What all pods run: some per cent of a CPU, in a program of its own name.
make_image() {
    local root=$run/img/root program digest name
    mkdir -p "$root"/{bin,app,etc,proc,sys,dev,tmp}
    cp "$(command -v busybox)" "$root/bin/busybox"
    for program in sh sleep; do ln -s busybox "$root/bin/$program"; done
    # shellcheck disable=SC2016 # the container's
    printf '#!/bin/sh\nwhile :; do i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; sleep .3; done\n' >"$root/app/busy"
    chmod 755 "$root/app/busy"
    tar -C "$root" -cf "$run/img/layer.tar" .
    digest=$(sha256sum "$run/img/layer.tar" | cut -d' ' -f1)
    # With one image of two names each sandbox would show the pods'.
    for name in pause:3 busybox:1; do
        cat >"$run/img/config.json" <<J
{"architecture": "$(case $(uname -m) in aarch64) echo arm64 ;; *) echo amd64 ;; esac)", "os": "linux", "author": "$name",
 "config": {"Cmd": ["/bin/sleep", "1000000"]}, "rootfs": {"type": "layers", "diff_ids": ["sha256:$digest"]}}
J
        printf '[{"Config": "config.json", "RepoTags": ["localhost/%s"], "Layers": ["layer.tar"]}]' "$name" >"$run/img/manifest.json"
        tar -C "$run/img" -cf "$run/img/img.tar" manifest.json config.json layer.tar
        ctr -a "$socket" -n k8s.io images import --snapshotter native "$run/img/img.tar" >>"$run/log/import.log"
    done
}
make_image
say "images"

# ---- kubelet

: >"$run/resolv.conf"
# oomScoreAdj: as above. makeIPTablesUtilChains: the machine's firewall is left alone. imageGC...: the images
# come from nowhere else. evictionHard: however full the disk is. DevicePlugins write to /var/lib/kubelet.
cat >"$run/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
port: 10250
readOnlyPort: 0
tlsCertFile: $run/pki/kubelet-serving.crt
tlsPrivateKeyFile: $run/pki/kubelet-serving.key
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $run/pki/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupsPerQOS: true
failSwapOn: false
oomScoreAdj: 0
makeIPTablesUtilChains: false
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 50Mi, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
staticPodPath: $run/manifests
volumePluginDir: $run/volumeplugins
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
resolvConf: $run/resolv.conf
fileCheckFrequency: 2s
nodeStatusUpdateFrequency: 2s
healthzBindAddress: 127.0.0.1
featureGates: {DevicePlugins: false, EphemeralContainers: true}
Y
cp "$here/manifests/static.yaml" "$run/manifests/"
start_daemon kubelet env AWS_EC2_METADATA_DISABLED=true "$store/bin/kubelet" --config="$run/kubelet.yaml" --kubeconfig="$run/kubelet.conf" \
    --hostname-override=$node_name --container-runtime=remote --container-runtime-endpoint="unix://$socket" --containerd="$socket" \
    --root-dir="$run/kubelet" --cert-dir="$run/kubelet-pki" --node-ip="$node_ip"
is_ready() { kubectl get node $node_name -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' | grep -q True; }
await 60 "kubelet is healthy" curl -fsS --noproxy '*' http://127.0.0.1:10248/healthz
await 120 "the node is ready" is_ready
# It does not look at them again.
put_sysctls_back

# ---- pods

kubectl apply -f "$here/manifests/cluster.yaml" >"$run/log/apply.log"
# Two of the Deployment, seven of one each; the CronJob's comes with the next minute.
all_run() {
    kubectl get pods -A --no-headers >"$run/log/pods.txt" &&
        awk '$4 != "Running" { waiting++ } END { exit NR != 9 || waiting }' "$run/log/pods.txt"
}
await 180 "all pods run" all_run || { cat "$run/log/pods.txt" >&2; exit 1; }
