/* starts.c - see starts.h. */
#include "pretok/starts.h"

#include <string.h>
#ifdef PM_TARGET_AVX512
#include <immintrin.h>
#endif

#include "pretok/scan.h"

#define INLINE static inline __attribute__((always_inline))

typedef size_t (*scan_fn)(const uint8_t *text, size_t len, size_t pos);

/* ---- bits ---- */

INLINE uint64_t bit(size_t at) { return UINT64_C(1) << (at & 63); }

/* The bits below `at` in its word. */
INLINE uint64_t below(size_t at) { return bit(at) - 1; }

/* Bytes behind one of the set; `before` is the set in the word before. */
INLINE uint64_t behind(uint64_t set, uint64_t before) { return set << 1 | before >> 63; }

/* The bytes of `run` from each byte of `from`, a subset of it, to the end of its run: the sum's carry clears them. */
INLINE uint64_t fill(uint64_t from, uint64_t run) { return (run & ~(run + from)) | from; }

/* The sets of the last word, of which the next one needs the last bits. */
typedef struct past {
    uint64_t inside, blank, space, white, newline, tail, other, cjk, number, number_starts;
    uint64_t punct, free, taken, han, word, lower, both, both_lower, upper_run, ascii_word;
    uint64_t more, more_hard; /* bits for the next word */
    uint64_t cancelled;       /* bits of the next word that are inside a contraction */
    uint64_t carry;           /* of next_characters() */
    uint64_t any_hard;
    size_t contraction_end; /* of the last one */
} past;

/* The first bytes of the characters behind those that begin at `set`. */
INLINE uint64_t next_characters(uint64_t set, uint64_t inside, past *p) {
    uint64_t sum;
    bool over = __builtin_add_overflow(inside, behind(set, p->free), &sum);
    over |= __builtin_add_overflow(sum, p->carry, &sum);
    p->carry = over;
    return sum & ~inside;
}

/* Groups of three in runs of numbers: in `number`, each third from the first on. */
INLINE uint64_t groups_of_three(uint64_t number, past *p) {
    uint64_t starts = number & ~behind(number, p->number);
    uint64_t long_run = number & behind(number, p->number) & (number << 2 | p->number >> 62) & (number << 3 | p->number >> 61);
    if (long_run) { /* the three before are numbers too */
        starts |= (p->number_starts >> 61) & long_run;
        for (unsigned step = 3; step < 64; step *= 2) {
            starts |= starts << step & long_run;
            long_run &= long_run << step;
        }
    }
    p->number_starts = starts;
    return starts;
}

/* ---- single bytes ---- */

INLINE void set_start(pm_starts *s, size_t at) { s->bits[at / 64 + 1] |= bit(at); }
INLINE void clear_start(pm_starts *s, size_t at) { s->bits[at / 64 + 1] &= ~bit(at); }
INLINE bool is_start(const pm_starts *s, size_t at) { return (s->bits[at / 64 + 1] & bit(at)) != 0; }

/* The last start at or before `at`; 0: the window's own. */
static size_t last_start(const pm_starts *s, size_t at) {
    size_t k = at / 64;
    uint64_t bits = s->bits[k + 1] & (below(at) | bit(at));
    while (bits == 0 && k > 0) {
        bits = s->bits[k--];
    }
    return bits ? k * 64 + 63 - (size_t)__builtin_clzll(bits) : 0;
}

/* No start in from..end-1. */
static void clear_starts(pm_starts *s, size_t from, size_t end) {
    while (from < end) {
        size_t stop = (from | 63) + 1 < end ? (from | 63) + 1 : end;
        uint64_t keep = below(from) | (stop % 64 ? ~below(stop) : 0);
        s->bits[from / 64 + 1] &= keep;
        from = stop;
    }
}

/* Where the run of bytes begins that ends before `end` > 0; `set` is the first word's set. */
static size_t run_begin(const uint64_t *set, size_t end) {
    const size_t stride = sizeof(pm_class_word) / sizeof *set;
    size_t k = (end - 1) / 64;
    uint64_t outside = ~set[k * stride] & (UINT64_MAX >> (63 - (end - 1) % 64));
    while (outside == 0 && k > 0) {
        outside = ~set[--k * stride];
    }
    return outside ? k * 64 + 64 - (size_t)__builtin_clzll(outside) : 0;
}

