#!/usr/bin/env bash
# jit.sh: names of code made at run time, and none of them wrong: JVMs that are only asked, one of
# them in a container under another user; JITs that write perf maps or jitdumps, one of which uses
# its addresses again.
# shellcheck source=tests/e2e/kit.sh disable=SC2119,SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
sources=$top_srcdir/tests/workloads

begin podflamed podflame-server tests/workloads/rejit tests/workloads/contain
need_root
seconds=20

# ---- what runs

find_jdk() { # feature version
    local home
    for home in /usr/lib/jvm/*"$1"*; do
        [ -x "$home/bin/java" ] && "$home/bin/java" -version 2>&1 | grep -q "version \"$1[.\"]" &&
            { echo "$home"; return; }
    done
}

# make_class NAME: a Java program with methods of its own.
make_class() {
    sed "s/CART/$1/g" "$sources/Cart.java" >"$dir/$1.java"
    "$javac" --release 17 -d "$dir" "$dir/$1.java" >>"$dir/javac.log" 2>&1 || { show "$dir/javac.log"; bail "no $1"; }
}

background() { # command...: its pid is in $last
    "$@" >"$dir/out.$#.$RANDOM" 2>&1 &
    last=$!
    kit_pids+=("$last")
}

jdk17=$(find_jdk 17) jdk25=$(find_jdk 25)
javac=${jdk25:-$jdk17}/bin/javac
[ -x "$javac" ] || javac=
node=$(command -v node)
python=''
is_named='import os, sys; sys.is_stack_trampoline_active() and print(os.getpid(), sys.executable)'
for candidate in python3 python3.14 python3.13 python3.12 "$HOME"/.pyenv/versions/3.1[2-9]*/bin/python3; do
    read -r pid python < <("$candidate" -X perf -c "$is_named" 2>/dev/null) || continue
    rm -f "/tmp/perf-$pid.map"
    break
done
if [ -n "$javac" ]; then
    for class in Plain17 Pointer17 Plain25 Pointer25 Boxed17 Refusing17 Flagged17; do make_class "$class"; done
fi
cat >"$dir/cart.js" <<'END'
function priceOfItem(v) { for (let i = 0; i < 200000; i++) v = (v * 31 + 7) % 1000003; return v; }
function totalOfCart(items) { let sum = 0; for (const item of items) sum += priceOfItem(item); return sum; }
const end = Date.now() + 1000 * Number(process.argv[2]);
let sink = 0;
while (Date.now() < end) sink += totalOfCart([1, 2, 3]);
END
cat >"$dir/cart.py" <<'END'
import sys, time
def price_of_item(v):
    for i in range(100000): v = (v * 31 + 7) % 1000003
    return v
def total_of_cart(items):
    return sum([price_of_item(i) for i in items])
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end: total_of_cart([1, 2, 3])
END

# Under names of their own, and before anything runs: copying takes its time on a busy machine.
mkdir "$dir/root"
chmod 755 "$dir"
for name in node-named node-bare; do [ -z "$node" ] || cp "$node" "$dir/$name"; done
for how in map dump; do cp "$workloads/rejit" "$dir/rejit-$how"; done
[ -z "$python" ] || ln -s "$python" "$dir/snake"

start_server
start_agent --window 6s
cd "$dir" || bail "no directory"
java() { # JDK, class, flags...
    local jdk=$1 class=$2
    shift 2
    background "$jdk/bin/java" -Xmx64m -cp "$dir" "$@" "com.acme.$class" $seconds
}
if [ -n "$jdk17" ]; then
    java "$jdk17" Plain17
    java "$jdk17" Pointer17 -XX:+PreserveFramePointer
    java "$jdk17" Refusing17 -XX:+DisableAttachMechanism
    refusing=$last
    JAVA_TOOL_OPTIONS=-XX:+DisableAttachMechanism java "$jdk17" Flagged17
    background "$workloads/contain" "$dir/root" "$dir" 1000 "$jdk17/bin/java" -Xmx64m -cp /files com.acme.Boxed17 $seconds
    boxed=$last
fi
if [ -n "$jdk25" ]; then
    java "$jdk25" Plain25
    java "$jdk25" Pointer25 -XX:+PreserveFramePointer
fi
if [ -n "$node" ]; then
    background "$dir/node-named" --perf-basic-prof "$dir/cart.js" $seconds
    named_node=$last
    background "$dir/node-bare" "$dir/cart.js" $seconds
fi
if [ -n "$python" ]; then
    background "$dir/snake" -X perf "$dir/cart.py" $seconds
    python_pid=$last
fi
for how in map dump; do
    background "$dir/rejit-$how" $how $seconds
done
sleep $((seconds / 2))
if [ -n "$jdk17" ]; then
    # The program of the container is its only child.
    inside=/proc/$(pgrep -P "$boxed")/root/tmp
    # shellcheck disable=SC2010 # names of our own
    left=$(ls -A "$inside" | grep -v hsperfdata | tr '\n' ' ')
    alive=no
    kill -0 "$refusing" && alive=yes
fi
for pid in "${kit_pids[@]}"; do
    [ "$pid" = "$server_pid" ] || [ "$pid" = "$agent_pid" ] || { wait "$pid"; forget "$pid"; }
done
sleep 2
for name in jit_files_read jit_files_refused java_asked unsymbolized_jit; do
    note "$name $(metric ${name}_total)"
done
java_refused=$(metric java_refused_total) java_timeouts=$(metric java_timeouts_total)
stop "$agent_pid"
folded >"$dir/folded" || bail "the server did not answer"
rm -f "/tmp/perf-${named_node:-none}.map" "/tmp/perf-${python_pid:-none}.map"

# ---- what came of it

# share REGEX-OF-ALL REGEX-OF-GOOD PERCENT
share() {
    local all good
    all=$(count_folded "$dir/folded" "$1")
    grep -E -e "$1" "$dir/folded" >"$dir/lines"
    good=$(count_folded "$dir/lines" "$2")
    echo "$good of $all samples"
    grep -Ev -e "$2" "$dir/lines" | head -n 2 | cut -c 1-600
    [ "$good" -ge 5 ] && [ $((good * 100)) -ge $((all * $3)) ]
}

# Each JVM's methods are its own; what is inlined is one with its caller.
methods() { # class
    local price="com\.acme\.$1\.price\(long\)_\[j\]" total="com\.acme\.$1\.total\(java\.util\.List\)_\[j\]"
    local named
    named=$(count_folded "$dir/folded" "($price|$total)")
    echo "$named samples"
    # How many a JVM has is the machine's to say.
    [ "$named" -ge 5 ] && matches "$dir/folded" "Interpreter_\[j\];($total|$price)"
}
for class in Plain17 Pointer17 Boxed17 Plain25 Pointer25; do
    what="$class: its methods have names"
    case $class in *17) jdk=$jdk17 ;; *) jdk=$jdk25 ;; esac
    if [ -n "$jdk" ]; then check "$what" methods $class; else skip "$what" "no JDK ${class: -2}"; fi
