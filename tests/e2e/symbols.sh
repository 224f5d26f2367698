#!/usr/bin/env bash
# symbols.sh: builds programs of every kind and compares the name podflame gives for the first, the
# middle and the last byte of every function, and for the byte behind it, with what readelf and
# c++filt say of the same file, and the names of stubs with what objdump says. Prints TAP.
#   CC, CXX, RUSTC   compilers; one that is missing skips its cases
#   SYMBOLIZE        tests/e2e/symbolize of the build
set -u
: "${top_srcdir:?}" "${top_builddir:=.}"
: "${CC:=cc}" "${CXX:=c++}" "${RUSTC:=rustc}" "${SYMBOLIZE:=$top_builddir/tests/e2e/symbolize}"
src=$top_srcdir/tests/workloads
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cases=0
failed=0

# What readelf knows of a file, one fact a line: "load OFFSET VADDR FILESZ", "code SECTION" and
# "symbol TABLE START SIZE NAME", numbers in hex.
facts() { # file
    readelf -lW "$1" | awk '$1 == "LOAD" { print "load", $2, $3, $5 }'
    readelf -SW "$1" | sed -n 's/^ *\[ *\([0-9]*\)\] /\1 /p' |
        awk '$8 ~ /X/ { print "code", $1 }'
    readelf -sW "$1" | awk '
        /^Symbol table/ { table = $3 ~ /symtab/ ? 1 : 2 }
        $1 ~ /^[0-9]+:$/ && $4 ~ /^(FUNC|IFUNC|NOTYPE)$/ && $7 ~ /^[0-9]+$/ && NF >= 8 {
            sub(/@.*/, "", $8)
            print "symbol", table, $2, $3, $7, $8
        }'
}

# From the facts: "OFFSET START NAME..." for each byte to ask for, where NAME... are all names that
# are right (several symbols may start at one place), or "-" if none is. The innermost symbol that
# covers a byte by its size is right; .dynsym counts only where .symtab has nothing. "?START:NAME"
# may be right, too: of the symbols before the byte the last, which has no size.
expectations() {
    awk '
    function hex(text,    i, n) {
        sub(/^0x/, "", text)
        for (i = n = 0; i++ < length(text);)
            n = n * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
        return n
    }
    function number(text) { return text ~ /^0x/ ? hex(text) : text + 0 }
    function maybe(address,    i, best, names) {
        best = 0
        for (i = 0; i < unsized; i++)
            if (open_start[i] <= address && open_start[i] >= best) {
                names = (open_start[i] == best ? names : "") sprintf(" ?%x:%s", open_start[i], open_name[i])
                best = open_start[i]
            }
        return names
    }
    function ask(address,    t, i, best, names, j) {
        if (address in asked)
            return
        asked[address] = 1
        best = -1
        for (t = 1; t <= 2 && best < 0; t++)
            for (i = 0; i < count[t]; i++)
                if (start[t, i] <= address && address < end[t, i] && start[t, i] >= best) {
                    names = start[t, i] == best ? names " " name[t, i] : name[t, i]
                    best = start[t, i]
                }
        for (j = 0; j < loads; j++)
            if (vaddr[j] <= address && address < vaddr[j] + bytes[j]) {
                printf "%x ", offset[j] + address - vaddr[j]
                if (best < 0)
                    print "- -" maybe(address)
                else
                    printf "%x %s\n", best, names
                return
            }
    }
    $1 == "load" { offset[loads + 0] = hex($2); vaddr[loads + 0] = hex($3); bytes[loads++] = hex($4) }
    $1 == "code" { code[$2] = 1 }
    $1 == "symbol" && $5 in code && number($4) > 0 {
        i = count[$2]++
        start[$2, i] = hex($3)
        end[$2, i] = hex($3) + number($4)
        name[$2, i] = $6
    }
    $1 == "symbol" && $5 in code && number($4) == 0 {
        open_start[unsized + 0] = hex($3)
        open_name[unsized++] = $6
    }
    END {
        for (t = 1; t <= 2; t++)
            for (k = 0; k < count[t]; k += step[t]) {
                step[t] = count[t] > 3000 ? int(count[t] / 1500) : 1
                ask(start[t, k])
                ask(int((start[t, k] + end[t, k]) / 2))
                ask(end[t, k] - 1)
                ask(end[t, k])
            }
    }'
}

# Both lists side by side; says what differs. A template function has its return type in c++filt.
compare() { # expectations-demangled answers
    paste -d '\n' "$1" "$2" | awk -v shown=5 '
    NR % 2 { want = $0; next }
    {
        split(want, w, "\t")
        answer = $0
        sub(/^[^ ]+ /, "", answer)
        right = 0
        for (i = 3; i in w; i++) {
            full = w[2] " " w[i]
            tail = " " substr(answer, length(w[2]) + 2)
            if (answer == full || (index(answer, w[2] " ") == 1 && w[i] != "-" &&
                length(tail) > 1 && substr(w[i], length(w[i]) - length(tail) + 1) == tail))
                right = 1
            if (w[i] ~ /^[?]/ && sub(/:/, " ", w[i]) && answer == substr(w[i], 2))
                right = 1
            if (w[i] == "-" && answer ~ /@plt$| [.]plt/)
                right = 1 # see check_stubs
            delete w[i]
        }
        total++
        named += want !~ /\t-$/
        if (!right && ++wrong <= shown)
            print "# " want "  but got  " $0
    }
    END {
        printf "# %d bytes, %d of them in a function, %d wrong\n", total, named, wrong
        exit wrong > 0 || named == 0
    }'
}

