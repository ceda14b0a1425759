/* starts.c - all pre-tokens of a stretch of text at once, by arithmetic on bitmaps.
 *
 * Idea. The classes of 64 bytes are 64-bit words (classes.h), a bit a byte. Where pre-tokens of a named pattern start
 * can then be said by shifts, logic and additions on whole words, 64 bytes at a time and without a branch. Take
 * o200k_base on
 *
 *     text                        a..(b).c's.12345        a dot is a blank
 *     word                        1---1--1-1------        runs of letters
 *     punctuation                 ---1-1--1-------
 *     begins of words             1---1--1-1------        word & ~(word << 1)
 *     ... of free punctuation     -----1--1-------        its begins but behind a blank, which is its prefix
 *     ... of words, no prefix     1---1-----------        not behind white space, nor behind a single free punctuation
 *     last of white space         --1---1---1-----        what follows is none: a pre-token, or the prefix of one
 *     begins of white space       -1----1---1-----
 *     groups of three numbers     -----------1--1-        the begin of a run, and each third from there
 *     all together                111-111-1-11--1-
 *     contractions put right      111-111---11--1-        "'s" behind a word ends it
 *     pre-tokens                  a|.|.(|b|)|.c's|.|123|45
 *
 * An addition fills runs: in run + (run & from) the carry of a bit goes through its run, so the bits that were in the
 * run and are gone in the sum are those from there to the run's end (fill() in starts_body.h). So are found the line
 * ends that punctuation takes, white space behind a line end, marks that belong to a word, B behind a lower case l.
 *
 * What each rule of scan.c comes to:
 *
 *   White space. Starts: the begin of a run; what stands behind the run's last line end; its last character when
 *   something follows (gpt2: also a line end). Behind which line end no other comes is known at the run's end only, so
 *   all are starts at first, and the few that have a line end after all are taken back.
 *
 *   Cased words. A cut before U when it stands behind l or l B+. When U stands behind B that no l precedes, the word is
 *   cut there if the U are its last: "中文ABC" is cut, "中文Abc" is not. The run of such U is followed to its end and
 *   the start put where it began. Both cuts are there whatever the rest of the word is.
 *
 *   deepseek_v3. A change of zone is a start, and prefixes do not reach across one. A word behind ASCII punctuation
 *   (`[!"#...][A-Za-z]+`) ends where ASCII letters end.
 *
 * Windows. A document is worked on in windows of 4 KB, so that all bitmaps stay in the first cache. No pattern looks
 * behind, so a window that begins with a pre-token needs to know nothing of the text before it: nothing is carried
 * from window to window. What the window shows is enough for each start in it, but for a run of white space behind a
 * line end, or of U behind B, that reaches the window's end: whether it begins with a start is seen behind its end.
 * The last start before such a run is the begin of the next window. If that is the window's begin, the scanner takes
 * one pre-token, however long.
 *
 * Documents. Most corpora are lines, and a window for each line of forty bytes costs three times what its bytes do. So short documents
 * are packed: as many as go into a window are copied there with a byte of zero between two of them, a gap. A gap is in no class and not
 * valid, which is what the algebra sees behind the end of a text and before its begin; so nothing reaches over it, and the byte behind it is a
 * start as a text's first is. When the window is done, the gaps are taken out of the bits of starts.
 *
 *     gpt2, documents  "It's\n" "A \n"    in the window  I t ' s \n . A   \n
 *                                             starts     1 - 1 - 1    1 1 -
 *                                without the gap         1 - 1 - 1  1 1 -      It|'s|\n|A| \n
 *
 * What is rare is put right byte by byte when the algebra is done: the four kinds of pm_starts.rare. What is rarer
 * still is hard and left to the scanner: marks that are not behind a letter (cased words only), numbers of more than a
 * byte in groups of three, a word that goes on in B behind a contraction, Han characters that are no letters (kimi_k2).
 * The scanner begins at the last start before such a place and goes on until it comes to a start behind the place that
 * the algebra has found, too.
 *
 * Why that is right. (1) A start before a hard place is right: what a class bit decides lies behind it, but for white
 * space, whose last character asks whether what follows is white, and a run of U, which asks whether the word ends; no
 * hard character is taken for white or for a letter that it is not. (2) If a place is a start for the algebra, those
 * behind it are the ones it would find in a text that begins there, as each rule looks back only to the begin of a run
 * or to a prefix, and a start lies before both. The two exceptions are the phase of groups of three, which is the same
 * when a start coincides, and the chain l B+ U, into which a contraction puts a start: hence the hard place there.
 * Tests hold all this against the scanner: every sequence of up to four of 16 characters (five in the long run),
 * triples at each place around the ends of words and windows, random ones, every code point.
 *
 * Cost. Some 130 operations a word of 64 bytes, whatever the text. Each window ends where the next begins, and gives a
 * pre-token, else the scanner does: a byte is looked at a fixed number of times. On English (a core at 3.7 GHz) a word
 * takes 6 ns for the classes, 7 ns here with eight words side by side (starts_avx512.c; 16 one by one) and 6 ns to
 * write 14 ends.
 *
 * The scanner is the twin. Source of the idea: simdjson (Langdale and Lemire, "Parsing gigabytes of JSON per second",
 * 2019) finds structure so; the rules and their algebra are our own. */
