#!/usr/bin/env bash
# matrix.sh: podflamed on real kernels, under emulation; `make kernel-matrix` calls it. It prints TAP
# and then a table.
#   KERNELS="X.Y[:v1|:v2|:hybrid] ..."   without a colon in all three; "newest" is what fetch.sh finds
#   KERNEL_JOBS=2                        guests at once
#   top_srcdir, top_builddir             results stay in kernels/ of the build directory
set -u
: "${top_srcdir:?}" "${top_builddir:?}" "${KERNELS:=5.10 6.1 6.12 newest}" "${KERNEL_JOBS:=2}"
here=$top_srcdir/tests/e2e/kernels
runs=$top_builddir/kernels
mkdir -p "$runs"

plan_skip() {
    echo "1..0 # SKIP $*"
    exit 0
}

[ "$(uname -m)" = x86_64 ] || plan_skip "the kernels are of x86_64"
command -v apt-get >/dev/null || plan_skip "the kernels are Debian's, and there is no apt"

combinations=() # KERNEL:CGROUP
for kernel in $KERNELS; do
    fetched=$("$here/fetch.sh" "${kernel%%:*}") || exit 1
    case $kernel in
    *:*) combinations+=("${fetched%% *}:${kernel#*:}") ;;
    *) combinations+=("${fetched%% *}:v2" "${fetched%% *}:v1" "${fetched%% *}:hybrid") ;;
    esac
done

boot() { # KERNEL:CGROUP
    BOOT_CGROUP=${1#*:} BOOT_ADD="$top_builddir/podflamed:/guest/podflamed $top_builddir/tests/workloads/burner:/guest/burner" \
        "$here/boot.sh" "${1%%:*}" "$runs/$1" "$here/in-guest.sh" >"$runs/$1.log" 2>&1
}

running=0
for combination in "${combinations[@]}"; do
    boot "$combination" &
    running=$((running + 1))
    if [ $running -ge "$KERNEL_JOBS" ]; then
        wait -n
        running=$((running - 1))
    fi
done
wait

n=0
failed=0
told= # whose log has been shown
case_of() { # name, test...
    local name=$1
    shift
    n=$((n + 1))
    if "$@"; then
        echo "ok $n - $title: $name"
    else
        echo "not ok $n - $title: $name"
        failed=1
        [ "$told" = "$dir" ] || {
            cat "$dir/facts" "$dir/code"
            tail -n 20 "$dir/log"
            tail -n 5 "$runs/$combination.log"
        } 2>/dev/null | sed 's/^/# /'
        told=$dir
    fi
}

fact() { # name; 0 where nothing was found out
    sed -n "s/^$1=//p" "$dir/facts" | grep . || echo 0
}

# shellcheck disable=SC2317 # these are called by case_of
share_is() { # part, of what, percent at least
    [ "$(fact "$2")" -gt 0 ] && [ $(($(fact "$1") * 100)) -ge $(($(fact "$2") * $3)) ]
}

# The burner ran for 12 s at 100 Hz, of a target 8; a loaded host gives its guests a good deal less of that.
judge() { # root|target|user
    case_of "podflamed runs and stops in order" test "$(cat "$dir/code" 2>/dev/null)" = 0
    case_of "the burner has its samples" test "$(fact samples)" -ge 100
    case_of "its function is on a third of them" share_is burn_user samples 33
    case_of "they carry its cgroup" share_is burning samples 95
    if [ "$1" = target ]; then
        case_of "nothing outside of the target is sampled" test "$(fact strangers)" = 0
    fi
    if [ "$1" != user ]; then
        case_of "a quarter of them show named kernel frames" share_is kernel_named samples 25
    else
        case_of "none shows the kernel" test "$(fact kernel)" = 0
        case_of "the log says that only own processes are sampled" logged all-cpus
        case_of "the log says that kernel frames are missing" logged kernel-frames
    fi
    case ${combination%%:*} in
    5.10) case_of "the log says that mappings have no build-ids" logged mmap-build-id ;;
    *) case_of "the log misses no build-ids" not_logged mmap-build-id ;;
    esac
}

# shellcheck disable=SC2317
logged() { grep -q "kernel feature missing feature=$1 fallback=" "$dir/log" 2>/dev/null; }
# shellcheck disable=SC2317
not_logged() { [ -s "$dir/log" ] && ! logged "$1"; }

table="kernel cgroups user samples user% kernel% cgroup% lost missing"$'\n'
percent() {
    [ "$(fact samples)" = 0 ] && echo - || echo $(($(fact "$1") * 100 / $(fact samples)))
}
for combination in "${combinations[@]}"; do
    for who in root target user; do
        dir=$runs/$combination/out/$who
        title="${combination%%:*} ${combination#*:} $who"
        mkdir -p "$dir"
        node "$here/facts.mjs" "$top_builddir/podflame" "$dir/state/spool" >"$dir/facts" 2>"$dir/facts.err" ||
            cat "$dir/facts.err" >>"$dir/log"
        judge $who
        missing=$(sed -n 's/.*kernel feature missing feature=\([^ ]*\).*/\1/p' "$dir/log" 2>/dev/null | paste -s -d ,)
        table+="${combination%%:*} ${combination#*:} $who $(fact samples) $(percent user) $(percent kernel)"
        table+=" $(percent burning) $(fact lost) ${missing:--}"$'\n'
    done
done
echo "1..$n"
column -t <<<"$table" 2>/dev/null || echo "$table"
exit $failed
