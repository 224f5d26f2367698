#!/usr/bin/env bash
# symbols.sh: what it costs to name 10,000 random addresses of a large ELF file: podflame's
# symbolizer, eu-addr2line and addr2line in one run, as whole processes, with the ratio.
#   BENCH_ELF        the file; by default the largest of some that are often installed
#   BENCH_COUNT      addresses, 10000
#   SYMBOLIZE        tests/e2e/symbolize of the build
set -eu
: "${top_builddir:=.}" "${BENCH_COUNT:=10000}" "${SYMBOLIZE:=$top_builddir/tests/e2e/symbolize}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

pick_file() {
    find -L /usr/lib/*/libLLVM*.so* /usr/lib/*/libstdc++.so.6 \
        /usr/lib64/libLLVM*.so* /usr/lib64/libstdc++.so.6 -maxdepth 0 -type f -printf '%s %p\n' 2>/dev/null |
        sort -n | tail -n 1 | cut -d ' ' -f 2
}
file=${BENCH_ELF:-$(pick_file)}
[ -r "$file" ] || { echo "no large ELF file found; set BENCH_ELF" >&2; exit 1; }

# "OFFSET VADDR" of random bytes of .text
readelf -SW "$file" | sed -n 's/^ *\[ *[0-9]*\] //p' |
    awk -v count="$BENCH_COUNT" '
    function hex(text,    i, n) {
        for (i = n = 0; i++ < length(text);)
            n = n * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
        return n
    }
    $1 == ".text" {
        srand(1)
        while (count-- > 0) {
            at = int(rand() * hex($5))
            printf "%x 0x%x\n", hex($4) + at, hex($3) + at
        }
        exit
    }' >"$dir/both"
cut -d ' ' -f 1 "$dir/both" >"$dir/offsets"
cut -d ' ' -f 2 "$dir/both" >"$dir/addresses"
symbols=$(readelf -sW "$file" 2>/dev/null | grep -c ' FUNC ' || true)
echo "$file: $(stat -Lc %s "$file") bytes, $symbols functions; $(wc -l <"$dir/offsets") addresses"

# Milliseconds of the best of three runs; the first warms the page cache for all.
best_ms() { # input command...
    local input=$1 best='' from to ms
    shift
    for _ in 1 2 3; do
        from=$(date +%s%N)
        "$@" <"$input" >"$dir/out" 2>"$dir/log" || { cat "$dir/log" >&2; return 1; }
        to=$(date +%s%N)
        ms=$(((to - from) / 10000))
        if [ -z "$best" ] || [ "$ms" -lt "$best" ]; then best=$ms; fi
    done
    awk "BEGIN { print $best / 100 }"
}

ours=$(best_ms "$dir/offsets" "$SYMBOLIZE" "$file")
named=$(awk '$3 != "-"' "$dir/out" | wc -l)
printf '%-14s %10.1f ms   %s named; %s\n' podflame "$ours" "$named" "$(cat "$dir/log")"
for peer in eu-addr2line addr2line; do
    if ! command -v $peer >/dev/null; then
        echo "$peer          not installed"
        continue
    fi
    theirs=$(best_ms "$dir/addresses" timeout 600 $peer -f -C -e "$file")
    printf '%-14s %10.1f ms   ratio %.1f\n' $peer "$theirs" "$(awk "BEGIN { print $theirs / $ours }")"
done

# The same with files, lines and inlined functions, of a file that has DWARF.
readelf -SW "$file" | grep -q ' \.debug_info' || exit 0
ours=$(best_ms "$dir/offsets" "$SYMBOLIZE" --dwarf "$file")
printf '%-14s %10.1f ms   with DWARF; %s\n' podflame "$ours" "$(cat "$dir/log")"
for peer in eu-addr2line addr2line llvm-symbolizer; do
    command -v $peer >/dev/null || continue
    theirs=$(best_ms "$dir/addresses" timeout 600 $peer -f -i -C -e "$file") || continue
    printf '%-14s %10.1f ms   ratio %.1f\n' $peer "$theirs" "$(awk "BEGIN { print $theirs / $ours }")"
done
