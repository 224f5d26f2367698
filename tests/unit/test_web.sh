#!/bin/sh
# test_web.sh: runs the page's unit tests (src/web/test), which the build has bundled, under node, and
# prints TAP. Every case stands at the top level, so that each is counted.
tests=${top_builddir:?}/src/web/work/dist-tests/all.mjs
reporter=
# node 18.13 knows no other reporter than TAP, and not the option.
node --help | grep -q -e --test-reporter && reporter=--test-reporter=tap
exec node $reporter "$tests"
