#!/usr/bin/env bash
# objects.sh: memory of podflamed, and how late its windows are, while hundreds of different libraries
# with DWARF and one program with more than 200 MB of it run for the first time. `make bench-objects`
# calls it.
#   OBJECTS=300 WINDOWS=3   libraries; windows of 30 s to look at
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
objects=${OBJECTS:-300} windows=${WINDOWS:-3}

begin podflamed podflame-server
need_root
cc=${CC:-cc}

# ---- one program of 200 MB of DWARF: a unit of thousands of templates, 20 times under other names

make_unit() {
    cat <<'C'
template <int I> struct pair {
    unsigned left, right;
    unsigned sum() const { return left * (2 * I + 1) + right; }
    template <class F> unsigned apply(F f) const { return f(left) ^ f(right + I); }
};
template <int I> __attribute__((noinline)) unsigned work(unsigned x) {
    pair<I> p{x, x >> 3};
    auto turn = [&](unsigned y) { return (y << (I % 31 + 1)) ^ p.sum(); };
    for (int i = 0; i < 40; i++)
        p.left = p.apply(turn), p.right += p.sum();
    return p.sum();
}
C
    echo 'extern "C" unsigned run(unsigned x) {'
    seq 0 2999 | sed 's/.*/    x += work<&>(x);/'
    echo '    return x; }'
}
make_unit >"$dir/unit.cc"
${CXX:-c++} -O1 -g -fno-exceptions -fno-stack-protector -fno-asynchronous-unwind-tables -c -o "$dir/unit.o" "$dir/unit.cc" ||
    bail "the unit does not compile"
dwarf_bytes() { size -A "$1" | awk '$1 ~ /^\.debug/ { n += $2 } END { print n }'; }
units=$((255000000 / $(dwarf_bytes "$dir/unit.o") + 1))
{
    echo '#include <stdlib.h>'
    echo '#include <time.h>'
    for ((i = 0; i < units; i++)); do echo "extern unsigned u${i}_run(unsigned);"; done
    echo 'int main(int argc, char **argv) { unsigned x = 1; clock_t end = (argc > 1 ? atoi(argv[1]) : 1) * CLOCKS_PER_SEC;'
    echo 'do {'
    for ((i = 0; i < units; i++)); do echo "x += u${i}_run(x);"; done
    echo '} while (clock() < end); return x == 1; }'
} >"$dir/main.c"
for ((i = 0; i < units; i++)); do objcopy "--prefix-symbols=u${i}_" "$dir/unit.o" "$dir/unit$i.o"; done
$cc -g -o "$dir/huge" "$dir/main.c" "$dir"/unit[0-9]*.o || bail "the large program does not link"
rm -f "$dir"/unit*.o

# ---- many libraries: one code, a build-id each

cat >"$dir/library.c" <<'C'
static inline unsigned turn(unsigned x) { for (int i = 0; i < 50; i++) x = x * 1664525u + 1013904223u; return x; }
unsigned run(unsigned x) { for (int i = 0; i < 20000; i++) x = turn(x); return x; }
C
cat >"$dir/host.c" <<'C'
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int main(int argc, char **argv) {
    unsigned (**run)(unsigned) = calloc(argc, sizeof(*run)), x = 1;
    clock_t end = atoi(argv[1]) * CLOCKS_PER_SEC;
    for (int i = 2; i < argc; i++) {
        void *library = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
        if (!library || !(run[i] = dlsym(library, "run"))) { fprintf(stderr, "%s\n", dlerror()); return 1; }
    }
    do for (int i = 2; i < argc; i++) x = run[i](x); while (clock() < end);
    return x == 1;
}
C
$cc -O2 -g -fPIC -c -o "$dir/library.o" "$dir/library.c" || bail "the library does not compile"
$cc -O2 -o "$dir/host" "$dir/host.c" -ldl || bail "the host does not compile"
libraries=()
for ((i = 0; i < objects; i++)); do
    libraries+=("$dir/lib$i.so")
    $cc -shared "-Wl,--build-id=0x$(printf '%040x' $((i + 1)))" -o "$dir/lib$i.so" "$dir/library.o" || bail "no library"
done

# ---- podflamed with its own defaults, but for the log

start_server
start_agent
spooled() { grep -c 'batch spooled' "$agent_log"; }
has_spooled() { [ "$(spooled)" -ge "$1" ]; }
kib() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$agent_pid/status"; }
wait_until 60 has_spooled 2 || bail "no window was spooled"
echo "$objects libraries with DWARF and a program with $(($(dwarf_bytes "$dir/huge") / 1000000)) MB of it; $(nproc) CPUs, Linux $(uname -r)"
printf '%-28s %10s %10s %10s %10s\n' '' 'RSS MiB' 'peak MiB' 'rings MiB' 'late ms'
row() { # what; by how much the last window's batch came after the window's end
    awk -v what="$1" -v rss="$(kib VmRSS)" -v peak="$(kib VmHWM)" -v rings="$(metric ring_bytes)" -v late="$2" \
        'BEGIN { printf "%-28s %10.1f %10.1f %10.1f %10s\n", what, rss / 1024, peak / 1024, rings / 1048576, late }'
}
row 'before' "$(log_field "$agent_log" 'batch spooled' late_ms)"
seconds=$((windows * 30))
"$dir/host" "$seconds" "${libraries[@]}" &
kit_pids+=($!)
"$dir/huge" "$seconds" &
kit_pids+=($!)
for ((i = 1; i <= windows; i++)); do
    wait_until 60 has_spooled $((2 + i)) || bail "a window was not spooled"
    row "window $i" "$(log_field "$agent_log" 'batch spooled' late_ms)"
done
folded group=process >"$dir/folded"
count() { awk -v pattern="$1" '$0 ~ pattern { n += $NF } END { print n + 0 }' "$dir/folded"; }
all=$(count '^(host|huge);') inlined=$(count '^(host|huge);.*_\[i\]')
echo "samples of the two programs: $all, of them with inlined functions: $inlined"
