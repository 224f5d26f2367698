#!/usr/bin/env bash
# quickstart.sh: `packaging/quickstart run` as a user meets it, on a terminal and off. It builds in
# build/run of the source tree and needs root; `packaging/quickstart check` calls it. Prints TAP.
set -u
: "${top_srcdir:?}"
work=$(mktemp -d)
busy=
trap '[ -z "$busy" ] || kill $busy; rm -rf "$work"' EXIT
n=0
failed=0

result() { # exit code, name, file with what was said
    n=$((n + 1))
    if [ "$1" = 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        tail -n 40 "$3" | tr '\r' '\n' | sed 's/^/# /'
        failed=1
    fi
}

quickstart() {
    "$top_srcdir/packaging/quickstart" "$@"
}

answers() { # port
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

port=$((20000 + RANDOM % 10000))
while answers $port; do port=$((port + 1)); done

says() { # file, texts...
    local text bad=0
    for text in "${@:2}"; do
        grep -qF -- "$text" "$1" || { echo "lacks: $text" >>"$1" && bad=1; }
    done
    return $bad
}

# Programs of ours that use the data directory and still run.
left_running() {
    grep -lsF "$work/data" /proc/[0-9]*/cmdline | while read -r file; do
        case $(tr '\0' ' ' 2>/dev/null <"$file") in */podflame*) echo "$file" ;; esac
    done 2>/dev/null
}

# ---- what is wrong is said, with what to do
! quickstart run --port 99999 >"$work/out" 2>&1 && says "$work/out" '"99999" is not a port'
result $? "a port that is none is refused" "$work/out"

! quickstart run --prot 1 >"$work/out" 2>&1 && says "$work/out" 'unknown argument "--prot"' --port --data-dir --duration
result $? "an unknown flag is answered with those there are" "$work/out"

if [ "$(id -u)" != 0 ]; then
    ! quickstart run >"$work/out" 2>&1 && says "$work/out" "needs root" "sudo packaging/quickstart run"
    result $? "who is not root is told so" "$work/out"
    echo "1..$n"
    exit $failed
fi

chmod 755 "$work"
cp -r "$top_srcdir/packaging" "$work/packaging"
! setpriv --reuid=65534 --regid=65534 --clear-groups "$work/packaging/quickstart" run >"$work/out" 2>&1 &&
    says "$work/out" "needs root" "sudo packaging/quickstart run"
result $? "who is not root is told so" "$work/out"

node -e "require('net').createServer().listen($port, '127.0.0.1')" &
busy=$!
until answers $port; do sleep 0.1; done
! quickstart run --port $port >"$work/out" 2>&1 && says "$work/out" "port $port is in use" "--port"
result $? "a port in use is named" "$work/out"
kill $busy
busy=

mkdir "$work/bin" "$work/fake"
for program in /usr/bin/* /bin/* /usr/sbin/* /sbin/*; do
    case ${program##*/} in apt* | dpkg* | dnf* | rpm*) continue ;; esac
    ln -sf "$program" "$work/bin/"
done
! PATH=$work/bin quickstart run --port $port --data-dir "$work/data" >"$work/out" 2>&1 &&
    says "$work/out" "neither apt nor dnf" "packaging/packages.txt" --no-install
result $? "a distribution it does not know is told what to install" "$work/out"

cat >"$work/fake/make" <<END
#!/bin/sh
case " \$* " in *" install "*) ;; *) exec $(command -v make) "\$@" ;; esac
echo "frobnicator.c:7: error: no such thing"
exit 2
END
chmod +x "$work/fake/make"
! PATH=$work/fake:$PATH quickstart run --no-install --port $port --data-dir "$work/data" >"$work/out" 2>&1 &&
    says "$work/out" "frobnicator.c:7: error: no such thing" "the build failed" "build/run/logs/build.log"
result $? "a build that fails shows its log's end and where it is" "$work/out"

# ---- a run off a terminal, for a while
before=$(date +%s)
quickstart run --no-install --port $port --data-dir "$work/data" --duration 3 >"$work/out" 2>&1 &&
    says "$work/out" "podflame is at http://127.0.0.1:$port" "The ten hottest functions" "Stopped." &&
    [ "$(grep -Ec '^ *[0-9.]+% +[0-9.]+% .* (user|inlined|jit|kernel)$' "$work/out")" = 10 ]
result $? "a run prints the address and what is hot" "$work/out"
left_running >"$work/left"
! answers $port && [ ! -s "$work/left" ]
result $? "it leaves nothing running" "$work/left"

# ---- the next one, on a terminal, until Ctrl-C
mkfifo "$work/keys"
rm "$work/out" # what it says there was said by the run before
# Background jobs of a script ignore SIGINT, and so would all below.
env --default-signal=INT script -qefc "exec '$top_srcdir/packaging/quickstart' run --no-install --port $port --data-dir '$work/data'" /dev/null \
    <"$work/keys" >"$work/out" 2>&1 &
terminal=$!
exec 4>"$work/keys"
left=1200
until grep -qs "Ctrl-C stops it" "$work/out" || [ $left = 0 ]; do
    sleep 0.1
    left=$((left - 1))
done
curl -sS "http://127.0.0.1:$port/api/v1/processes?start=$before&end=$((before + 120))" >"$work/kept" 2>&1
curl -sS "http://127.0.0.1:$port/" >"$work/page" 2>&1
printf '\003' >&4
wait $terminal
code=$?
exec 4>&-
grep -q '"samples":[1-9]' "$work/kept"
result $? "the next run has the data of the one before" "$work/kept"
grep -qi '<!doctype html' "$work/page"
result $? "its address is the page" "$work/page"
echo "exit code $code" >>"$work/out"
says "$work/out" "exit code 0" "Stopped. The data is in $work/data"
result $? "Ctrl-C stops it in order" "$work/out"
! grep -q "^configuring\|installing" "$work/out" && grep -qP '\r\x1b\[K\[\d+ s\] ' "$work/out"
result $? "on a terminal one line says what it is doing" "$work/out"
left_running >"$work/left"
! answers $port && [ ! -s "$work/left" ]
result $? "nothing is left running" "$work/left"
sed -n 's/.*podflame is at .* (\(started in [0-9]* s\)).*/# the second run \1/p' "$work/out"

echo "1..$n"
exit $failed
