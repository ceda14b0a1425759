#!/usr/bin/env python3
"""List the integers whose logarithm by NumPy on this machine is not the correctly rounded one, which lib/base/log.c gives; bytepiece uses NumPy's.

usage: python3 scripts/compare_numpy_log.py [LAST]        all integers up to LAST (2,000,000: a minute and a half)

One line an integer: n, NumPy's logarithm, the right one. At the end how many there are. NumPy's depends on the processor and on its version.
"""
import decimal
import sys

import numpy as np


def main():
    last = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    decimal.getcontext().prec = 40
    different = 0
    for n in range(1, last + 1):
        theirs, right = float(np.log(n)), float(decimal.Decimal(n).ln())
        if theirs != right:
            different += 1
            print(n, theirs.hex(), right.hex())
    print(f"# {different} of {last}, NumPy {np.__version__}")


if __name__ == "__main__":
    main()
