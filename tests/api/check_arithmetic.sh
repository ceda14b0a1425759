#!/bin/sh
# check_arithmetic.sh - compiler flags that change sums of doubles are refused when the library is compiled. Before, CFLAGS=-mfpmath=387
# built without a word and every BytePiece model came out different. CC names the compiler, PM_SOURCE the sources.
set -eu
passed=0
failed=0

compile() {
    ${CC:-cc} -std=gnu11 -I"$PM_SOURCE/lib" -I"$PM_SOURCE/lib/include" "$@" -fsyntax-only "$PM_SOURCE/lib/base/log.c" > arithmetic.log 2>&1
}

result() {
    if [ "$2" = yes ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $1"
        head -n 3 arithmetic.log
    fi
}

if compile -O2; then result "plain flags compile" yes; else result "plain flags compile" no; fi
for flag in -ffast-math -mfpmath=387; do
    # A compiler without the flag, or one that ignores it, has nothing to refuse.
    method=$(echo '__FLT_EVAL_METHOD__' | ${CC:-cc} "$flag" -E -P - 2> /dev/null | tail -n 1) || continue
    [ "$flag" = -ffast-math ] || [ "$method" = 2 ] || continue
    if compile "$flag" || ! grep -q 'models .* come out wrong' arithmetic.log; then result "$flag is refused" no; else result "$flag is refused" yes; fi
done
rm -f arithmetic.log
echo "arithmetic: $passed passed, $failed failed"
[ "$failed" = 0 ]
