/* log.h - the one natural logarithm that decides a model, and what the compiler must hold to for the sums of them. */
#ifndef PM_BASE_LOG_H
#define PM_BASE_LOG_H

#include <float.h>
#include <stdint.h>

/* A segmentation is the one with the largest sum of doubles, so each addition must be rounded to a double, once. The
 * old floating-point unit of x86 keeps 64 bits of fraction in its registers and rounds when it likes: where two
 * segmentations are close, which is everywhere, the models become others. And -ffast-math lets the compiler add in any
 * order. */
#if FLT_EVAL_METHOD < 0 || FLT_EVAL_METHOD == 2
#error                                                                                                                 \
    "models would come out wrong: this compiler computes with more digits than a double has; on x86 add -msse2 -mfpmath=sse"
#endif
#ifdef __FAST_MATH__
#error "models could come out wrong: -ffast-math and -Ofast change the order of additions; leave them out"
#endif
#ifndef __SIZEOF_INT128__
#error "this compiler has no unsigned __int128: piecemill needs gcc or clang for a 64-bit machine"
#endif

/* ln(n), correctly rounded to nearest even, the same on every machine; n >= 1. */
double pm_log_u64(uint64_t n);

/* The same for n > 1 by the slow step alone, beginning with so many words of 64 bits, 2 to 64; for tests. */
double pm_log_slow(uint64_t n, unsigned words);

#endif
