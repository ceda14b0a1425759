#!/bin/sh
# check_header.sh HEADER - the public header stands alone under C11 and C++17. CC and CXX name the compilers.
set -eu
header=${1:-$PM_HEADER}
printf '#include "%s"\nint main(void) { return 0; }\n' "$header" > header_test.c
cp header_test.c header_test.cc
${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Werror -fsyntax-only header_test.c
${CXX:-c++} -std=c++17 -pedantic -Wall -Wextra -Werror -fsyntax-only header_test.cc
rm -f header_test.c header_test.cc
echo "header: 2 passed, 0 failed"