#include "pretok/starts.h"

#include <string.h>

/* ---- one word at a time ---- */

#define INLINE static inline __attribute__((always_inline))

INLINE uint64_t bit(size_t at) { return UINT64_C(1) << (at & 63); }

/* The bits below `at` in its word. */
INLINE uint64_t below(size_t at) { return bit(at) - 1; }

#define LANES 1
typedef uint64_t set;
typedef pm_class_word sets;

INLINE sets load_sets(const pm_class_word *words) { return *words; }
INLINE set before(set x, set past) { return (void)x, past; }
INLINE set behind(set x, set past, unsigned n) { return x << n | past >> (64 - n); }
INLINE bool any(set x) { return x != 0; }
INLINE set less(set a, set b) { return a < b ? UINT64_MAX : 0; }
INLINE set bytes_below(size_t len, size_t k) { return k < len / 64 ? UINT64_MAX : below(len); }
INLINE bool is_last_in(set x, size_t len) { return (x & bit(len - 1)) != 0; }
INLINE set load_words(const uint64_t *p) { return *p; }
INLINE void put(uint64_t *p, set x) { *p = x; }
INLINE void put_starts(uint64_t *p, set starts, set back) {
    p[-1] |= back << 63;
    p[0] = starts | back >> 1;
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

/* The bits of x but those of `gaps`, moved together. */
INLINE uint64_t without(uint64_t x, uint64_t gaps) {
    while (gaps) {
        uint64_t low = (gaps & -gaps) - 1;
        x = (x & low) | (x >> 1 & ~low);
        gaps = (gaps & (gaps - 1)) >> 1;
    }
    return x;
}

#include "pretok/starts_body.h"

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

/* Where the run of bytes begins that ends before `end` > 0; `field` is the first word's. */
static size_t run_begin(const uint64_t *field, size_t end) {
    const size_t stride = sizeof(pm_class_word) / sizeof *field;
    size_t k = (end - 1) / 64;
    uint64_t outside = ~field[k * stride] & (UINT64_MAX >> (63 - (end - 1) % 64));
    while (outside == 0 && k > 0) {
        outside = ~field[--k * stride];
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

/* ---- what is rare ---- */

/* The places of the bits of n words, in order; returns their number. Whether a word has none or one takes no branch. */
static size_t list_bits(const uint64_t *words, size_t n, uint16_t places[PM_WINDOW + 1]) {
    size_t found = 0;
    for (size_t k = 0; k < n; k++) {
        uint64_t x = words[k];
        do {
            places[found] = (uint16_t)(k * 64 + (size_t)__builtin_ctzll(x | bit(63)));
            found += x != 0;
            x &= x - (x != 0);
        } while (x);
    }
    return found;
}

/* A contraction at `at`: a pre-token, or the end of one. *ended: where the last one ended, and none begins. */
static void put_contraction(pm_starts *s, pm_unsettled *u, const pm_rules *r, size_t at, size_t *ended) {
    size_t end = pm_contraction_end(s->text, s->len, at, r->family != PM_FAMILY_GPT2);
    bool after = r->contraction == PM_CONTRACTION_AFTER;

    if (end == at || (after && at == *ended)) {
        return;
    }
    *ended = end;
    clear_starts(s, after ? at : at + 1, end < u->len ? end : u->len);
    if (end < u->len) {
        set_start(s, end);
        if (after) { /* a word that goes on is another one, which the algebra does not know */
            uint64_t hard = (s->words[end / 64].letter | s->words[end / 64].mark) & bit(end);
            s->hard[end / 64] |= hard;
            u->hard |= hard != 0;
        }
    }
}

static void put_right(pm_starts *s, pm_unsettled *u, const pm_rules *r) {
    uint16_t places[PM_WINDOW + 1];
    size_t contraction_end = SIZE_MAX;

    for (int rare = 0; rare < PM_N_RARE; rare++) {
        size_t n = u->rare[rare] ? list_bits(s->rare[rare], u->n_words, places) : 0;
        for (size_t i = 0; i < n; i++) {
            switch (rare) {
            case PM_RARE_BACK: set_start(s, character_before(s, places[i])); break;
            case PM_RARE_TAIL: clear_start(s, run_begin(&s->words->space, places[i])); break;
            case PM_RARE_UPPER: set_start(s, run_begin(&s->words->upper, places[i])); break;
            default: put_contraction(s, u, r, places[i], &contraction_end);
            }
        }
    }
}

/* ---- hard places ---- */

/* The end of the document that has the byte `at`, from text on; and whether a document begins there. */
static size_t document_end(const pm_starts *s, size_t at) {
    if (s->packed < 2) {
        return s->len;
    }
    uint64_t gaps = s->gaps[at / 64] & ~below(at);
    for (size_t k = at / 64; k <= s->len / 64; gaps = s->gaps[++k]) {
        if (gaps) {
            return k * 64 + (size_t)__builtin_ctzll(gaps);
        }
    }
    return s->len;
}

static bool begins_document(const pm_starts *s, size_t at) { return at == 0 || (s->gaps[(at - 1) / 64] & bit(at - 1)) != 0; }

/* Has the scanner settle the hard places up to `limit`. Returns where it came to if that is behind the limit, else 0.
 */
static size_t settle_hard(pm_starts *s, size_t window_len, size_t limit, pm_scan_fn scan) {
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
            size_t at = place == known || begins_document(s, place) ? place : last_start(s, place - 1);
            size_t stop = document_end(s, place);
            bool met = false;
            s->n_hard++;
            while (!met || at <= place) {
                size_t end = scan(s->text, stop, at);
                clear_starts(s, at + 1, end < window_len ? end : window_len);
                if (end > limit) {
                    return end;
                }
                met = end == stop || is_start(s, end);
                set_start(s, end);
                at = end;
            }
            known = at;
        }
    }
    return 0;
}

/* ---- windows ---- */

/* The last byte about which it is known whether it is a start. */
static size_t settled_until(const pm_starts *s, const pm_unsettled *u) {
    size_t limit = u->len - 1, begin;

    if (!u->last && u->tail_open) {
        limit = run_begin(&s->words->space, u->len) - 1; /* a line end, so the run does not begin with the window */
    }
    if (!u->last && u->upper_open && (begin = run_begin(&s->words->upper, u->len)) <= limit) {
        limit = begin - 1; /* a letter */
    }
    return limit;
}

size_t pm_starts_settle(pm_starts *s, pm_unsettled *u, const pm_rules *r, pm_scan_fn scan) {
    size_t limit = settled_until(s, u), stop = 0;

    put_right(s, u, r);
    if (u->hard) {
        stop = settle_hard(s, u->len, limit, scan);
    }
    if (stop == 0) {
        stop = u->last ? u->len : last_start(s, limit);
    }
    if (stop == 0) {
        stop = scan(s->text, s->len, 0);
        clear_starts(s, 1, stop < u->len ? stop : u->len);
    }
    return stop;
}

/* One function a row of the rules; on x86-64 also with the bit instructions that came with AVX2. */
#ifdef PM_TARGET_AVX2
enum { SHORT = 128 }; /* bytes that take less time one word after another than as a vector of eight */
#define DEFINE_STARTS(name, ...)                                                                                       \
    static const pm_rules rules_##name = {__VA_ARGS__};                                                                \
    PM_TARGET_AVX2 static size_t avx2_##name(pm_starts *s) { return find_window(s, &rules_##name, pm_scan_##name); }   \
    size_t pm_starts_##name(pm_starts *s) {                                                                            \
        if (s->cpu == PM_CPU_AVX512 && s->len > SHORT) {                                                               \
            return pm_starts_avx512_##name(s);                                                                         \
        }                                                                                                              \
        if (s->cpu == PM_CPU_AVX512 || s->cpu == PM_CPU_AVX2) {                                                        \
            return avx2_##name(s);                                                                                     \
        }                                                                                                              \
        return find_window(s, &rules_##name, pm_scan_##name);                                                          \
    }
#else
#define DEFINE_STARTS(name, ...)                                                                                       \
    static const pm_rules rules_##name = {__VA_ARGS__};                                                                \
    size_t pm_starts_##name(pm_starts *s) { return find_window(s, &rules_##name, pm_scan_##name); }
#endif
PM_RULES(DEFINE_STARTS)

/* ---- documents ---- */

void pm_starts_init(pm_starts *s, pm_find_fn find, pm_cpu cpu) {
    s->find = find;
    s->cpu = cpu;
    s->classes = pm_classes_for(cpu);
    s->window = PM_WINDOW;
    s->bits[0] = 0;
    memset(s->gaps, 0, sizeof s->gaps);
}

void pm_starts_begin_documents(pm_starts *s, const uint8_t *text, const size_t *ends, size_t n) {
    s->text = text;
    s->len = 0;
    s->at = s->stop = 0;
    s->told = true;
    s->word = s->n_words = 0;
    s->n_hard = 0;
    s->ends = ends;
    s->doc = 0;
    s->n_docs = n;
    s->packed = 0;
}

void pm_starts_begin(pm_starts *s, const uint8_t *text, size_t len) {
    pm_starts_begin_documents(s, text, NULL, 0);
    s->len = len;
}

/* ---- several documents ---- */

/* The next document, or as many of them as a window has room for. False: there are none. */
static bool next_documents(pm_starts *s) {
    while (s->doc < s->n_docs) {
        size_t first = s->doc++;
        while (s->doc < s->n_docs && s->ends[s->doc] - s->at + (s->doc - first) <= s->window) {
            s->doc++;
        }
        s->packed = s->doc - first;
        s->len = s->ends[s->doc - 1] - s->at;
        if (s->len) {
            return true;
        }
    }
    return false;
}

/* Copies the documents with a byte of zero between two of them. Returns their length. */
static size_t pack(pm_starts *s) {
    size_t from = 0, to = 0, all = s->ends[s->n_docs - 1] - s->at;
    for (size_t i = s->doc - s->packed; i < s->doc; i++) {
        size_t end = s->ends[i] - s->at, len = end - from;
        if (all - from >= len + 63) { /* bytes behind the document do not matter */
            for (size_t k = 0; k < len; k += 64) {
                memcpy(s->packed_text + to + k, s->text + from + k, 64);
            }
        } else {
            memcpy(s->packed_text + to, s->text + from, len);
        }
        from = end;
        to += len;
        s->packed_text[to] = 0;
        s->gaps[to / 64] |= bit(to);
        to++;
    }
    to--;
    s->gaps[to / 64] &= ~bit(to);
    return to;
}

static void unpack(pm_starts *s, size_t len) {
#ifdef PM_TARGET_AVX2
    if (s->cpu == PM_CPU_AVX512) {
        pm_starts_unpack_avx512(s, len);
        return;
    }
#endif
    unpack_documents(s, len);
}

static void find_in_documents(pm_starts *s) {
    const uint8_t *text = s->text;
    size_t len = s->len, packed = pack(s);
    s->text = s->packed_text;
    s->len = packed;
    s->find(s);
    unpack(s, packed);
    s->text = text;
    s->stop = s->len = len;
}

/* ---- giving ---- */

/* The next window. False: the document is at its end. */
static bool next_window(pm_starts *s) {
    s->text += s->stop;
    s->len -= s->stop;
    s->at += s->stop;
    s->stop = 0;
    if (s->len == 0 && !next_documents(s)) {
        return false;
    }
    if (s->packed > 1) {
        find_in_documents(s);
    } else {
        s->stop = s->find(s);
    }
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

/* Writes base + i for each bit i, and anything behind up to the 64th number; returns the number of bits. Sixteen at a
 * time: a loop whose end nobody can foresee costs more than numbers that nobody needs. */
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
PM_TARGET_AVX2 static size_t give_words_avx2(pm_starts *s, size_t *ends, size_t cap) {
    return give_words(s, ends, cap);
}
#endif

static size_t give_words_by(pm_starts *s, size_t *ends, size_t cap) {
    switch (s->cpu) {
#ifdef PM_TARGET_AVX2
    case PM_CPU_AVX512: return pm_starts_give_avx512(s, ends, cap);
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
