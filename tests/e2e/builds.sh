#!/usr/bin/env bash
# builds.sh: what a packager meets: missing libraries named, halves left out, a complete install.
# `make check-builds` calls it with top_srcdir; it builds in a temporary directory and prints TAP.
set -u
: "${top_srcdir:?}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
n=0
failed=0

result() { # exit code, name, file with what was said
    n=$((n + 1))
    if [ "$1" = 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        tail -n 40 "$3" | sed 's/^/# /'
        failed=1
    fi
}

# A pkg-config that does not know some libraries.
pkg_config_without() { # names as a pattern
    cat >"$work/pkg-config" <<END
#!/bin/sh
for word; do
    case \$word in $1) exit 1 ;; esac
done
exec pkg-config "\$@"
END
    chmod +x "$work/pkg-config"
}

configure_in() { # directory, flags...
    mkdir -p "$work/$1"
    (cd "$work/$1" && "$top_srcdir/configure" "${@:2}")
}

has_all() { # file, words...
    local word bad=0
    for word in "${@:2}"; do
        grep -qe "$word" "$1" || { echo "lacks: $word" && bad=1; }
    done
    return $bad
}

# ---- one run of configure names everything to install, for both families of distributions
names_all_missing() {
    ! PKG_CONFIG_LIBDIR=/nonexistent PKG_CONFIG_PATH='' configure_in bare >"$work/bare.out" 2>&1 &&
        has_all "$work/bare.out" libmsgpack-dev msgpack-devel libzstd-dev libzstd-devel \
        libxxhash-dev xxhash-devel libinih-dev inih-devel libjansson-dev jansson-devel \
        libcurl4-openssl-dev libcurl-devel libmicrohttpd-dev libmicrohttpd-devel libunwind-dev \
        libunwind-devel libelf-dev elfutils-libelf-devel libdw-dev elfutils-devel \
        liblzma-dev xz-devel libsqlite3-dev sqlite-devel libprotobuf-c-dev protobuf-c-devel
}
names_all_missing >"$work/bare.log"
result $? "configure names every missing library and its package at once" "$work/bare.log"

names_missing_ui() {
    ! configure_in noui --with-ui-dir=/nonexistent >"$work/noui.out" 2>&1 &&
        has_all "$work/noui.out" "/nonexistent has no index.html"
}
names_missing_ui >"$work/noui.log"
result $? "a built web UI that is not there is named" "$work/noui.log"

# ---- a node needs no SQLite, a server no libunwind
half() { # directory, libraries that are missing, flag; then programs wanted, a dash, programs not wanted
    pkg_config_without "$2"
    configure_in "$1" PKG_CONFIG="$work/pkg-config" --with-ui-dir=no "$3" &&
        make -C "$work/$1" -j2 install DESTDIR="$work/$1/root"
}
installed() { # directory, program
    test -x "$work/$1/root/usr/local/sbin/$2" -o -x "$work/$1/root/usr/local/bin/$2"
}
{ half server "libunwind*" --disable-agent && installed server podflame-server &&
    installed server podflame && ! installed server podflamed; } >"$work/server.log" 2>&1
result $? "a server is built without libunwind" "$work/server.log"
{ half node "sqlite3" --disable-server && installed node podflamed && installed node podflame &&
    ! installed node podflame-server; } >"$work/node.log" 2>&1
result $? "an agent is built without SQLite and npm" "$work/node.log"

# ---- an install is complete and stays within its root
mkdir -p "$work/ui"
echo '<!doctype html><title>given</title>' >"$work/ui/index.html"
echo 'console.log(1)' >"$work/ui/main.js"
{ configure_in whole --prefix=/usr --sysconfdir=/etc --localstatedir=/var --with-ui-dir="$work/ui" &&
    make -C "$work/whole" -j2 install DESTDIR="$work/whole/root"; } >"$work/whole.log" 2>&1
whole_code=$?
(cd "$work/whole/root" 2>/dev/null && find . -type f | sort) >"$work/whole.files"
# What may be there, and must.
cat >"$work/whole.wanted" <<END
./usr/bin/podflame
./usr/sbin/podflame-server
./usr/sbin/podflamed
./usr/share/man/man1/podflame.1
./usr/share/man/man8/podflame-server.8
./usr/share/man/man8/podflamed.8
./usr/share/podflame/ui/index.html
./usr/share/podflame/ui/main.js
END
{ diff -u "$work/whole.wanted" "$work/whole.files" && [ $whole_code = 0 ]; } >>"$work/whole.log" 2>&1
result $? "make install DESTDIR= puts every file in its place and no other" "$work/whole.log"

programs=("$work"/whole/root/usr/bin/podflame "$work"/whole/root/usr/sbin/podflame-server "$work"/whole/root/usr/sbin/podflamed)
for program in "${programs[@]}"; do
    "$program" --version && "$program" --help | grep -q '^Usage: '
done >"$work/run.log" 2>&1
[ "$(grep -c '^podflame[a-z-]* [0-9]' "$work/run.log")" = 3 ]
result $? "every installed program says its version and how it is used" "$work/run.log"

for page in "$work"/whole/root/usr/share/man/man?/*; do
    if command -v man >/dev/null; then
        { LC_ALL=C.UTF-8 MANROFFSEQ='' man --warnings -l "$page" >/dev/null; } 2>&1
    fi
    has_all "$page" '^.TH ' '^.SH NAME' '^.SH OPTIONS'
done >"$work/man.log" 2>&1
test ! -s "$work/man.log"
result $? "every manual page is whole" "$work/man.log"

make -C "$work/whole" uninstall DESTDIR="$work/whole/root" >"$work/uninstall.log" 2>&1
find "$work/whole/root" -type f >"$work/left"
test ! -s "$work/left"
result $? "make uninstall leaves no file" "$work/left"

echo "1..$n"
exit $failed
