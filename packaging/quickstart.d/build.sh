# shellcheck shell=bash
# build.sh: configure and make, each only when it is due.

# configure itself and Makefile.in, from configure.ac and Makefile.am.
make_configure() { # log file
    if [ -x "$top/configure" ] && [ "$top/configure" -nt "$top/configure.ac" ] &&
        [ "$top/Makefile.in" -nt "$top/Makefile.am" ]; then
        return 0
    fi
    run_logged "making configure" "$1" env -C "$top" autoreconf -i
}

# Leaves a configured build directory; an old one keeps its configuration unless other flags are
# asked for now, and make brings it up to date by itself.
configure_in() { # directory, [VARIABLE=value...] flags of configure...
    local dir=$1
    shift
    mkdir -p "$dir"
    if [ -e "$dir/Makefile" ] && [ "$(cat "$dir/configured-with" 2>/dev/null)" = "$*" ]; then
        return 0
    fi
    (cd "$dir" && "$top/configure" "$@") && echo "$*" >"$dir/configured-with"
}
