#!/usr/bin/env bash
# code_rules.sh: rules found from the code of this machine's programs are those of their CFI, and
# instructions are as long as objdump says.
#   CODE_EVERY=20       of so many instructions the rule of one is compared
#   CODE_FILES=FILE...  ELF files with CFI
# shellcheck source=tests/e2e/kit.sh disable=SC2317
. "${top_srcdir:?}/tests/e2e/kit.sh"
every=${CODE_EVERY:-20}

begin tests/unwind/code_oracle tests/unwind/insn_oracle
read -ra files <<<"${CODE_FILES:-}"
[ ${#files[@]} -gt 0 ] || mapfile -t files < <(find -L /usr/bin /usr/lib /usr/lib64 -maxdepth 2 -type f \
    \( -name git -o -name perl -o -name bash -o -name 'python3.*[0-9]' -o -name libc.so.6 \
    -o -name 'libcrypto.so.[0-9]' -o -name 'libsqlite3.so.0' -o -name 'libstdc++.so.6' \) 2>/dev/null)
"$build/tests/unwind/code_oracle" "--every=$every" "${files[@]}" >"$dir/oracle" 2>&1
result=$?
show "$dir/oracle" 60

# Of the return addresses of all files together.
count() { # verdict, or "asked"
    local last
    last=$(grep 'return addresses:' "$dir/oracle" | tail -n 1)
    case $1 in
    asked) sed -n 's/.*: \([0-9]*\) asked.*/\1/p' <<<"$last" ;;
    *) sed -n "s/.* $1 \([0-9]*\) (.*/\1/p" <<<"$last" ;;
    esac
}
check "rules were found and compared" holds "$result == 0 && $(count asked) > 1000"
check "of a thousand return addresses at most one gets a wrong rule" \
    holds "$(count wrong) * 1000 <= $(count asked)"
# Calls that do not return have none, and code that the compiler has put far away.
check "of ten seven get one" holds "$(count none) * 10 <= $(count asked) * 3"

lengths() {
    local file
    for file in "${files[@]}"; do
        objdump -d --insn-width=16 "$file" 2>/dev/null | "$build/tests/unwind/insn_oracle" || return
    done >"$dir/lengths"
}
what="every instruction's length is objdump's"
if [ "$(uname -m)" != x86_64 ]; then
    skip "$what" "the decoder is for x86-64"
elif [ -z "$(command -v objdump)" ]; then
    skip "$what" "there is no objdump"
else
    check "$what" lengths
    show "$dir/lengths"
fi
finish
