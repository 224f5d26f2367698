#!/usr/bin/env bash
# dwarf.sh: at random addresses of programs with DWARF of several kinds, tests/e2e/symbolize --dwarf
# has as many functions as eu-addr2line -i, with the same files and lines. Where a program has no
# .debug_aranges elfutils 0.188 finds nothing, so that llvm-symbolizer is asked. Compared is where a
# symbol covers the address: in the gaps between functions elfutils answers with what lies before.
#   DWARF_COUNT=2000  addresses of each program
set -u
: "${top_srcdir:=.}" "${top_builddir:=.}" "${DWARF_COUNT:=2000}" "${CXX:=g++}" "${CLANGXX:=clang++}"
symbolize=$top_builddir/tests/e2e/symbolize
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cases=0 failed=0
have() { [ -n "$(command -v "$1")" ]; }
if [ ! -x "$symbolize" ] || ! have "$CXX" || ! have eu-addr2line; then
    echo "1..0 # SKIP needs tests/e2e/symbolize, a C++ compiler and eu-addr2line"
    exit 0
fi

# Random bytes of .text, as offsets in the file and as addresses.
pick() { # program
    readelf -SW "$1" | sed -n 's/^ *\[ *[0-9]*\] //p' | awk -v count="$DWARF_COUNT" -v to="$dir" '
        function hex(text,    i, n) {
            for (i = n = 0; i++ < length(text);)
                n = n * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
            return n
        }
        $1 == ".text" {
            srand(1)
            while (count-- > 0) {
                at = int(rand() * hex($5))
                printf "%x\n", hex($4) + at >(to "/offsets")
                printf "0x%x\n", hex($3) + at >(to "/addresses")
            }
        }'
}

# A line an address: its files and lines, the innermost first; -: no symbol.
lines_of_ours() {
    awk -F' [|] ' '{
        split($1, head, " ")
        line = head[3] == "-" ? "-" : ""
        for (i = 2; i <= NF && line != "-"; i++) { n = split($i, words, " "); line = line " " words[n] }
        print line
    }'
}
lines_of_theirs() {
    awk '/^0x[0-9a-f]+$/ { if (seen++) print line; line = ""; odd = 0; next }
        odd = !odd { next }
        { sub(/ \(discriminator.*/, ""); n = split($0, part, ":"); line = line " " part[1] ":" (part[2] + 0) }
        END { print line }'
}

compare() { # what, peer, program
    pick "$3"
    "$symbolize" --dwarf "$3" <"$dir/offsets" 2>"$dir/log" | lines_of_ours >"$dir/ours"
    case $2 in
    llvm) llvm-symbolizer --output-style=GNU -a -f -i -e "$3" <"$dir/addresses" ;;
    *) eu-addr2line -a -f -i -e "$3" <"$dir/addresses" ;;
    esac 2>/dev/null | lines_of_theirs >"$dir/theirs"
    # What only one of both knows is no contradiction.
    paste -d '#' "$dir/ours" "$dir/theirs" >"$dir/both"
    if awk -F'#' '
        { gsub(/[^ ]*\/\.\.\//, "", $0) }
        $1 == "-" { next }
        $1 == $2 { same++; next }
        $1 == "" || $1 ~ /\?\?:0$/ { less++; next }
        $2 == "" || $2 ~ /\?\?:0$/ || split($2, p, " ") == 1 && index($1, $2 " ") == 1 { more++; next }
        !other++ { first = $0 }
        END {
            printf "# %d same, %d less, %d more, %d different\n", same, less, more, other
            if (other) print "# ours#theirs: " first
            exit !(same > 100 && !other)
        }' "$dir/both"; then
        echo "ok $((++cases)) - $1"
    else
        echo "not ok $((++cases)) - $1"
        sed 's/^/# /' "$dir/log"
        failed=1
    fi
}

build_and_compare() { # what, peer, compiler, flags...
    local what=$1 peer=$2
    shift 2
    if "$@" -O2 -std=c++17 "$top_srcdir/tests/workloads/symbols.cc" -o "$dir/program" >"$dir/log" 2>&1; then
        compare "$what" "$peer" "$dir/program"
    else
        echo "ok $((++cases)) - $what # SKIP $1 cannot make it"
    fi
}

build_and_compare "DWARF 5 of gcc" elfutils "$CXX" -gdwarf-5
build_and_compare "DWARF 4" elfutils "$CXX" -gdwarf-4
build_and_compare "DWARF 2" elfutils "$CXX" -gdwarf-2 -gstrict-dwarf
build_and_compare "DWARF 5 in 64-bit form" elfutils "$CXX" -gdwarf-5 -gdwarf64
build_and_compare "compressed sections" elfutils "$CXX" -g -gz=zlib
build_and_compare "optimized when linked" elfutils "$CXX" -g -flto
build_and_compare "lines alone, the rest in a .dwo file" elfutils "$CXX" -g -gsplit-dwarf
if have llvm-symbolizer && have "$CLANGXX"; then
    build_and_compare "DWARF 5 of clang" llvm "$CLANGXX" -gdwarf-5
    build_and_compare "DWARF 4 of clang" llvm "$CLANGXX" -gdwarf-4
    build_and_compare "lines and inlined functions alone" llvm "$CLANGXX" -gline-tables-only
fi
echo "1..$cases"
exit $failed
