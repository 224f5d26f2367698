# shellcheck shell=bash
# check.sh: `quickstart check`: every test there is, as steps in lanes that run side by side. A step
# leaves in build/check/steps/NAME.{log,rc,seconds,results}; results are lines that begin with PASS,
# FAIL or SKIP, one a case.

check_fuzz_seconds=15
check_install=yes
check_only=

# Two cores, three lanes: what uses the build without sanitizers; what uses those with, and the one
# from a tarball, so that both take as long; and what only burns, at the lowest priority.
check_plain_lane=(build-plain test-plain e2e quickstart lint builds kernels build-tsan test-tsan)
check_san_lane=(build-san test-san e2e-san distcheck)
check_idle_lane=(fuzz)
check_steps=("${check_plain_lane[@]}" "${check_san_lane[@]}" "${check_idle_lane[@]}")
# What a step waits for that is of another lane.
declare -A check_needs=([fuzz]=build-san)

check_arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
        --only | --fuzz-seconds) [ $# -ge 2 ] || die "$1: a value must follow" ;;
        esac
        case $1 in
        --no-install) check_install=no ;;
        --only)
            check_only=",$2,"
            shift
            ;;
        --fuzz-seconds)
            check_fuzz_seconds=$2
            shift
            ;;
        *) die "check: unknown argument \"$1\"; there are --only STEP,..., --fuzz-seconds N, --no-install" ;;
        esac
        shift
    done
    local known=" ${check_steps[*]} " step
    for step in ${check_only//,/ }; do
        [[ $known == *" $step "* ]] || die "--only: unknown step \"$step\"; there are:$known"
    done
}

# ---- the steps; each is called in a subshell with its output in its log

check_build() { # directory, flags of configure...
    configure_in "$@" && make -C "$1" -j2 all && make -C "$1" -j2 check TESTS=
}

step_build_plain() { check_build "$checks/plain" --enable-werror; }
step_build_san() {
    check_build "$checks/san" CC=clang CXX=clang++ --enable-werror --enable-asan --enable-ubsan --enable-fuzzing
}
step_build_tsan() {
    configure_in "$checks/tsan" --enable-werror --enable-tsan --with-ui-dir=no &&
        make -C "$checks/tsan" -j2 thread-tests
}

# automake prints a line for each case of a TAP test: "PASS: tests/unit/test_fs 1 - what_it_guards".
check_make_check() { # step, build directory, target, flags of make...
    find "$2/tests" -name '*.trs' -delete
    make -C "$2" "${@:3}"
    local rc=$?
    sed -nE 's/^(PASS|FAIL|SKIP): /\1 /p; s/^XFAIL: /PASS /p; s/^(ERROR|XPASS): /FAIL \1 /p' \
        "$steps/$1.log" >"$steps/$1.results"
    return $rc
}

step_test_plain() { check_make_check test-plain "$checks/plain" check; }
# Some of these sleep for minutes, and so may stand beside others.
step_e2e() { check_make_check e2e "$checks/plain" check-e2e -j3; }
step_test_san() { PODFLAME_SANITIZED=1 check_make_check test-san "$checks/san" check; }
step_e2e_san() { check_make_check e2e-san "$checks/san" check-e2e-short -j2; }
step_test_tsan() { check_make_check test-tsan "$checks/tsan" check-threads; }

results_of_tap() { # step: its log is TAP
    sed -nE 's/^ok [0-9]+ *-? *(.*# SKIP.*)$/SKIP \1/p; t; s/^ok [0-9]+ *-? */PASS /p; s/^not ok [0-9]+ *-? */FAIL /p' \
        "$steps/$1.log" >"$steps/$1.results"
}

step_lint() {
    CI=true make -C "$checks/plain" lint
    local rc=$?
    results_of_tap lint
    return $rc
}

# SCHED_IDLE: the tests of the other lanes measure the machine and come first.
step_fuzz() {
    chrt --idle 0 make -C "$checks/san" fuzz FUZZ_SECONDS="$check_fuzz_seconds"
    local rc=$?
    results_of_tap fuzz
    return $rc
}

step_kernels() {
    make -C "$checks/plain" kernel-matrix KERNELS="5.10:v1 6.12:v2"
    local rc=$?
    results_of_tap kernels
    return $rc
}

step_quickstart() {
    top_srcdir=$top "$top/tests/e2e/quickstart.sh"
    local rc=$?
    results_of_tap quickstart
    return $rc
}

