#!/usr/bin/env bash
# aarch64.sh: the unwinder for aarch64: its unit tests, compiled for that machine and run by an
# emulator; stacks of real code there; and tables of arm64 programs of Debian against libdw.
#   AARCH64_CACHE   where arm64 packages are kept, outside the tree (/var/cache/podflame-aarch64)
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
cross=aarch64-linux-gnu
cc=$cross-gcc
cache=${AARCH64_CACHE:-/var/cache/podflame-aarch64}
libraries='libcmocka-dev libcmocka0 libelf-dev libelf1 libdw-dev libdw1 zlib1g liblzma-dev liblzma5 libbz2-1.0
    libzstd1 libxxhash-dev libunwind-dev libunwind8'
programs='bash perl-base python3.11-minimal libc6 libstdc++6 libssl3 libgcc-s1 libglib2.0-0 busybox
    libicu72 git'

begin tests/unwind/oracle tests/unwind/code_oracle
for program in "$cc" qemu-aarch64 apt-get dpkg-deb; do
    [ -n "$(command -v "$program")" ] || skip_all "there is no $program"
done
mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || cache=$dir

# Packages of another architecture, without telling this machine's dpkg of it.
fetch() { # directory, packages...
    local to=$cache/$1 apt=$cache/apt
    shift
    [ "$(cat "$to/done" 2>/dev/null)" != "$*" ] || return 0
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$to/debs"
    cat >"$apt/apt.conf" <<END
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
Dir::State "$apt";
Dir::State::status "/dev/null";
Dir::Cache "$apt/cache";
END
    export APT_CONFIG=$apt/apt.conf
    [ -n "${updated:-}" ] || apt-get -q update || return
    updated=yes
    local package
    for package; do # one that this release does not have is left out
        (cd "$to/debs" && apt-get -q download "$package")
    done
    unset APT_CONFIG
    for package in "$to"/debs/*.deb; do
        [ -e "$package" ] && dpkg-deb -x "$package" "$to" || return
    done
    rm -r "$to/debs"
    echo "$*" >"$to/done"
}
# shellcheck disable=SC2086
if ! fetch libraries $libraries >"$dir/apt.log" 2>&1; then
    show "$dir/apt.log"
    skip_all "no packages for arm64 can be had"
fi

# ---- the unit tests

root=$cache/libraries
lib=$root/usr/lib/$cross
echo '#define _GNU_SOURCE 1' >"$dir/config.h"
flags=(-O2 -g -std=gnu17 -Wall -Wextra -Wno-unused-parameter
    -Wno-missing-field-initializers -Werror -include "$dir/config.h"
    -I"$top_srcdir" -I"$top_srcdir/src" -I"$top_srcdir/tests/unit"
    -isystem "$root/usr/include" -isystem "$root/usr/include/$cross")
sources=()
for file in "$top_srcdir"/unwind/*.c "$top_srcdir"/src/base/{buf,err,fs,log,table}.c; do
    case $file in
    */arch_x86_64.c | */arch_other.c) ;;
    *) sources+=("$file") ;;
    esac
done
build_library() {
    local file name
    for file in "${sources[@]}"; do
        name=${file#"$top_srcdir/"}
        "$cc" "${flags[@]}" -c "$file" -o "$dir/${name//\//-}.o" || return
    done
}
check "the unwinder compiles for aarch64" build_library

run_test() { # name, sources...
    local name=$1 files=()
    shift
    for file; do files+=("$top_srcdir/tests/unit/$file.c"); done
    "$cc" "${flags[@]}" "${files[@]}" -o "$dir/$name" "$dir"/*.c.o -L"$lib" \
        -Wl,-rpath-link,"$lib:$root/lib/$cross" -lcmocka -ldw -lelf -llzma \
        -lc -lunwind-generic -lunwind -pthread || return
    CMOCKA_MESSAGE_OUTPUT=STDOUT qemu-aarch64 -L "/usr/$cross" \
        -E LD_LIBRARY_PATH="$lib:$root/lib/$cross" "$dir/$name" >"$dir/$name.log" 2>&1
    local result=$?
    grep -Ev '^\[ RUN|^\[ +OK|^\[=' "$dir/$name.log"
    return "$result"
}
check "CFA programs" run_test test_cfa test_cfa
check "tables" run_test test_unwind_table test_unwind_table cfi_elf
check "Go's tables" run_test test_go_table test_go_table cfi_elf go_table_bytes
check "tables' files" run_test test_table_file test_table_file cfi_elf
check "rules from code" run_test test_code test_code
check "callchains" run_test test_unwind test_unwind
check "stacks made up" run_test test_unwinder test_unwinder fake_stack cfi_elf
check "any stacks" run_test test_unwind_any test_unwind_any fake_stack cfi_elf
check "where tables do not serve" run_test test_unwind_more test_unwind_more fake_stack cfi_elf
check "stacks of real code, as backtrace(3) has them" run_test test_unwind_self test_unwind_self

# ---- real programs' tables

# shellcheck disable=SC2086
if fetch programs $programs >"$dir/apt.log" 2>&1; then
    find "$cache/programs" -type f \( -perm /111 -o -name '*.so*' \) -print0 |
        xargs -0 "$build/tests/unwind/oracle" "--every=${UNWIND_EVERY:-10}" >"$dir/oracle" 2>&1
    result=$?
    show "$dir/oracle"
    check "no row of arm64 programs differs from libdw's" equal "$result" 0
    check "there were some" matches "$dir/oracle" '^[1-9][0-9]+ files.* [0-9]{5,} compared'
    find "$cache/programs" -type f \( -perm /111 -o -name '*.so*' \) -print0 |
        xargs -0 "$build/tests/unwind/code_oracle" --every=20 >"$dir/code" 2>&1
    tail -n 2 "$dir/code" >"$dir/code.sum"
    show "$dir/code.sum"
    check "of ten thousand return addresses at most ten get a wrong rule from their code" \
        matches "$dir/code.sum" 'return addresses: [0-9]{5,} asked,.* wrong [0-9]+ \(0\.0'
else
    show "$dir/apt.log"
    skip "no row of arm64 programs differs from libdw's" "no packages for arm64 can be had"
fi
finish