# Demangles the third and later fields of lines, which become separated by tabs.
demangle_fields() {
    awk '{ for (i = 3; i <= NF; i++) print $i }' "$1" | c++filt -i >"$dir/readable"
    awk -v readable="$dir/readable" '{
        line = $1 "\t" $2
        for (i = 3; i <= NF; i++) { getline name < readable; line = line "\t" name }
        print line
    }' "$1"
}

check() { # what file
    cases=$((cases + 1))
    facts "$2" | expectations >"$dir/want"
    demangle_fields "$dir/want" >"$dir/want.readable"
    cut -d ' ' -f 1 "$dir/want" | "$SYMBOLIZE" "$2" >"$dir/got" 2>"$dir/log"
    if [ -s "$dir/want" ] && [ "$(wc -l <"$dir/want")" = "$(wc -l <"$dir/got")" ] &&
        compare "$dir/want.readable" "$dir/got"; then
        echo "ok $cases - $1"
    else
        sed 's/^/# /' "$dir/log"
        echo "not ok $cases - $1"
        failed=1
    fi
}

# "OFFSET NAME@plt" of each stub, as objdump labels them; of those that it only calls *ABS*, none.
stubs() { # file
    {
        readelf -SW "$1" | sed -n 's/^ *\[ *[0-9]*\] \(\.plt\)/section \1/p'
        objdump -d --no-show-raw-insn -j .plt -j .plt.sec -j .plt.got "$1" 2>/dev/null |
            sed -n 's/^0*\([0-9a-f]*\) <\([^>]*@plt\)>:$/stub \1 \2/p'
    } | awk '
    function hex(text,    i, n) {
        for (i = n = 0; i++ < length(text);)
            n = n * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
        return n
    }
    BEGIN { n = 0 }
    $1 == "section" { from[n] = hex($4); offset[n] = hex($5); bytes[n++] = hex($6) }
    $1 == "stub" && $3 !~ /^[*]ABS/ {
        at = hex($2)
        for (i = 0; i < n; i++)
            if (from[i] <= at && at < from[i] + bytes[i])
                printf "%x %s\n", offset[i] + at - from[i], $3
    }'
}

check_stubs() { # what file
    cases=$((cases + 1))
    stubs "$2" >"$dir/want"
    if ! [ -s "$dir/want" ]; then
        echo "ok $cases - the stubs of $1 # SKIP objdump shows none"
        return
    fi
    cut -d ' ' -f 1 "$dir/want" | "$SYMBOLIZE" "$2" 2>"$dir/log" | cut -d ' ' -f 3- >"$dir/got"
    cut -d ' ' -f 2 "$dir/want" | c++filt -i >"$dir/readable"
    # A template function has its return type in c++filt.
    if paste -d '\n' "$dir/readable" "$dir/got" | awk '
        NR % 2 { want = $0; next }
        $0 == "" || substr(want, length(want) - length($0) + 1) != $0 {
            print "# " want "  but got  " $0
            wrong++
        }
        END { printf "# %d stubs\n", NR / 2; exit wrong > 0 || NR == 0 }'; then
        echo "ok $cases - the stubs of $1"
    else
        echo "not ok $cases - the stubs of $1"
        failed=1
    fi
}

skip() { # what why
    cases=$((cases + 1))
    echo "ok $cases - $1 # SKIP $2"
}

build() { # what compiler source arguments...
    local what=$1 compiler=$2 source=$3
    shift 3
    if ! command -v "$compiler" >/dev/null; then
        skip "$what" "no $compiler"
    elif ! "$compiler" "$src/$source" -o "$dir/program" "$@" 2>"$dir/build"; then
        skip "$what" "$compiler cannot build it: $(head -n 1 "$dir/build")"
    else
        case $what in *stripped*) strip "$dir/program" ;; esac
        check "$what" "$dir/program"
    fi
}

for tool in readelf c++filt strip; do
    command -v $tool >/dev/null || { echo "1..0 # SKIP no $tool"; exit 0; }
done
build "a C program" "$CC" symbols.c -O2 -fPIE -pie -DWITH_IFUNC
check_stubs "a C program" "$dir/program"
build "a C program with stubs for CET" "$CC" symbols.c -O2 -fcf-protection -Wl,-z,ibtplt
check_stubs "a C program with stubs for CET" "$dir/program"
build "a C program at a fixed address" "$CC" symbols.c -O2 -fno-pie -no-pie
build "a C program without optimisation" "$CC" symbols.c -O0
build "a static C program" "$CC" symbols.c -O2 -static -DWITH_IFUNC
build "a C program with one segment" "$CC" symbols.c -O2 -Wl,-z,noseparate-code
# Of itself, so that it needs no C library for such programs.
build "a C program of 32 bits" "$CC" symbols.c -O2 -m32 -ffreestanding -nostdlib -no-pie -Wl,-e,main
build "a stripped C program that exports its functions" "$CC" symbols.c -O2 -rdynamic -s
build "a C library" "$CC" symbols.c -O2 -shared -fPIC
build "a stripped C library" "$CC" symbols.c -O2 -shared -fPIC
build "a C++ program" "$CXX" symbols.cc -std=c++17 -O1
check_stubs "a C++ program" "$dir/program"
build "a static C++ program" "$CXX" symbols.cc -std=c++17 -O2 -static
build "a stripped C++ library" "$CXX" symbols.cc -std=c++17 -O1 -shared -fPIC
build "a Rust program" "$RUSTC" symbols.rs --edition 2021
build "a Rust program with v0 names" "$RUSTC" symbols.rs --edition 2021 -C symbol-mangling-version=v0
libc=$(ldconfig -p 2>/dev/null | awk '$1 == "libc.so.6" { print $NF; exit }')
if [ -r "${libc:-/none}" ]; then
    check "this machine's libc" "$libc"
    check_stubs "this machine's libc" "$libc"
else
    skip "this machine's libc" "not found"
fi
echo "1..$cases"
exit $failed