/* The first byte of the character that ends before `end`. */
INLINE size_t character_before(const pm_starts *s, size_t end) {
    do {
        end--;
    } while ((s->words[end / 64].inside & bit(end)) != 0);
    return end;
}

/* ---- contractions ---- */

/* Settles the apostrophes of word k, where a contraction may begin. */
INLINE uint64_t contractions(pm_starts *s, size_t k, size_t window_len, uint64_t apostrophes, uint64_t starts, past *p, const pm_rules *r) {
    for (; apostrophes; apostrophes &= apostrophes - 1) {
        size_t at = k * 64 + (size_t)__builtin_ctzll(apostrophes);
        size_t end = pm_contraction_end(s->text, s->len, at, r->family != PM_FAMILY_GPT2);
        if (end == at || at == p->contraction_end) {
            continue;
        }
        uint64_t begin = below(at) | bit(at); /* no start inside, not even where the case changes ("'lL") */
        if (r->contraction == PM_CONTRACTION_AFTER) {
            p->contraction_end = end;
            begin = below(at);
        }
        if (end / 64 == k) {
            starts &= begin | ~below(end);
        } else {
            starts &= begin;
            p->cancelled = below(end);
        }
        if (end < window_len) {
            uint64_t hard = 0;
            if (r->contraction == PM_CONTRACTION_AFTER) {
                hard = (s->words[end / 64].letter | s->words[end / 64].mark) & bit(end);
            }
            if (end / 64 == k) {
                starts |= bit(end);
                s->hard[k] |= hard;
                p->any_hard |= hard;
            } else {
                p->more |= bit(end);
                p->more_hard |= hard;
            }
        }
    }
    return starts;
}

/* ---- a word ---- */