done
no_line() { ! grep -E -e "$1" "$dir/folded"; }
if [ -n "$jdk17" ]; then
    check "a JVM with attaching disabled is left alone and lives" equal "$alive" yes
    check "two such JVMs are counted" equal "$java_refused" 2
    check "neither has names" no_line "com\.acme\.(Refusing17|Flagged17)"
    # HotSpot prints all threads when it gets the signal and does not want to be attached to.
    threads_printed() { grep -l "Full thread dump" "$dir"/out.*; }
    check "no JVM printed its threads" equal "$(threads_printed)" ""
    check "nothing is left in the container" equal "$left" ".java_pid1 "
    check "chains of interpreted methods are one frame" no_line "Interpreter_\[j\];Interpreter_\[j\]"
    check "each JVM answered" equal "$java_timeouts" 0
else
    skip "JVMs that refuse" "no JDK 17"
fi
if [ -n "$node" ]; then
    check "node with a perf map: its functions have names" share "^node-named;.*(priceOfItem|totalOfCart)_\[j\]" "(priceOfItem|totalOfCart)_\[j\]" 90
    check "node without: none" no_line "^node-bare;.*(priceOfItem|totalOfCart)"
else
    skip "node" "no node"
fi
if [ -n "$python" ]; then
    check "Python's trampolines have names" share "^snake;" "total_of_cart_\[j\].*;price_of_item_\[j\]" 20
else
    skip "Python's trampolines have names" "no Python with -X perf"
fi
for how in map dump; do
    [ $how = map ] && least=30 || least=60
    check "$how: code at an address that is used again has names" share \
        "^rejit-$how;.*(first|second)_caller" "(first|second)_code_\[j\]" "$least"
    check "$how: none of them is wrong" no_line "^rejit-$how;.*(first_caller.*second_code|second_caller.*first_code)"
done
[ "$failures" = 0 ] || { show "$agent_log"; KEEP=1; }
finish
