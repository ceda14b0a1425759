/* lattice_floats.c - the best segmentation as sentencepiece 0.2.3's Unigram finds it (unigram_model.cc, EncodeOptimized): sums in single precision.
 *
 * The library goes through the places of a text from the left; at each it offers the pieces that begin there to the places where they end. A place keeps the
 * best offer so far, and a new one takes its place if it is higher. An offer is a float: the rounded sum of the piece's score and of what is kept at
 * its beginning. So of all pieces that end at a place the highest rounded sum wins, and of equal ones the longest piece: the offers come in the order of
 * their beginnings. Sums that differ in double precision are often equal here: scores of some thousand words are near -1e5, where the last digit of a float is
 * 2^-7. That decides between segmentations, so the ids are equal only if the rounding is.
 *
 *     kept at 5: -90000       offers to 8:  abc -8.124 -> -90008.125       c -3.1 to what is kept at 7, -90005.03 -> -90008.125
 *                             equal once rounded: abc
 *
 * And where what is kept at a place is beyond 100,000 either way when its turn to offer comes, it is taken from all that is kept from there on, once more
 * rounded: from itself, which becomes 0, and from the places that have had offers from further left. Here all offers to a place are looked at together, when
 * its own turn has come; `taken` remembers for each place what was taken there, so that offers from before it are lowered before those from it on
 * are compared.
 *
 * As in lattice.c all sums of up to ten symbols are made at once, in registers, in double precision. Where only one lies within a float's digit of
 * the highest, it is the one that wins. Where there are more, and near a place where something was taken, in_order does what the library does, one offer after
 * the other. Cost: as lattice.c's, and one rounding a symbol. */
#include "encode/ten.h"
#include "encode/ways.h"

static const double threshold = 100000;
#define FOR_LONG (SIZE_MAX / 2) /* and counting on */

/* What a walk needs. scores[reach] and taken[reach] are those of the place before a block. */
typedef struct floats {
    double *scores; /* floats, of each place when it offers: scratch->scores */
    double *taken;  /* what was taken there; 0: nothing */
    size_t since;   /* symbols behind the last place where something was taken; FOR_LONG: nowhere yet, and `taken` is not filled */
    size_t n_taken; /* places of `taken` */
    double unknown; /* the score of a character that is no piece */
} floats;

/* What is kept of the offers so far. */
typedef struct kept {
    const double *scores, *taken; /* of the place one symbol back; taken is NULL where nothing was taken near */
    double score;                 /* minus infinity: nothing */
    size_t from;                  /* how many symbols back the last offer began */
    unsigned code;
} kept;

static inline double rounded(double x) { return (float)x; }

/* The offer of a piece of `len` symbols; they come from the longest down. */
static inline void offer(kept *k, double logp, size_t len, unsigned code) {
    if (logp == -INFINITY) {
        return;
    }
    for (; k->taken && k->from > len; k->from--) {
        k->score = rounded(k->score - k->taken[2 - (ptrdiff_t)k->from]);
    }
    double score = rounded(logp + k->scores[1 - (ptrdiff_t)len]);
    if (score > k->score) {
        k->score = score;
        k->code = code;
    }
    k->from = len;
}

/* What is kept where a text is at the state `at`; scores[0] is the score of the place one symbol back. */
static double in_order(const pm_lattice *l, const floats *f, uint32_t at, size_t place, pm_lattice_code *code) {
    const pm_lattice_ends *e = &l->ends[at & PM_LATTICE_RARE ? PM_LATTICE_STRANGE : at];
    kept k = {f->scores + place, f->since <= pm_lattice_reach(l) ? f->taken + place : NULL, -INFINITY, 0, PM_LATTICE_SPELLED};
    unsigned number = PM_LATTICE_SPELLED;

    for (uint32_t i = e->longer; i; i = l->longer[i].next) {
        offer(&k, l->longer[i].logp, l->longer[i].len, ++number);
    }
    for (unsigned i = 0; e->row && i < PM_LATTICE_ROW; i++) {
        offer(&k, l->rows[e->row][i], PM_LATTICE_INLINE - i, 1u << i);
    }
    offer(&k, e->near[0], 2, 1u << PM_LATTICE_ROW);
    if (at & PM_LATTICE_RARE || (e->near[1] == -INFINITY && !(e->last & PM_LATTICE_BYTE))) {
        offer(&k, f->unknown, 1, PM_LATTICE_SPELLED);
    } else {
        offer(&k, e->near[1], 1, 1u << (PM_LATTICE_ROW + 1));
    }
    *code = (pm_lattice_code)k.code;
    return k.score;
}