/* The starts in word k of the window. */
INLINE void find_in_word(pm_starts *s, size_t k, size_t window_len, uint64_t valid, past *p, const pm_rules *r) {
    const pm_class_word *c = &s->words[k];
    const bool gpt2 = r->family == PM_FAMILY_GPT2, zones = r->family == PM_FAMILY_DEEPSEEK;
    uint64_t upper = c->upper, lower = c->lower, both = c->letter, mark = c->mark, number = c->number, inside = c->inside;
    uint64_t space = c->space, newline = c->newline, cjk = zones ? c->cjk : 0;
    uint64_t starts = p->more, hard = p->more_hard, han = 0;

    p->more = p->more_hard = 0;
    if (r->han_apart) {
        han = fill(c->han & (both | p->han >> 63), c->han);
        hard |= c->han & ~han & ~inside;
        both &= ~c->han;
        mark &= ~c->han;
        number &= ~c->han;
        starts |= han & ~behind(han, p->han);
        p->han = han;
    }

    /* words */
    uint64_t word = upper | lower | both;
    if (r->cased) {
        uint64_t attached = fill(mark & behind(word, p->word), mark);
        hard |= mark & ~attached & ~inside;
        both |= attached;
        word |= attached;
    } else if (zones) {
        word |= mark;
    }
    uint64_t same_zone = zones ? ~(cjk ^ behind(cjk, p->cjk)) : UINT64_MAX;
    uint64_t word_starts = word & ~(behind(word, p->word) & same_zone);

    /* punctuation with the line ends that it takes */
    uint64_t punct = zones ? c->punct : valid & ~(word | number | space | newline | han);
    if (!gpt2) {
        uint64_t takes = newline | (r->slash ? c->slash : 0);
        uint64_t from = newline & behind(punct & ~cjk, p->punct & ~p->cjk);
        uint64_t taken = fill(from | (takes & p->taken >> 63), takes);
        newline &= ~taken;
        punct &= ~taken;
        p->taken = taken;
    }
    uint64_t blank_before = behind(c->blank, p->blank) & ~cjk;
    uint64_t free = punct & ~(behind(punct, p->punct) & same_zone) & ~blank_before;
    starts |= free;

    /* numbers */
    if (r->digits == 1) {
        starts |= number & ~inside;
    } else if (r->digits == 0) {
        starts |= number & ~behind(number, p->number) & ~blank_before;
    } else {
        starts |= groups_of_three(number, p);
        hard |= number & inside;
    }

    /* prefixes of words */
    uint64_t space_before = behind(space, p->space);
    uint64_t other = 0, back = 0;
    if (gpt2) {
        word_starts &= ~blank_before;
    } else if (zones) {
        uint64_t ascii_word = word & ~c->high;
        uint64_t prefixed = ascii_word & behind(free & ~c->high, p->free);
        other = valid & ~(word | number | punct | space | newline | p->taken);
        uint64_t other_before = behind(other, p->other) & same_zone;
        starts |= other & ~other_before;
        back = word_starts & other_before;
        word_starts &= ~(prefixed | other_before | (space_before & ~cjk));
        ascii_word = fill(prefixed | (ascii_word & p->ascii_word >> 63), ascii_word);
        starts |= word & c->high & behind(ascii_word, p->ascii_word);
        p->ascii_word = ascii_word;
        p->free = free & ~c->high;
        p->other = other;
    } else {
        word_starts &= ~(space_before | next_characters(free, inside, p));
        p->free = free;
    }
    starts |= word_starts;

    /* white space */
    uint64_t white = space | newline;
    starts |= white & ~behind(white, p->white);
    uint64_t tail_bad = 0;
    if (gpt2) {
        back = behind(white, p->white) & valid & ~white;
    } else {
        back |= space_before & valid & ~white & ~(zones ? number | cjk : 0);
        uint64_t tail_starts = space & behind(newline, p->newline);
        uint64_t tail = fill(tail_starts | (space & p->tail >> 63), space);
        starts |= tail_starts;
        tail_bad = newline & behind(tail, p->tail);
        p->tail = tail;
    }

    /* cased words */
    uint64_t upper_last = 0;
    if (r->cased) {
        uint64_t both_lower = fill(both & (behind(lower, p->lower) | p->both_lower >> 63), both);
        starts |= upper & (behind(lower, p->lower) | behind(both_lower, p->both_lower));
        uint64_t from = upper & (behind(both & ~both_lower, p->both) | p->upper_run >> 63);
        uint64_t upper_run = fill(from, upper);
        upper_last = behind(upper_run, p->upper_run) & ~word;
        p->lower = lower;
        p->both_lower = both_lower;
        p->both = both & ~both_lower;
        p->upper_run = upper_run;
    }

    /* contractions */
    s->hard[k] = hard;
    p->any_hard |= hard;
    if (r->contraction != PM_CONTRACTION_NONE) {
        uint64_t apostrophes = c->apostrophe & (r->contraction == PM_CONTRACTION_FIRST ? free : behind(word, p->word));
        starts &= ~p->cancelled;
        p->cancelled = 0;
        if (apostrophes) {
            starts = contractions(s, k, window_len, apostrophes, starts, p, r);
        }
    }

    /* what moves back */
    uint64_t behind_inside = behind(inside, p->inside);
    uint64_t one_back = back & ~behind_inside;
    s->bits[k] |= one_back << 63;
    s->bits[k + 1] = starts | one_back >> 1;
    for (back &= behind_inside; back; back &= back - 1) {
        set_start(s, character_before(s, k * 64 + (size_t)__builtin_ctzll(back)));
    }
    for (; tail_bad; tail_bad &= tail_bad - 1) {
        clear_start(s, run_begin(&s->words->space, k * 64 + (size_t)__builtin_ctzll(tail_bad)));
    }
    for (; upper_last; upper_last &= upper_last - 1) {
        set_start(s, run_begin(&s->words->upper, k * 64 + (size_t)__builtin_ctzll(upper_last)));
    }

    p->inside = inside;
    p->blank = c->blank;
    p->space = space;
    p->white = white;
    p->newline = newline;
    p->cjk = cjk;
    p->number = number;
    p->punct = punct;
    p->word = word;
}

/* ---- hard places ---- */

