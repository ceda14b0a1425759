#!/bin/sh
# run.sh - the library on machines that this one is not, under qemu's user emulation: NEON on aarch64, and s390x, whose
# bytes are in the other order. Run by `make cross` in a build folder.
#
# For each machine: the unit suites that need no library, with fewer cases (PM_QUICK), then answers.c, whose lines must be
# those of this machine. A machine whose compiler or emulator is missing is SKIPPED; on Debian they are in the packages
# gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user.
#
# Environment: PM_SOURCE the checkout, PM_SHARED the data folder, PM_LIBRARY this machine's library, CC, MAKE.
set -eu

suites="cpu classes scan starts log base transcode counts"
source=${PM_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
shared=${PM_SHARED:-$source/../shared}
out=$(pwd)/cross-build
mkdir -p "$out"

xxhash=$(printf '#include <xxhash.h>\n' | ${CC:-cc} -E - | sed -n 's/^# [0-9]* "\(.*\/xxhash\.h\)".*/\1/p' |
    head -n 1)
vocabularies=
for name in gpt2 o200k_base; do
    [ -f "$shared/vocabs/$name.tiktoken" ] && vocabularies="$vocabularies $name $shared/vocabs/$name.tiktoken"
done

# Runs in a folder of its own: prints what failed, last a line "N passed, N failed, N skipped".
machine() { # NAME
    cc=$1-linux-gnu-gcc
    qemu=$(command -v "qemu-$1" || command -v "qemu-$1-static" || true)
    folder=$out/$1
    if [ -z "$qemu" ] || ! command -v "$cc" >/dev/null; then
        echo "SKIPPED: $1: $cc or qemu-$1 is not installed, see tests/cross/run.sh"
        echo "cross-$1: 0 passed, 0 failed, 1 skipped"
        return
    fi
    mkdir -p "$folder/include"
    cp "$xxhash" "$folder/include/"
    if ! ${MAKE:-make} -s -j2 -f "$source/tests/cross/machine.mk" SOURCE="$source" CC="$cc" OUT="$folder" \
        SUITES="$suites" >"$folder/make.log" 2>&1; then
        cat "$folder/make.log"
        echo "cross-$1: 0 passed, 1 failed, 0 skipped"
        return
    fi
    PM_QUICK=1 PM_SOURCE=$source PM_SHARED=$shared "$qemu" "$folder/unit" 2>&1 | sed "s/^unit: /cross-$1: /"
    # shellcheck disable=SC2086
    "$qemu" "$folder/answers" "$source/corpora" "$folder/scratch" $vocabularies >"$folder/answers.txt" || true
    if cmp -s "$folder/answers.txt" "$out/answers.txt"; then
        echo "cross-$1 answers: 1 passed, 0 failed, 0 skipped"
    else
        diff "$folder/answers.txt" "$out/answers.txt" || true
        echo "cross-$1 answers: 0 passed, 1 failed, 0 skipped"
    fi
}

# This machine's answers, with the library as it was built.
# shellcheck disable=SC2086
${CC:-cc} -O1 -I"$source/lib/include" "$source/tests/cross/answers.c" "$PM_LIBRARY" \
    -Wl,-rpath,"$(dirname "$PM_LIBRARY")" -o "$out/answers"
"$out/answers" "$source/corpora" "$out/scratch" $vocabularies >"$out/answers.txt"
[ -n "$vocabularies" ] || echo "SKIPPED: published vocabularies: $shared/vocabs is not here"

machine aarch64 >"$out/aarch64.log" 2>&1 &
machine s390x >"$out/s390x.log" 2>&1
wait
cat "$out/aarch64.log" "$out/s390x.log"
! grep -qE ' [1-9][0-9]* failed' "$out/aarch64.log" "$out/s390x.log"
