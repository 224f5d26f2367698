#!/usr/bin/env bash
# lint.sh: looks at the sources with tools alone, and prints TAP. `make lint` calls it with
#   top_srcdir, top_builddir   where the tree and the build are
#   LINT_CFLAGS                what the compiler is given for our files
#   LINT_UI                    yes if the web UI is built by npm here
set -u
cd "${top_srcdir:?}" || exit 99
jobs=$(nproc)
out=$(mktemp)
trap 'rm -f "$out"' EXIT
n=0
failed=0

result() { # exit code, name
    n=$((n + 1))
    if [ "$1" = 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        sed 's/^/# /' "$out"
        failed=1
    fi
}

skip() { # name, reason
    n=$((n + 1))
    echo "ok $n - $1 # SKIP $2"
}

have() { # command, name of the case that needs it
    command -v "$1" >"$out" && return
    if [ -n "${CI:-}" ]; then
        echo "$1 is not installed" >"$out"
        result 1 "$2"
    else
        skip "$2" "$1 is not installed"
    fi
    return 1
}

# Ours: not what protoc-c made, which in a build within the tree stands beside them.
c_files() { find src unwind k8s tests -name node_modules -prune -o -name '*.pb-c.*' -o -name "$1" -type f -print 2>/dev/null | sort; }

scripts() {
    find packaging tests src .ci -name node_modules -prune -o -type f -print 2>/dev/null |
        while read -r file; do
            read -r first <"$file" 2>/dev/null
            case $first in '#!'*sh) echo "$file" ;; esac
        done | sort
}

what="clang-format changes nothing"
if have clang-format "$what"; then
    { c_files '*.c' && c_files '*.h'; } | xargs clang-format --dry-run -Werror >"$out" 2>&1
    result $? "$what"
fi

what="clang-tidy finds nothing"
if have clang-tidy "$what"; then
    # shellcheck disable=SC2086 # flags are words
    # Another architecture's file needs its headers.
    c_files '*.c' | grep -v '/arch_[^/]*\.c$' | xargs -P"$jobs" -I{} clang-tidy --quiet {} -- ${LINT_CFLAGS:?} 2>/dev/null >"$out"
    result $? "$what"
fi

what="shellcheck finds nothing"
if have shellcheck "$what"; then
    scripts | xargs shellcheck -x >"$out" 2>&1
    result $? "$what"
fi

# House rules that can be counted; see CONTRIBUTING.md.
{ c_files '*.c' && c_files '*.h'; } | while read -r file; do
    lines=$(wc -l <"$file")
    case $file in
    tests/*) limit=1000 ;;
    *.c) limit=600 ;;
    *.h) limit=120 ;;
    esac
    [ "$lines" -le "$limit" ] || echo "$file has $lines lines; $limit are allowed"
done >"$out"
test ! -s "$out"
result $? "no file is too long"

{ c_files '*.c' && c_files '*.h'; } | grep -v '^tests/' | xargs grep -nE \
    '(^|[^A-Za-z0-9_>.])(bcmp|bcopy|bzero|getpw|gets|mktemp|rand|srand|sprintf|strcat|tmpnam|vfork|vsprintf)\(' >"$out"
test ! -s "$out"
result $? "nothing is called that has a safe form"

c_files '*.h' | xargs grep -L '^#pragma once' >"$out"
test ! -s "$out"
result $? "every header can be included twice"

{ c_files '*.c' && c_files '*.h'; } | while read -r file; do
    read -r first <"$file"
    case $first in
    "/* ${file##*/}: "*) ;;
    *) echo "$file does not begin with \"/* ${file##*/}: what it takes and gives\"" ;;
    esac
done >"$out"
test ! -s "$out"
result $? "every file begins by saying what it is"

what="tsc finds nothing in the web UI"
if [ "${LINT_UI:-no}" != yes ]; then
    skip "$what" "the web UI is not built here"
else
    make -C "${top_builddir:?}" --no-print-directory lint-ui >"$out" 2>&1
    result $? "$what"
fi

echo "1..$n"
exit $failed