/* Has the scanner settle the hard places up to `limit`. Returns where it came to when that is behind the limit, else 0. */
static size_t settle(pm_starts *s, size_t window_len, size_t limit, scan_fn scan) {
    size_t known = 0;

    for (size_t k = 0; k <= limit / 64; k++) {
        for (uint64_t hard = s->hard[k]; hard; hard &= hard - 1) {
            size_t place = k * 64 + (size_t)__builtin_ctzll(hard);
            if (place > limit) {
                return 0;
            }
            if (place < known) {
                continue;
            }
            size_t at = place == known ? place : last_start(s, place - 1);
            bool met = false;
            s->n_hard++;
            while (!met || at <= place) {
                size_t end = scan(s->text, s->len, at);
                clear_starts(s, at + 1, end < window_len ? end : window_len);
                if (end > limit) {
                    return end;
                }
                met = is_start(s, end);
                set_start(s, end);
                at = end;
            }
            known = at;
        }
    }
    return 0;
}

/* ---- windows ---- */

/* The last place whose start is settled by what is in the window. */
static size_t settled_until(const pm_starts *s, size_t window_len, const past *p) {
    size_t limit = window_len - 8;
    uint64_t last = bit(window_len - 1);
    if (p->tail & last) {
        size_t begin = run_begin(&s->words->space, window_len) - 1;
        limit = begin < limit ? begin : limit;
    }
    if (p->upper_run & last) {
        size_t begin = run_begin(&s->words->upper, window_len) - 1;
        limit = begin < limit ? begin : limit;
    }
    return limit;
}

INLINE size_t find_window(pm_starts *s, const pm_rules *r, scan_fn scan) {
    size_t len = s->len < s->window ? s->len : s->window, n = (len + 63) / 64, stop;
    bool last = len == s->len;
    past p = {.contraction_end = SIZE_MAX};

    s->classes(s->text, len, s->len, s->words);
    if (last && len % 64 == 0) {
        memset(&s->words[n++], 0, sizeof *s->words);
    }
    for (size_t k = 0; k < len / 64; k++) {
        find_in_word(s, k, len, UINT64_MAX, &p, r);
    }
    if (len / 64 < n) {
        find_in_word(s, n - 1, len, below(len), &p, r);
    }
    size_t limit = last ? len - 1 : settled_until(s, len, &p);
    stop = p.any_hard ? settle(s, len, limit, scan) : 0;
    if (stop == 0) {
        stop = last ? len : last_start(s, limit);
    }
    if (stop == 0) {
        stop = scan(s->text, s->len, 0);
        clear_starts(s, 1, stop < len ? stop : len);
    }
    return stop;
}

/* One function a row of the rules; on x86-64 a second one with the bit instructions that came with AVX2. */
#ifdef PM_TARGET_AVX2
#define DEFINE_STARTS(name, ...)                                                                                       \
    static const pm_rules rules_##name = {__VA_ARGS__};                                                                \
    PM_TARGET_AVX2 static size_t avx2_##name(pm_starts *s) { return find_window(s, &rules_##name, pm_scan_##name); }   \
    size_t pm_starts_##name(pm_starts *s) {                                                                            \
        bool portable = s->cpu == PM_CPU_PORTABLE;                                                                     \
        return portable ? find_window(s, &rules_##name, pm_scan_##name) : avx2_##name(s);                              \
    }
#else
#define DEFINE_STARTS(name, ...)                                                                                       \
    static const pm_rules rules_##name = {__VA_ARGS__};                                                                \
    size_t pm_starts_##name(pm_starts *s) { return find_window(s, &rules_##name, pm_scan_##name); }
#endif
PM_RULES(DEFINE_STARTS)

/* ---- a document ---- */

void pm_starts_init(pm_starts *s, pm_find_fn find, pm_cpu cpu) {
    s->find = find;
    s->cpu = cpu;
    s->classes = pm_classes_for(cpu);
    s->window = PM_WINDOW;
}

void pm_starts_begin(pm_starts *s, const uint8_t *text, size_t len) {
    s->text = text;
    s->len = len;
    s->at = s->stop = 0;
    s->told = true;
    s->word = s->n_words = 0;
    s->n_hard = 0;
}

/* The next window. False: the document is at its end. */
static bool next_window(pm_starts *s) {
    s->text += s->stop;
    s->len -= s->stop;
    s->at += s->stop;
    s->stop = 0;
    if (s->len == 0) {
        return false;
    }
    s->stop = s->find(s);
    size_t seen = s->stop < s->window ? s->stop : s->window;
    s->told = false;
    s->word = 0;
    s->n_words = (seen + 63) / 64;
    s->bits[1] &= ~UINT64_C(1);
    if (seen % 64) {
        s->bits[s->n_words] &= below(seen);
    }
    return true;
}

