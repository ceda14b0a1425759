/* cpu.h - what this processor can: which siblings of the portable code may run.
 *
 * A file of fast code for one kind of processor (pretok/classes_avx2.c) has functions with target attributes and is
 * empty elsewhere. Who makes an object that runs such code asks once, when it is made, and keeps the functions chosen;
 * there is no global state. All give the same results: the choice is about speed alone. */
#ifndef PM_BASE_CPU_H
#define PM_BASE_CPU_H

#include "base/error.h"

typedef enum pm_cpu {
    PM_CPU_PORTABLE,
    PM_CPU_AVX2,   /* with BMI, BMI2, POPCNT */
    PM_CPU_AVX512, /* F, BW, VL, VBMI, VBMI2, and what PM_CPU_AVX2 says */
    PM_CPU_NEON,   /* on a 64-bit, little-endian ARM */
    PM_N_CPUS
} pm_cpu;

/* What functions for them are compiled for. */
#if defined(__x86_64__)
#define PM_TARGET_AVX2 __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define PM_TARGET_AVX512                                                                                               \
    __attribute__((target("avx2,bmi,bmi2,popcnt,avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2")))
#elif defined(__aarch64__) && defined(__ARM_NEON) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PM_HAVE_NEON 1 /* always there: no attribute is needed */
#endif

/* "portable", "avx2", "avx512", "neon". */
const char *pm_cpu_name(pm_cpu cpu);

/* Can this machine run it? */
bool pm_cpu_has(pm_cpu cpu);

/* The one that the environment variable PIECEMILL_CPU names, or the best there is when it is not set or empty. Errors:
 * PM_INVALID_ARGUMENT (it names none of the above), PM_UNSUPPORTED (not on this machine); *cpu is PM_CPU_PORTABLE
 * then. Reads the environment at each call, as getenv does. */
pm_status pm_cpu_choose(pm_cpu *cpu, pm_error *err);

#endif
