# shellcheck shell=bash
# install.sh: the distribution's packages that packages.txt names and this machine lacks.

# Sets `package_column` (of packages.txt) or ends.
find_distribution() {
    if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
        package_column=2
    elif command -v dnf >/dev/null && command -v rpm >/dev/null; then
        package_column=3
    else
        local name
        # shellcheck disable=SC1091 # the machine's own
        name=$(. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME:-}")
        die "${name:-this distribution} has neither apt nor dnf. Install what packaging/packages.txt names" \
            "by hand, then add --no-install."
    fi
}

is_installed() { # package
    if [ "$package_column" = 2 ]; then
        [[ $installed_packages == *" $1 "* ]]
    else
        rpm -q "$1" >/dev/null 2>&1
    fi
}

is_offered() { # package
    if [ "$package_column" = 2 ]; then
        [[ $(apt-cache policy "$1" 2>/dev/null) == *"Candidate: "[0-9]* ]]
    else
        dnf -q info "$1" >/dev/null 2>&1
    fi
}

# Prints, for each row that asks for a package that is not there, its alternatives.
missing_packages() { # groups, as a pattern
    local group debian fedora unless names name found
    while read -r group debian fedora unless; do
        [[ $group =~ ^($1)$ ]] || continue
        names=$debian
        [ "$package_column" = 2 ] || names=$fedora
        [ "$names" != - ] || continue
        [ "$unless" = - ] || ! command -v "$unless" >/dev/null || continue
        found=no
        for name in ${names//|/ }; do
            ! is_installed "$name" || found=yes
        done
        [ $found = yes ] || echo "$names"
    done < <(grep -v '^#' "$top/packaging/packages.txt")
}

# Of each line's alternatives the first that is offered; the first of all if none is, so that the
# package manager says so.
choose_packages() {
    local names name choice
    while read -r names; do
        choice=${names%%|*}
        for name in ${names//|/ }; do
            if [[ $names != *'|'* ]] || is_offered "$name"; then
                choice=$name
                break
            fi
        done
        echo "$choice"
    done | sort -u
}

install_packages() { # groups as a pattern, log directory
    local missing packages installed_packages='' log=$2/install.log
    find_distribution
    [ "$package_column" != 2 ] ||
        installed_packages=" $(dpkg-query -W -f '${db:Status-Status} ${Package} ' | sed 's/installed / /g') "
    missing=$(missing_packages "$1")
    [ -n "$missing" ] || return 0
    if [ "$package_column" = 2 ]; then
        export DEBIAN_FRONTEND=noninteractive
        run_logged "fetching the package lists" "$log" apt-get -q -o DPkg::Lock::Timeout=300 update ||
            { show_log "$log"; die "apt-get update failed; all of it is in $log"; }
    fi
    packages=$(choose_packages <<<"$missing")
    # shellcheck disable=SC2086 # a word each
    set -- $packages
    local how=(apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install)
    [ "$package_column" = 2 ] || how=(dnf -q -y --setopt=install_weak_deps=False install)
    run_logged "installing $# packages" "$log" "${how[@]}" "$@" ||
        { show_log "$log"; die "the packages could not be installed; all of it is in $log"; }
}