INLINE size_t count_bits(uint64_t x) {
#ifdef __POPCNT__
    return (size_t)__builtin_popcountll(x);
#else
    x -= x >> 1 & UINT64_C(0x5555555555555555);
    x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
    x = (x + (x >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    return x * UINT64_C(0x0101010101010101) >> 56;
#endif
}

/* Writes base + i for each bit i, and what comes up to 64 numbers; returns the number of bits. A fixed number first: a loop whose end is not
 * foreseen costs more than numbers that nobody needs. */
INLINE size_t write_ends(size_t *ends, uint64_t bits, size_t base) {
    size_t n = count_bits(bits), i = 0;
    do {
#pragma GCC unroll 16
        for (size_t stop = i + 16; i < stop; i++) {
            ends[i] = base + (size_t)__builtin_ctzll(bits | bit(63));
            bits &= bits - 1;
        }
    } while (i < n);
    return n;
}

/* Gives whole words while there is room for 64 ends; returns the number of ends. */
INLINE size_t give_words(pm_starts *s, size_t *ends, size_t cap) {
    size_t n = 0;
    for (; s->word < s->n_words && cap - n >= 64; s->word++) {
        n += write_ends(ends + n, s->bits[s->word + 1], s->at + 64 * s->word);
    }
    return n;
}

#ifdef PM_TARGET_AVX2
PM_TARGET_AVX2 static size_t give_words_avx2(pm_starts *s, size_t *ends, size_t cap) { return give_words(s, ends, cap); }

/* The numbers of the bits as bytes, then eight of them at a time as 64 bits. */
PM_TARGET_AVX512 static size_t give_words_avx512(pm_starts *s, size_t *ends, size_t cap) {
    uint8_t order[64];
    size_t n = 0;

    for (unsigned i = 0; i < 64; i++) {
        order[i] = (uint8_t)i;
    }
    const __m512i places = _mm512_loadu_si512(order);
    for (; s->word < s->n_words && cap - n >= 64; s->word++) {
        uint64_t bits = s->bits[s->word + 1];
        size_t more = (size_t)__builtin_popcountll(bits), i = 0;
        __m512i base = _mm512_set1_epi64((long long)(s->at + 64 * s->word)), found = _mm512_maskz_compress_epi8(bits, places);
        do {
            __m128i sixteen = _mm512_castsi512_si128(found);
            _mm512_storeu_si512(ends + n + i, _mm512_add_epi64(base, _mm512_cvtepu8_epi64(sixteen)));
            _mm512_storeu_si512(ends + n + i + 8, _mm512_add_epi64(base, _mm512_cvtepu8_epi64(_mm_srli_si128(sixteen, 8))));
            found = _mm512_alignr_epi32(_mm512_setzero_si512(), found, 4);
            i += 16;
        } while (i < more);
        n += more;
    }
    return n;
}
#endif

static size_t give_words_by(pm_starts *s, size_t *ends, size_t cap) {
    switch (s->cpu) {
#ifdef PM_TARGET_AVX2
    case PM_CPU_AVX512: return give_words_avx512(s, ends, cap);
    case PM_CPU_AVX2: return give_words_avx2(s, ends, cap);
#endif
    default: return give_words(s, ends, cap);
    }
}

size_t pm_starts_next(pm_starts *s, size_t *ends, size_t cap) {
    size_t n = 0;

    for (;;) {
        n += give_words_by(s, ends + n, cap - n);
        while (s->word < s->n_words) {
            uint64_t *bits = &s->bits[s->word + 1];
            for (; *bits; *bits &= *bits - 1) {
                if (n == cap) {
                    return n;
                }
                ends[n++] = s->at + 64 * s->word + (size_t)__builtin_ctzll(*bits);
            }
            s->word++;
        }
        if (n == cap) {
            return n;
        }
        if (!s->told) {
            ends[n++] = s->at + s->stop;
            s->told = true;
        } else if (!next_window(s)) {
            return n;
        }
    }
}
