#!/usr/bin/env bash
# boot.sh KERNEL OUT PROGRAM [ARGS...]: boots a kernel that fetch.sh has brought, in qemu's software
# emulation, runs PROGRAM there as root from an initramfs of busybox, and powers off. It prints the
# program's output and ends with its exit code, or 125 if the guest died or took too long.
# In OUT it leaves: out/ (what the program put into /out), stdout, stderr, console.log, exit_code.
#   BOOT_ADD="PATH[:GUESTPATH] ..."   more files and folders; ELF files bring their libraries
#   BOOT_CGROUP=v2|v1|hybrid          how the guest's cgroups are mounted
#   BOOT_CPUS=2 BOOT_MEMORY=1024 (MiB) BOOT_TIMEOUT=240 (s, the whole boot)
# In the guest there is no bash, no network and no disk.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
store=${PODFLAME_KERNELS:-${XDG_CACHE_HOME:-/var/cache}/podflame-kernels}

die() {
    echo "boot.sh: $*" >&2
    exit 127
}

[ $# -ge 3 ] || die "usage: boot.sh KERNEL OUT PROGRAM [ARGS...]"
kernel=$store/kernels/$1/vmlinuz out=$2
shift 2
[ -s "$kernel" ] || die "no kernel $kernel; fetch.sh brings it"
busybox=$(command -v busybox) || die "no busybox (package busybox-static)"
! ldd "$busybox" 2>/dev/null | grep -q '=>' || die "$busybox is not linked statically (package busybox-static)"

qemu=$(command -v qemu-system-x86_64 || echo "$store/qemu/usr/bin/qemu-system-x86_64")
[ -x "$qemu" ] || die "no qemu-system-x86_64; fetch.sh brings it"
qemu_options=()
qemu_libraries=
case $qemu in
"$store"/*)
    qemu_libraries=$store/qemu/usr/lib/x86_64-linux-gnu:$store/qemu/lib/x86_64-linux-gnu
    qemu_options=(-L "$store/qemu/usr/share/qemu" -L "$store/qemu/usr/share/seabios")
    ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

put() { # file of ours, its path in the guest
    mkdir -p "$root$(dirname "$2")"
    rm -f "$root$2"
    cp -L "$1" "$root$2"
    [ "$(head -c 4 "$1" | tr -d '\0')" = $'\x7fELF' ] || return 0
    local library
    for library in $(LC_ALL=C ldd "$1" 2>/dev/null | sed -nE 's/.*=> (\/[^ ]+) \(.*/\1/p; s/^\s*(\/[^ ]+) \(.*/\1/p'); do
        [ -e "$root$library" ] || { mkdir -p "$root$(dirname "$library")" && cp -L "$library" "$root$library"; }
    done
}

add() { # file or folder of ours, its path in the guest
    local file
    if [ -d "$1" ]; then
        find "$1" -type f | while read -r file; do put "$file" "$2${file#"$1"}"; done
    else
        put "$1" "$2"
    fi
}

quoted() {
    printf "'%s' " "${@//\'/\'\\\'\'}"
}

make_root() { # program, arguments...
    local applet entry
    mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,proc,sys,dev,etc,guest,tmp,root,var,out}
    cp -L "$busybox" "$root/bin/busybox"
    for applet in $("$busybox" --list); do
        [ "$applet" = busybox ] || ln -sf busybox "$root/bin/$applet"
    done
    put "$here/guest-init" /init
    chmod 755 "$root/init"
    printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/tmp:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\nuser:x:1000:\n' >"$root/etc/group"
    echo 'hosts: files' >"$root/etc/nsswitch.conf"
    echo '127.0.0.1 localhost guest' >"$root/etc/hosts"
    put "$1" "/guest/$(basename "$1")"
    chmod 755 "$root/guest/$(basename "$1")"
    for entry in ${BOOT_ADD:-}; do
        [ -e "${entry%%:*}" ] || die "BOOT_ADD: no ${entry%%:*}"
        add "${entry%%:*}" "$(realpath -s "${entry#*:}")"
    done
    echo "CGROUP=${BOOT_CGROUP:-v2}" >"$root/guest/conf"
    quoted "/guest/$(basename "$1")" "${@:2}" >"$root/guest/command"
    (cd "$root" && find . | LC_ALL=C sort | "$busybox" cpio -o -H newc 2>/dev/null) >"$work/initrd"
}

make_root "$@"
rm -rf "$out"
mkdir -p "$out"
command_line="console=ttyS0 panic=-1 rdinit=/init mitigations=off nokaslr tsc=reliable random.trust_cpu=on loglevel=5"
LD_LIBRARY_PATH=$qemu_libraries timeout -k 5 "${BOOT_TIMEOUT:-240}" "$qemu" "${qemu_options[@]}" \
    -machine pc,usb=off,vmport=off -accel tcg,thread=multi,tb-size=256 -cpu max,la57=off \
    -smp "${BOOT_CPUS:-2}" -m "${BOOT_MEMORY:-1024}" -nodefaults -no-user-config -display none \
    -no-reboot -monitor none -kernel "$kernel" -initrd "$work/initrd" -append "$command_line" \
    -serial "file:$out/console.log" -serial "file:$out/stdout" -serial "file:$out/stderr" \
    -serial "file:$work/result.tar" </dev/null >"$out/qemu.log" 2>&1 || :

tar -x -C "$out" -f "$work/result.tar" 2>/dev/null || :
cat "$out/stdout" 2>/dev/null || :
cat "$out/stderr" >&2 2>/dev/null || :
if [ ! -s "$out/exit_code" ]; then
    echo "boot.sh: no exit code came back from the guest; the console's end:" >&2
    tail -n 15 "$out/console.log" "$out/qemu.log" >&2 2>/dev/null || :
    exit 125
fi
exit "$(cat "$out/exit_code")"
