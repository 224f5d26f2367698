#!/usr/bin/env bash
# debug_files.sh: functions that were inlined are in the flamegraph, each below the one it was inlined
# into, wherever the debug information lies: in the program, beside it, below /usr/lib/debug of the
# process's own root, partly in a file shared by several (dwz). Without any there are the names that
# .gnu_debugdata has.
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
sources=$top_srcdir/tests/workloads
: "${CXX:=g++}" "${CLANGXX:=clang++}" "${RUSTC:=rustc}"

begin podflamed podflame-server
need_root
have() { [ -n "$(command -v "$1")" ]; }
for tool in "$CXX" objcopy xz; do
    have "$tool" || skip_all "there is no $tool"
done
build_cxx() { # output, flags...
    local output=$1
    shift
    "$CXX" -std=c++17 -O2 -g "$@" -o "$dir/$output" "$sources/inlined.cc" >"$dir/cxx.log" 2>&1 ||
        { show "$dir/cxx.log"; bail "the workload does not compile"; }
}
# Moves what is only for debugging out of a program, to another file.
split() { # program, debug file
    objcopy --only-keep-debug "$dir/$1" "$2" && objcopy --strip-all "$dir/$1"
}
build_id() { readelf -n "$dir/$1" | sed -n 's/ *Build ID: //p'; }

programs='dw-here dw-link dw-root dw-mini'
build_cxx dw-here
build_cxx dw-link
split dw-link "$dir/dw-link.debug"
objcopy "--add-gnu-debuglink=$dir/dw-link.debug" "$dir/dw-link"
# Another root, which has the program and its debug file alone.
build_cxx dw-root -static -Wl,--build-id=sha1
id=$(build_id dw-root)
under=$dir/root/usr/lib/debug/.build-id/${id:0:2}
mkdir -p "$under"
split dw-root "$under/${id:2}.debug"
mv "$dir/dw-root" "$dir/root/"
# As rpm's find-debuginfo makes it, but with all symbols.
build_cxx dw-mini -g0
nm "$dir/dw-mini" | awk '$2 ~ /[tT]/ { print $3 }' >"$dir/functions"
if ! objcopy -S --keep-symbols="$dir/functions" "$dir/dw-mini" "$dir/mini" ||
    ! objcopy --strip-all "$dir/dw-mini" || ! xz -f "$dir/mini" ||
    ! objcopy "--add-section=.gnu_debugdata=$dir/mini.xz" "$dir/dw-mini"; then
    bail "no .gnu_debugdata"
fi
if have "$CLANGXX" && (CXX=$CLANGXX build_cxx dw-clang); then programs+=' dw-clang'; fi
if have dwz; then
    build_cxx dw-dwz
    build_cxx dw-other -DOTHER
    if dwz -m "$dir/dw-shared" -r "$dir/dw-dwz" "$dir/dw-other" >"$dir/dwz.log" 2>&1 &&
        readelf -SW "$dir/dw-dwz" | grep -q gnu_debugaltlink; then
        programs+=' dw-dwz'
    else
        show "$dir/dwz.log"
    fi
fi
if have "$RUSTC" && "$RUSTC" --edition 2021 -O -g "$sources/inlined.rs" -o "$dir/dw-rust" >"$dir/rust.log" 2>&1; then
    split dw-rust "$dir/dw-rust.debug"
    objcopy "--add-gnu-debuglink=$dir/dw-rust.debug" "$dir/dw-rust"
    programs+=' dw-rust'
fi

start_server
# All in one window, also what others run meanwhile.
start_agent --window 300s --dwarf-time 20s
for program in $programs; do
    case $program in
    dw-root) chroot "$dir/root" /dw-root 1.5 >"$dir/out" 2>&1 || bail "$program: $(cat "$dir/out")" ;;
    *) "$dir/$program" 1.5 >"$dir/out" 2>&1 || bail "$program: $(cat "$dir/out")" ;;
    esac
done
stop "$agent_pid"
folded >"$dir/folded" || bail "the server did not answer"

# Names of lambdas differ by compiler; _[i] is what is inlined.
step='work::Mixer[^;]*::step[^;]*_\[i\]'
inlined="([^;]*;)*main;burn\\(double\\);work::repeat[^;]*_\\[i\\];burn[^;]*::operator\\(\\)[^;]*_\\[i\\];$step"
inlined_chain() { # sentence, program
    case " $programs " in
    *" $2 "*) check "$1" chain "$2" "$step" "$inlined" ;;
    *) skip "$1" "there is no tool to make it" ;;
    esac
}
inlined_chain "DWARF in the program itself" dw-here
inlined_chain "of clang, which writes no table of addresses" dw-clang
inlined_chain "in a file beside it, by .gnu_debuglink" dw-link
inlined_chain "in the process's own root, by build-id" dw-root
inlined_chain "partly in a file that dwz made of two" dw-dwz
case " $programs " in
*" dw-rust "*)
    check "of a stripped Rust program, in a file beside it" chain dw-rust '[^;]*Shift[^;]*::step[^;]*_\[i\]' \
        '([^;]*;)*inlined::burn[^;]*;[^;]*work::repeat[^;]*_\[i\];[^;]*Shift[^;]*::step[^;]*_\[i\]'
    ;;
*) skip "of a stripped Rust program, in a file beside it" "rustc is not installed" ;;
esac
check "without DWARF, the names of .gnu_debugdata" chain dw-mini 'burn\(double\)' '([^;]*;)*main;burn\(double\)'
[ "$failures" = 0 ] || { show "$agent_log"; KEEP=1; }
finish
