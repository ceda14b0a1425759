#!/bin/sh
# run.sh - the benchmark program does its work on a few KB, so that it does not rot: rows come out, hashes are those of the command's ids.
# And the maker of large texts writes what it always wrote.
#
#     PM_BENCH=build/bench_c PM_GROWTH=build/make_growth PM_COMMAND=build/piecemill PM_SOURCE=. sh tests/bench/run.sh
#
# Prints a line for each failure and "bench: N passed, N failed, N skipped"; exits 1 if something failed.
set -u
LC_ALL=C
export LC_ALL

absolute() { case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac; }
bench=$(absolute "${PM_BENCH:-./bench_c}")
growth=$(absolute "${PM_GROWTH:-./make_growth}")
command=$(absolute "${PM_COMMAND:-piecemill}")
source=$(absolute "${PM_SOURCE:-$(dirname "$0")/../..}")
work=$(mktemp -d "${TMPDIR:-/tmp}/piecemill-bench.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 99' INT TERM
cd "$work" || exit 99
exec 3>&1 # failures are told here where standard output is kept

passed=0 failed=0 skipped=0
check() { # WHAT COMMAND...: passes when the command does
    what=$1
    shift
    if "$@"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED: $what" >&3
    fi
}
field() { sed -n "s/.*\"$1\": \"\{0,1\}\([^\",}]*\).*/\1/p" row | head -n 1; } # of the row in ./row
positive() { awk -v x="$(field "$1")" 'BEGIN { exit !(x > 0) }'; }
row() { # NAME ARGUMENT...: a row of that name comes out
    name=$1
    shift
    check "bench_c $*" "$bench" "$@" > row
    check "bench_c $*: a row" grep -q "^{\"row\": \"$name\", .*}\$" row
}

head -c 60000 "$source/corpora/en.txt" > en.txt
head -c 30000 "$source/corpora/zh.txt" | sed '$d' >> en.txt
"$command" train -q -a bpe -v 600 -o m.tiktoken en.txt || echo "FAILED: no model"
pattern="-p o200k_base -s <|end|>=600"

# shellcheck disable=SC2086
{
    row encode encode $pattern m.tiktoken en.txt
    first=$(field sha1)
    check "the rate of a first pass" positive cold_mb_s
    check "the memory" positive beyond_mb
    for arguments in "encode -t 2" "encode -f str" "single" "sample -o samples -n 20" "sample -o samples -c"; do
        row "${arguments%% *}" $arguments $pattern m.tiktoken en.txt
        check "bench_c $arguments: the same ids" test "$(field sha1)" = "$first"
    done
    check "samples: a line each" test -f samples
    row encode encode -d short $pattern m.tiktoken en.txt
    check "documents of 200 bytes" awk -v docs="$(field n_docs)" -v bytes="$(field bytes)" 'BEGIN { exit !(bytes / docs > 150 && bytes / docs < 204) }'
    row single single -d one -b 5000 $pattern m.tiktoken en.txt
    check "the first bytes" test "$(field bytes)" = 5000
    row load load $pattern m.tiktoken
    check "the native file" positive native_ms
    tr -s '\n' ' ' < en.txt > line.txt
    row calls calls $pattern m.tiktoken line.txt
    check "nanoseconds a call" positive repeated_ns
    row encode encode -d one $pattern m.tiktoken en.txt
    if command -v sha1sum > /dev/null; then
        expected=$("$command" encode -q -m m.tiktoken -p o200k_base --format u32 en.txt | sha1sum | cut -c 1-12)
        check "the hash is that of the command's ids: $(field sha1), $expected" test "$(field sha1)" = "$expected"
    else
        skipped=$((skipped + 1))
        echo "SKIPPED: the hash is that of the command's ids (sha1sum is not installed)"
    fi
}
for wrong in "" "nothing" "encode" "encode m.tiktoken" "encode missing.tiktoken en.txt" "encode m.tiktoken missing.txt" "encode -t many m.tiktoken en.txt" \
    "encode -d tiny m.tiktoken en.txt" "encode -f other m.tiktoken en.txt" "encode -s nonsense m.tiktoken en.txt" "sample m.tiktoken en.txt"; do
    # shellcheck disable=SC2086
    "$bench" $wrong > out 2> err
    check "bench_c $wrong: ends with 1" test $? = 1
    check "bench_c $wrong: says why" grep -q '^bench_c: ' err
done

# Text of any size: the same bytes everywhere, whole lines, and words that do not run out.
distinct() { tr -cs 'A-Za-z0-9\200-\377' '\n' < "$1" | sort -u | wc -l; }
while read -r kind seed sum bytes first second; do
    "$growth" "$kind" 1M "$seed" > 1M
    "$growth" "$kind" 4M "$seed" > 4M
    check "make_growth $kind: the bytes of seed $seed, $(cksum < 1M)" test "$(cksum < 1M)" = "$sum $bytes"
    check "make_growth $kind: no more than asked, less one line" awk -v n="$(wc -c < 4M)" 'BEGIN { exit !(n <= 4194304 && n > 4190000) }'
    check "make_growth $kind: whole lines" test -z "$(tail -c 1 4M)"
    check "make_growth $kind: a text begins as a longer one" sh -c 'head -c "$(wc -c < 1M)" 4M | cmp -s - 1M'
    check "make_growth $kind: distinct words, $(distinct 1M), $(distinct 4M)" test "$(distinct 1M) $(distinct 4M)" = "$first $second"
done << END
zh 0 4144491305 1048550 32622 113424
zh 7 876398365 1048554 32412 113037
en 0 612768778 1048524 20825 41544
en 7 809040716 1048539 20685 41367
END
for wrong in "" "zh" "xx 1M" "zh 1X" "zh 1Mx" "zh -1" "zh 99999999999G" "zh 1M 1K" "zh 1M 1 1"; do
    # shellcheck disable=SC2086
    "$growth" $wrong > out 2> err
    check "make_growth $wrong: wrong usage" test $? = 2
    check "make_growth $wrong: says so" grep -q '^usage: ' err
done
if [ -c /dev/full ]; then
    "$growth" zh 4M > /dev/full 2> err
    check "make_growth: a full disk" test $? = 3
fi

echo "bench: $passed passed, $failed failed, $skipped skipped"
test $failed = 0