/* The turn of a place has come: what it offers from then on. */
static inline double begin_offering(floats *f, size_t place, double score) {
    f->since++;
    if (__builtin_expect(score < -threshold || score > threshold, 0)) {
        if (f->since >= FOR_LONG) {
            memset(f->taken, 0, f->n_taken * sizeof *f->taken);
        }
        f->taken[place] = score;
        f->since = 0;
        return 0;
    }
    return score;
}

/* A place in the slow way; what it offers. */
static double take_slowly(const pm_lattice *l, floats *f, uint32_t at, size_t place, pm_lattice_code *code) {
    if (at == PM_LATTICE_STOP) {
        *code = PM_LATTICE_SPELLED;
        f->since++;
        return 0;
    }
    return begin_offering(f, place + 1, in_order(l, f, at, place, code));
}

/* Makes room for the next block. */
static void keep(const pm_lattice *l, floats *f, size_t n) {
    size_t reach = pm_lattice_reach(l);

    pm_lattice_keep_scores(l, f->scores, n);
    if (f->since <= reach + n) {
        memmove(f->taken, f->taken + n, (reach + 1) * sizeof *f->taken);
        memset(f->taken + reach + 1, 0, n * sizeof *f->taken);
    }
}

static void walk_plain(const pm_lattice *l, void *state, const uint32_t *ends, size_t n, pm_lattice_code *codes) {
    floats *f = state;
    size_t place = pm_lattice_reach(l);

    for (size_t i = 0; i < n; i++, place++) {
        f->scores[place + 1] = take_slowly(l, f, ends[i], place, &codes[i]);
    }
    keep(l, f, n);
}

#if defined(__x86_64__)
/* As walk_avx2 of lattice.c but for what is near the highest. */
PM_TARGET_AVX2 static void walk_avx2(const pm_lattice *l, void *state, const uint32_t *ends, size_t n,
                                     pm_lattice_code *codes) {
    floats *f = state;
    size_t reach = pm_lattice_reach(l), place = reach;
    pm_ten ten = pm_ten_load(f->scores + reach);
    const __m128d digit = _mm_set_sd(0x1p-22), sign = _mm_set_sd(-0.0);

    for (size_t i = 0; i < n; i++, place++) {
        uint32_t at = ends[i];
        const pm_lattice_ends *e = &l->ends[at & PM_LATTICE_RARE ? PM_LATTICE_STRANGE : at];
        pm_ten_sums sums = pm_ten_add(&ten, l->rows[e->row], e->near);
        __m128d best = pm_ten_highest(&sums);
        unsigned near = pm_ten_at_least(&sums, _mm_sub_sd(best, _mm_mul_sd(_mm_andnot_pd(sign, best), digit)));
        best = _mm_cvtps_pd(_mm_cvtpd_ps(best));
        if (__builtin_expect((e->last & PM_LATTICE_RARE) != 0 || (near & (near - 1)) != 0 || f->since <= reach, 0)) {
            best = _mm_set_sd(take_slowly(l, f, at, place, &codes[i]));
        } else {
            codes[i] = (pm_lattice_code)near;
            best = _mm_set_sd(begin_offering(f, place + 1, _mm_cvtsd_f64(best)));
        }
        _mm_store_sd(f->scores + place + 1, best);
        pm_ten_push(&ten, best);
    }
    keep(l, f, n);
}
#endif

static pm_lattice_walk walk_for(const pm_lattice *l) {
#if defined(__x86_64__)
    if (l->walk != pm_lattice_walk_for(PM_CPU_PORTABLE)) {
        return walk_avx2;
    }
#endif
    (void)l;
    return walk_plain;
}

pm_status pm_lattice_best_in_floats(const pm_lattice *lattice, pm_lattice_scratch *scratch, const pm_bytes *texts, size_t n, float unknown,
                                    pm_lattice_sink sink, void *user, pm_error *err) {
    size_t places = pm_lattice_reach(lattice) + 1 + pm_lattice_block(lattice);

    PM_TRY(pm_lattice_room_for_scores(lattice, scratch, err));
    PM_TRY(pm_grow((void **)&scratch->taken, &scratch->cap_taken, places, sizeof *scratch->taken, err));
    floats f = {scratch->scores, scratch->taken, FOR_LONG, places, unknown};
    return pm_lattice_run(lattice, scratch, texts, n, walk_for(lattice), &f, sink, user, err);
}
