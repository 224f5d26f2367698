#!/usr/bin/env bash
# fetch.sh [X.Y|newest]...: downloads Debian's kernels, and qemu where the machine has none, outside
# the tree; nothing is installed. Without arguments the newest image of every X.Y that the reachable
# suites have. It prints a line "X.Y PACKAGE VERSION" for each, "newest" resolved.
#   PODFLAME_KERNELS   where they are kept; default ${XDG_CACHE_HOME:-/var/cache}/podflame-kernels
#   PODFLAME_MIRROR, PODFLAME_SECURITY_MIRROR   instead of those in the machine's own apt sources
# A kernel that is there is not looked for again; remove its folder to get a newer one.
set -eu
store=${PODFLAME_KERNELS:-${XDG_CACHE_HOME:-/var/cache}/podflame-kernels}
apt=$store/apt
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
own_apt=(
    -o "Dir::Etc::sourcelist=$apt/etc/sources.list" -o "Dir::Etc::sourceparts=$apt/etc/parts"
    -o "Dir::State=$apt/state" -o "Dir::State::status=$apt/state/status" -o "Dir::Cache=$apt/cache"
    -o Dir::Cache::pkgcache=pkgcache.bin -o Dir::Cache::srcpkgcache=srcpkgcache.bin
    -o Acquire::Languages=none -o Acquire::Retries=2 -o APT::Architecture=amd64
    -o APT::Sandbox::User=root
)

die() {
    echo "fetch.sh: $*" >&2
    exit 1
}

# Every URI of the machine's apt sources, of both file formats.
source_uris() {
    local file
    for file in /etc/apt/sources.list.d/*.sources; do
        [ ! -e "$file" ] || sed -n 's/^[Uu][Rr][Ii]s: *\([^ ]*\).*/\1/p' "$file"
    done
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ ! -e "$file" ] || sed -n 's/\[[^]]*\]//; s/^deb  *\([^ ]*\) .*/\1/p' "$file"
    done
}

# An apt of its own, which knows many suites and thinks that nothing is installed.
update_lists() {
    local mirror security suite
    mirror=${PODFLAME_MIRROR:-$(source_uris | grep -E '/debian/?$' | grep -v security | head -n 1 || :)}
    security=${PODFLAME_SECURITY_MIRROR:-$(source_uris | grep -E -- '-security/?$' | head -n 1 || :)}
    [ -n "$mirror" ] || die "no Debian mirror in this machine's apt sources; set PODFLAME_MIRROR"
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/etc/parts"
    : >"$apt/state/status"
    for suite in bullseye bookworm bookworm-backports trixie trixie-backports sid; do
        echo "deb [signed-by=$keyring] $mirror $suite main"
    done >"$apt/etc/sources.list"
    for suite in bullseye bookworm trixie; do
        [ -z "$security" ] || echo "deb [signed-by=$keyring] $security $suite-security main"
    done >>"$apt/etc/sources.list"
    # A suite that has left the mirror must not stop the rest; apt-get says 100 then.
    apt-get "${own_apt[@]}" -qq update 2>"$apt/update.err" ||
        echo "fetch.sh: some suites could not be read, see $apt/update.err" >&2
    # One line a package: NAME VERSION split|whole. Since 6.19 linux-image-* only depends on
    # linux-binary-*, which has the kernel.
    apt-cache "${own_apt[@]}" search --names-only '^linux-image-[0-9]+[.][0-9]+[.].*-amd64$' |
        awk '{print $1}' | grep -vE -- '-(cloud|rt)-amd64$' |
        xargs -r apt-cache "${own_apt[@]}" show --no-all-versions |
        awk '/^Package:/ {p = $2} /^Version:/ {v = $2}
             /^Depends:/ {print p, v, /linux-binary-/ ? "split" : "whole"}' | sort -u >"$apt/list"
}

# "package version split|whole", the newest by Debian's order of versions.
pick() { # X.Y
    local package version how best='' best_version=0
    while read -r package version how; do
        if dpkg --compare-versions "$version" gt "$best_version"; then
            best="$package $version $how" best_version=$version
        fi
    done < <(grep -E "^linux-image-${1//./\\.}\.[0-9]" "$apt/list" || :)
    echo "$best"
}

fetch_kernel() { # X.Y package version split|whole
    local work=$apt/work names=("$2=$3") image deb
    rm -rf "$work"
    mkdir -p "$work/files"
    [ "$4" = whole ] || names=("linux-binary-${2#linux-image-}")
    (cd "$work" && apt-get "${own_apt[@]}" -qq download "${names[@]}" 2>"$apt/download.err") ||
        die "$1: the download failed, see $apt/download.err"
    for deb in "$work"/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" |
            tar -x -C "$work/files" --wildcards './boot/vmlinuz*' './usr/lib/modules/*/vmlinuz' 2>/dev/null || :
    done
    image=$(find "$work/files" -name 'vmlinuz*' -type f | head -n 1)
    [ -n "$image" ] || die "$1: no kernel in ${names[*]}"
    mkdir -p "$store/kernels/$1"
    cp "$image" "$store/kernels/$1/vmlinuz"
    echo "$2 $3" >"$store/kernels/$1/package"
    rm -rf "$work"
}

# Unpacked from the machine's own suites, with the libraries that the machine lacks.
fetch_qemu() {
    local work=$store/qemu-apt deb
    local apt_options=(-o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work" -o Acquire::Languages=none -o APT::Sandbox::User=root)
    mkdir -p "$work/lists/partial" "$work/archives/partial" "$store/qemu"
    apt-get "${apt_options[@]}" -qq update
    apt-get "${apt_options[@]}" -qq -y --download-only --no-install-recommends install qemu-system-x86 >/dev/null
    for deb in "$work"/archives/*.deb; do dpkg -x "$deb" "$store/qemu"; done
    rm -rf "$work"
}

updated=no
need_lists() {
    [ $updated = yes ] || update_lists
    updated=yes
}

command -v apt-get >/dev/null || die "it needs apt"
mkdir -p "$store/kernels"
all_series() { sed -E 's/^linux-image-([0-9]+\.[0-9]+).*/\1/' "$apt/list" | sort -Vu; }
if [ $# = 0 ]; then
    need_lists
    mapfile -t series < <(all_series)
    set -- "${series[@]}"
fi
for name; do
    if [ "$name" = newest ]; then
        # Without a way to the mirror the newest is the newest there is.
        need_lists || :
        name=$( (all_series; ls "$store/kernels") 2>/dev/null | sort -Vu | tail -n 1)
    fi
    if [ ! -s "$store/kernels/$name/package" ]; then
        need_lists
        read -r package version how <<<"$(pick "$name")"
        [ -n "${package:-}" ] || die "no reachable suite has a kernel $name"
        fetch_kernel "$name" "$package" "$version" "$how"
    fi
    echo "$name $(cat "$store/kernels/$name/package")"
done
command -v qemu-system-x86_64 >/dev/null || [ -x "$store/qemu/usr/bin/qemu-system-x86_64" ] || fetch_qemu
