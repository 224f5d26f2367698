#!/usr/bin/env bash
# build.sh: Kubernetes 1.20.2 into the store, from Debian 12's source package, with Debian 12's Go 1.19
# unpacked beside it: nothing is installed. Takes some ten minutes, once, and 5 GB.
#   Exit code 77: it cannot be built on this machine.
set -eu
# shellcheck source=tests/kube/lib.sh
. "$(dirname "$0")/lib.sh"

release=1.20.5+really1.20.2
package=k8s.io/kubernetes
tree=$store/gopath/src/$package

is_built() {
    local program
    for program in "${kube_programs[@]}"; do [ -x "$store/bin/$program" ] || return 1; done
}
cannot() {
    echo "$*" >&2
    exit 77
}

# From where this machine's packages come, sources too, and with an apt of its own.
fetch() {
    local mirror options deb
    mirror=$(cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null |
        sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb (\[[^]]*\] )?([^ ]+) .*/\2/p' | head -n 1)
    [ -n "$mirror" ] || cannot "no Debian mirror is configured"
    mkdir -p "$store"/{src,apt/{lists/partial,debs}}
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" >"$store/apt/sources.list"
    options=(-q -o "Dir::Etc::sourcelist=$store/apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$store/apt/lists"
        -o "Dir::Cache=$store/apt" -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update
    (cd "$store/src" && apt-get "${options[@]}" source "kubernetes=$release-1.1+deb12u1")
    (cd "$store/apt/debs" && apt-get -q -o APT::Sandbox::User=root download golang-1.19-go golang-1.19-src golang-github-modern-go-reflect2-dev)
    for deb in "$store"/apt/debs/*.deb; do dpkg -x "$deb" "$store/go"; done
    # The vendored 1.0.1 corrupts memory from Go 1.18 on: the API server dies at the first list of pods.
    local unpacked=$store/src/kubernetes-$release reflect2=vendor/github.com/modern-go/reflect2
    rm -rf "${unpacked:?}/$reflect2"
    cp -r "$store/go/usr/share/gocode/src/github.com/modern-go/reflect2" "$unpacked/$reflect2"
    rm -f "$unpacked/$reflect2"/*_test.go
    mkdir -p "$(dirname "$tree")"
    mv "$unpacked" "$tree"
}

# Not in the source, but made by its own generator; the report that comes with it must be upstream's.
generate_openapi() {
    local dirs
    go_build openapi-gen ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
    dirs=$(grep -rl --include='*.go' '^// +k8s:openapi-gen=' staging/src/k8s.io pkg cmd plugin |
        grep -v -e sample-apiserver -e code-generator -e _test.go -e /testdata/ -e /example | xargs -n1 dirname | LC_ALL=C sort -u |
        sed -e "s#^staging/src/#$package/vendor/#" -e "\\,^$package,!s#^#$package/#" | paste -sd,)
    "$store/bin/openapi-gen" --logtostderr -i "$dirs" -p $package/pkg/generated/openapi -O zz_generated.openapi \
        -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r "$store/openapi.report"
    cmp "$store/openapi.report" api/api-rules/violation_exceptions.list
}

# In GOPATH mode: with modules its go.mod is too old for this Go. Without a version all say v0.0.0.
go_build() { # program, package
    local flags="-s -w" module
    for module in $package/vendor/k8s.io/component-base/version $package/vendor/k8s.io/client-go/pkg/version; do
        flags="$flags -X $module.gitVersion=v1.20.2 -X $module.gitMajor=1 -X $module.gitMinor=20 -X $module.gitTreeState=clean"
        flags="$flags -X $module.gitCommit=debian -X $module.buildDate=2021-01-13T13:00:00Z"
    done
    nice "$GOROOT/bin/go" build -ldflags "$flags" -o "$store/bin/$1.new" "$2"
    mv "$store/bin/$1.new" "$store/bin/$1"
    say "$1"
}

! is_built || exit 0
[ "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" = bookworm ] || cannot "Kubernetes is built from Debian 12's source, and this is not Debian 12"
command -v dpkg-source >/dev/null || cannot "dpkg-source is not installed (package dpkg-dev)"
export GOROOT=$store/go/usr/lib/go-1.19 GOPATH=$store/gopath GOCACHE=$store/gocache GOTMPDIR=$store/gotmp
export GOFLAGS=-trimpath GO111MODULE=off CGO_ENABLED=0
mkdir -p "$store/bin" "$GOTMPDIR"
[ -d "$tree" ] || fetch
cd "$tree"
[ -s pkg/generated/openapi/zz_generated.openapi.go ] || generate_openapi
for program in "${kube_programs[@]}"; do
    [ -x "$store/bin/$program" ] || go_build "$program" "$package/cmd/$program"
done
