#!/bin/sh
# page.sh: posts a profile to a real podflame-server and lets page.mjs look at its page in a real
# browser. Prints TAP. PODFLAME_URL: use the server there, which holds the profile already.
set -eu
e2e=${top_srcdir:?}/tests/e2e
build=${top_builddir:?}

skip() {
    echo "1..0 # SKIP $1"
    exit 0
}

command -v "${CHROMIUM:-chromium}" >/dev/null 2>&1 || skip "chromium is not installed"
command -v node >/dev/null 2>&1 || skip "node is not installed"

dir=$(mktemp -d)
server=
cleanup() {
    test -z "$server" || { kill "$server" && wait "$server"; } 2>/dev/null || true
    rm -rf "$dir"
}
trap cleanup EXIT

: >"$dir/log" # the server's shell may be later than the loop below
"$build/podflame-server" --listen 127.0.0.1:0 --data-dir "$dir/data" --ui-dir "$build/src/web/dist" \
    2>"$dir/log" &
server=$!
for _ in $(seq 100); do
    address=$(sed -n 's/.*listening address=\([^ ]*\).*/\1/p' "$dir/log")
    test -z "$address" || break
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
done
if [ -z "$address" ]; then
    sed 's/^/# /' "$dir/log"
    echo "Bail out! podflame-server did not start"
    exit 1
fi

post() { # make_batch's options; folded lines on stdin
    "$build/tests/workloads/make_batch" "$@" >"$dir/batch"
    curl -sS --fail-with-body -o "$dir/answer" -H 'Content-Type: application/vnd.podflame.batch' \
        --data-binary "@$dir/batch" "http://$address/api/v1/batches" ||
        { sed 's/^/# /' "$dir/answer"; echo "Bail out! the server refused a batch"; exit 1; }
}

now=$(date +%s)
deep=deep
for i in $(seq 100); do deep="$deep;f$i"; done
echo "$deep 10" | post --node node-1 --seq 10 --end $((now - 32400))
echo "twin;main 150" | post --node node-1 --seq 11 --end $((now - 18000))
echo "twin;main 50" | post --node node-2 --seq 1 --end $((now - 18000))
post --node node-1 --seq 12 --end $((now - 43200)) \
    --counter stacks_bottom=1080 --counter stacks_truncated=80 --counter stacks_no_rule=40 \
    --counter stacks_pending=6 --counter frames_table=9200 --counter frames_frame_pointer=700 \
    --counter frames_scan=98 --counter frames_by_magic=2 <<'END'
partly;main;work;vfs_read_[k] 900
partly;[truncated];parse;work 60
partly;[no unwind info];memcpy_fast 30
partly;[inconsistent stack];switch_to 10
whole;main;work 200
END
post --node node-1 --seq 13 --end $((now - 50400)) <<'END'
mixed;_PyEval_EvalFrameDefault 300
mixed;main{main.cc:10};com.acme.Cart.total(int)_[j] 200
mixed;main{main.cc:10};std::vector<int, std::allocator<int> >::push_back(int const&){stl_vector.h:1289}_[i] 300
mixed;main{main.cc:12};std::vector<int, std::allocator<int> >::push_back(int const&){stl_vector.h:1289}_[i] 100
mixed;main{main.cc:12};vfs_read_[k] 100
END
post --node node-1 --seq 1 --end $((now - 7200)) <<'END'
earlier;main;idle 250
END
post --node node-1 --seq 2 --end $((now - 5)) <<'END'
burner;main;hot_loop 500
burner;main;read_file;vfs_read_[k] 200
burner;main;tidy_up 100
shop;serve;std::_Hashtable<std::string, std::pair<std::string const, Cart>, std::allocator<Item> >::find(std::string const&) 150
shop;serve;/usr/lib/libshop.so+0x1a2b 50
END

node "$e2e/page.mjs" "http://$address/"
