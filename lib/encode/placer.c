/* placer.c - see placer.h. Bases are tried 64 at a time, by or-ing the bits of the cells that each step would need; hints by number of steps, which only
 * go forward, make that linear. */
#include "encode/placer.h"

enum { WORD = 64 };

static inline uint64_t bits_at(const uint64_t *bits, size_t i) {
    size_t word = i / WORD, shift = i % WORD;
    return bits[word] >> shift | (shift ? bits[word + 1] << (WORD - shift) : 0);
}

/* Room for the bits of the cells behind every base below `bases`. */
static pm_status reserve(pm_placer *p, size_t bases, pm_error *err) {
    size_t need = bases + p->n_symbols, words = need / WORD + 2;

    if (need >= p->most) {
        return pm_fail(err, PM_LIMIT, "the pieces are too many for an automaton of 2^32 steps");
    }
    if (words > p->n_words) {
        PM_TRY(pm_grow((void **)&p->full, &p->cap_full, words, sizeof *p->full, err));
        PM_TRY(pm_grow((void **)&p->based, &p->cap_based, words, sizeof *p->based, err));
        memset(p->full + p->n_words, 0, (words - p->n_words) * sizeof *p->full);
        memset(p->based + p->n_words, 0, (words - p->n_words) * sizeof *p->based);
        p->n_words = words;
        p->based[0] |= 1; /* 0 is no base */
    }
    return PM_OK;
}

static pm_status find_base(pm_placer *p, const pm_step *steps, size_t n, size_t *base, pm_error *err) {
    size_t *hint = &p->hints[n < PM_PLACER_HINTS ? n : PM_PLACER_HINTS - 1];

    for (;; ++*hint) {
        size_t at = *hint * WORD;
        PM_TRY(reserve(p, at + WORD, err));
        uint64_t taken = p->based[*hint];
        for (size_t i = 0; i < n && ~taken; i++) {
            taken |= bits_at(p->full, at + steps[i].symbol);
        }
        if (~taken) {
            *base = at + (size_t)__builtin_ctzll(~taken);
            return PM_OK;
        }
    }
}

pm_status pm_placer_place(pm_placer *p, const pm_step *steps, size_t n, uint32_t *base, pm_error *err) {
    size_t found;

    PM_TRY(find_base(p, steps, n, &found, err));
    p->based[found / WORD] |= UINT64_C(1) << found % WORD;
    for (size_t i = 0; i < n; i++) {
        size_t cell = found + steps[i].symbol;
        p->full[cell / WORD] |= UINT64_C(1) << cell % WORD;
    }
    *base = (uint32_t)found;
    return PM_OK;
}

void pm_placer_release(pm_placer *p) {
    pm_free(p->full);
    pm_free(p->based);
    p->full = p->based = NULL;
}