step_builds() {
    make -C "$checks/plain" check-builds
    local rc=$?
    results_of_tap builds
    return $rc
}

step_distcheck() {
    configure_in "$checks/dist" --with-ui-dir=no && make -C "$checks/dist" -j2 distcheck COMPARISONS=
}

# ---- running them

is_wanted() { # step
    [[ -z $check_only || $check_only == *",$1,"* ]]
}

run_step() { # name
    local before rc needed=${check_needs[$1]:-}
    while [ -n "$needed" ] && is_wanted "$needed" && [ ! -e "$steps/$needed.rc" ]; do sleep 0.5; done
    before=$SECONDS
    echo "$1" >"$steps/running.$lane"
    (cd "$top" && "step_${1//-/_}") >"$steps/$1.log" 2>&1 </dev/null
    rc=$?
    echo $((SECONDS - before)) >"$steps/$1.seconds"
    # A step that failed without a failed case has failed as a whole; one without cases is a case.
    [ -e "$steps/$1.results" ] || : >"$steps/$1.results"
    if [ $rc != 0 ] && ! grep -q '^FAIL' "$steps/$1.results"; then
        echo "FAIL $1 as a whole, exit code $rc" >>"$steps/$1.results"
    elif [ $rc = 0 ] && [ ! -s "$steps/$1.results" ]; then
        echo "PASS $1" >>"$steps/$1.results"
    fi
    echo $rc >"$steps/$1.rc"
}

run_lane() { # name, steps
    local lane=$1 step
    shift
    for step; do
        ! is_wanted "$step" || run_step "$step"
    done
    rm -f "$steps/running.$lane"
}

count_results() { # PASS|FAIL|SKIP, files
    local what=$1
    shift
    cat "$@" 2>/dev/null | grep -c "^$what"
}

report_step() { # name
    local failed
    failed=$(count_results FAIL "$steps/$1.results")
    say "$(printf '%-12s %5s passed %3s failed %3s skipped %5s s' "$1" "$(count_results PASS "$steps/$1.results")" "$failed" \
        "$(count_results SKIP "$steps/$1.results")" "$(cat "$steps/$1.seconds")")"
    grep '^SKIP' "$steps/$1.results" | sed 's/^SKIP/    skipped:/'
    [ "$failed" = 0 ] || {
        grep '^FAIL' "$steps/$1.results" | sed 's/^FAIL/    FAILED:/'
        tail -n 40 "$steps/$1.log" | sed 's/^/    | /'
        say "    all of it is in $steps/$1.log"
    }
}

run_lanes() {
    local i pids=() reported=' ' step
    start_group run_lane plain "${check_plain_lane[@]}" </dev/null
    pids+=($!)
    start_group run_lane san "${check_san_lane[@]}" </dev/null
    pids+=($!)
    start_group run_lane idle "${check_idle_lane[@]}" </dev/null
    pids+=($!)
    # shellcheck disable=SC2064 # the pids of now are meant
    trap "kill -- ${pids[*]/#/-} 2>/dev/null; clear_progress; give_back; exit 130" INT TERM
    local alive=yes
    while [ $alive = yes ]; do
        alive=no
        for i in "${pids[@]}"; do ! kill -0 "$i" 2>/dev/null || alive=yes; done
        for step in "${check_steps[@]}"; do
            [[ -e $steps/$step.rc && $reported != *" $step "* ]] || continue
            report_step "$step"
            reported+="$step "
        done
        progress "$(cat "$steps"/running.* 2>/dev/null | paste -s -d ' ')"
        sleep 0.5
    done
    trap - INT TERM
    clear_progress
}

check_main() {
    check_arguments "$@"
    need_root check "it installs packages, and its tests sample every CPU"
    checks=$top/build/check steps=$top/build/check/steps
    rm -rf "$steps"
    mkdir -p "$steps" || die "cannot make $steps"
    [ $check_install = no ] || install_packages "run|check" "$steps"
    make_configure "$steps/configure.log" || { show_log "$steps/configure.log"; die "autoreconf failed"; }
    run_lanes
    give_back
    local failed skipped
    failed=$(count_results FAIL "$steps"/*.results)
    skipped=$(count_results SKIP "$steps"/*.results)
    echo "It took $((SECONDS - started_at)) s."
    echo "$(count_results PASS "$steps"/*.results) passed, $failed failed$([ "$skipped" = 0 ] || echo ", $skipped skipped")"
    [ "$failed" = 0 ]
}
