/* cpu.c - see cpu.h. */
#include "base/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[PM_N_CPUS] = {"portable", "avx2", "avx512", "neon"};

const char *pm_cpu_name(pm_cpu cpu) { return names[cpu]; }

#if defined(__x86_64__)
static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("popcnt");
}

static bool has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
           __builtin_cpu_supports("avx512vbmi2");
}
#endif

bool pm_cpu_has(pm_cpu cpu) {
#if defined(__x86_64__)
    if (cpu == PM_CPU_AVX2 || cpu == PM_CPU_AVX512) {
        return cpu == PM_CPU_AVX2 ? has_avx2() : has_avx512();
    }
#elif defined(PM_HAVE_NEON)
    if (cpu == PM_CPU_NEON) {
        return true;
    }
#endif
    return cpu == PM_CPU_PORTABLE;
}

/* "portable, avx2": those of the names that this machine has, or all. */
static void list_names(char *out, size_t size, bool all) {
    *out = '\0';
    for (pm_cpu cpu = PM_CPU_PORTABLE; cpu < PM_N_CPUS; cpu++) {
        if (all || pm_cpu_has(cpu)) {
            size_t len = strlen(out);
            snprintf(out + len, size - len, "%s%s", len ? ", " : "", names[cpu]);
        }
    }
}

pm_status pm_cpu_choose(pm_cpu *cpu, pm_error *err) {
    const char *wish = getenv("PIECEMILL_CPU");
    char list[64];

    *cpu = PM_CPU_PORTABLE;
    if (!wish || !*wish) {
        for (pm_cpu better = PM_CPU_AVX2; better < PM_N_CPUS; better++) { /* in rising order */
            *cpu = pm_cpu_has(better) ? better : *cpu;
        }
        return PM_OK;
    }
    for (pm_cpu named = PM_CPU_PORTABLE; named < PM_N_CPUS; named++) {
        if (strcmp(wish, names[named]) == 0) {
            if (pm_cpu_has(named)) {
                *cpu = named;
                return PM_OK;
            }
            list_names(list, sizeof list, false);
            return pm_fail(err, PM_UNSUPPORTED, "PIECEMILL_CPU=%s: this machine has %s", wish, list);
        }
    }
    list_names(list, sizeof list, true);
    return pm_fail(err, PM_INVALID_ARGUMENT, "PIECEMILL_CPU=%.40s: it must be one of %s", wish, list);
}

const char *pm_processor(void) {
    pm_cpu cpu;
    return pm_cpu_choose(&cpu, NULL) == PM_OK ? names[cpu] : NULL;
}
