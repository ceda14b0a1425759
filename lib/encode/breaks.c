/* breaks.c - certain breaks: cutting a clause where no piece reaches across, before anything is merged.
 *
 * Chinese has no spaces, so a pre-token is a clause, new each time, and merging it from its bytes is slow. But most
 * neighbours in it never come together:
 *
 *     Let p be a place inside a pre-token w = u v. If no piece that stands in w around p (one or more bytes of it
 *     before p, one or more behind) is the result of a merge, then the encoding of w is the encoding of u and behind
 *     it that of v.
 *
 *     Proof. A merge across p would make a token whose bytes stand around p. So none ever happens; each merge joins
 *     two tokens of u or two of v. The pair that is taken is the leftmost of lowest rank in w. When it lies in u, it
 *     is the leftmost of lowest rank in u as well, since u's pairs are some of w's, in the same order. So the merges
 *     inside u, seen alone, are the ones that u alone would get, in the same order, and they go on until no pair of u
 *     is left. The same for v.
 *
 * Nothing is asked of ranks, of reachability, or of how the vocabulary came about. Cutting at several places is the
 * same step again: a piece that does not stand around p in w does not in u. What remains of a clause are segments, of
 * which nearly all are pieces, found by one look-up each (o200k_base: 71 % single characters, 25 % pairs of which 96 %
 * are one piece).
 *
 * A segment may be looked up as a piece only if merging leads to that piece. Where a vocabulary has other pieces and
 * looks whole pre-tokens up first, the caller has to tell a segment from a whole pre-token; those pieces are added
 * here too, so a pre-token that is a piece is never cut.
 *
 * Which places. Only those between two characters x and y, by the form of UTF-8 alone: a first byte 00-7F, C0-DF,
 * E0-EF, F0-F7 and as many bytes 80-BF as belong to it. (That is more than well-formed UTF-8; the argument needs no
 * more.) Beside any other byte nothing is cut. Take a piece around p in w, and the p inside it. Before p it has either
 * x whole, or begins inside x: then only bytes 80-BF, the last of x. Behind p it has y whole, or ends inside y: then
 * its first bytes. So the pieces need only be walked once, and at each place inside where a byte that is none of 80-BF
 * comes next, one of four things is noted:
 *
 *     before p   behind p                          noted
 *     x whole    y whole    E4 BA BA | E6 B0 91    pairs: the hash of x and y
 *     x whole    begins y   20 | E0 A4             parts: of x and y's first byte; flags: x is on the left of such
 *     ends x     y whole    97 | E4 BA AC          parts: of x's last byte and y; flags: y is on the right of such
 *     ends x     begins y   A3 | E1 83             ends: of x's last byte and y's first
 *
 * With o200k_base: in E5 8C 97 | E4 BA AC the piece 97 E4 BA AC reaches across, so E4 BA AC has a flag, the part (97,
 * E4 BA AC) is found, and the place is not cut. In E5 9C A8 | E4 BA AC there is the flag, but neither the pair nor the
 * part (A8, E4 BA AC): cut.
 *
 * Hashes may collide, and one byte stands for one to three in a part: then a place is not cut that could be, nothing
 * else. o200k_base fills 2.3 % of the bits of `pairs`.
 *
 * Cost. Building walks the pieces' bytes once. Runs of characters of three bytes, which are what is cut most, go
 * through pre-tokens without stopping: the end of one is a break like others. A character there costs two or three
 * loads and no branch that depends on the answer, since whether a place is cut cannot be predicted; the flags, which
 * are few (6.5 % of the characters of Chinese with o200k_base), are an exception. */
#include "encode/breaks.h"

#include "text/utf8.h"

static inline size_t hash_two(uint32_t a, uint32_t b, unsigned bits) {
    return (size_t)((((uint64_t)a << 32 | b) * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - bits));
}

/* The sixteen bits of a character of three bytes: its number, if it is well-formed. */
static inline uint32_t wide_bits(uint32_t code) {
    return (code & 0xF) << 12 | (code >> 2 & 0xFC0) | (code >> 16 & 0x3F);
}

static inline bool is_wide(uint32_t code) { return (code & 0xC0C0F0) == 0x8080E0; }

/* As hash_two, of two characters of three bytes by their bits. */
static inline size_t hash_wide(uint32_t x, uint32_t y) {
    return (uint32_t)((x << 16 | y) * UINT32_C(0x9E3779B1)) >> (32 - PM_BREAKS_PAIR_BITS);
}

/* Where a character's flags are. */
static inline size_t flags_of(uint32_t x) {
    return is_wide(x) ? wide_bits(x) : (1 << 16) + ((uint32_t)(x * UINT32_C(0x9E3779B1)) >> (32 - PM_BREAKS_FLAG_BITS));
}

/* Of two characters. */
static inline size_t hash_pair(uint32_t x, uint32_t y) {
    return is_wide(x) && is_wide(y) ? hash_wide(wide_bits(x), wide_bits(y)) : hash_two(x, y, PM_BREAKS_PAIR_BITS);
}

static inline unsigned has(const uint64_t *bits, size_t i) { return (unsigned)(bits[i >> 6] >> (i & 63)) & 1; }

static inline void add(uint64_t *bits, size_t i) { bits[i >> 6] |= UINT64_C(1) << (i & 63); }

static inline bool is_inside(uint8_t byte) { return (byte & 0xC0) == 0x80; }

static inline uint32_t read_word(const uint8_t *p) {
    uint32_t w;
    memcpy(&w, p, sizeof w);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap32(w);
#endif
    return w;
}

/* The character at p, of which `left` > 0 bytes may be read: its bytes in *code, the first lowest; returns how many,
 * 0: there is none. */
static inline unsigned read_character(const uint8_t *p, size_t left, uint32_t *code) {
    uint32_t w;

    if (left >= sizeof w) {
        w = read_word(p);
    } else {
        w = (uint32_t)(p[0] | (left > 1 ? p[1] << 8 : 0) |
                       (left > 2 ? p[2] << 16 : 0)); /* 0 is no byte inside a character */
    }
    if ((w & 0xC0C0F0) == 0x8080E0) {
        *code = w & 0xFFFFFF;
        return 3;
    }
    if ((w & 0x80) == 0) {
        *code = w & 0xFF;
        return 1;
    }
    if ((w & 0xC0E0) == 0x80C0) {
        *code = w & 0xFFFF;
        return 2;
    }
    *code = w;
    return (w & 0xC0C0C0F8) == 0x808080F0 ? 4 : 0;
}

/* The last of a character's bytes. */
static inline uint8_t last_byte(uint32_t code, unsigned len) { return (uint8_t)(code >> 8 * (len - 1)); }

/* ---------------------------------------------------------------- building ---- */

/* Notes the place p of a piece; its character before p begins at `before`, or the piece begins inside it. */
static void add_place(pm_breaks *b, const uint8_t *piece, size_t len, size_t before, size_t p) {
    uint32_t x = 0, y;
    uint8_t last = piece[p - 1], first = piece[p];
    bool part_x = is_inside(piece[before]);

    if (!part_x && read_character(piece + before, p - before, &x) != p - before) {
        return; /* no text that is cut has these bytes before a character */
    }
    bool part_y = !read_character(piece + p, len - p, &y);
    if (part_x && part_y) {
        b->ends[last & 63] |= UINT64_C(1) << (first & 63);
    } else if (part_x) {
        add(b->parts, hash_two(last, y, PM_BREAKS_PART_BITS));
        b->flags[flags_of(y)] |= PM_BREAKS_ON_THE_RIGHT;
    } else if (part_y) {
        add(b->parts, hash_two(x, first, PM_BREAKS_PART_BITS));
        b->flags[flags_of(x)] |= PM_BREAKS_ON_THE_LEFT;
    } else {
        add(b->pairs, hash_pair(x, y));
    }
}

void pm_breaks_add(pm_breaks *b, const uint8_t *piece, size_t len) {
    size_t before = 0;
    for (size_t p = 1; p < len; p++) {
        if (!is_inside(piece[p])) {
            add_place(b, piece, len, before, p);
            before = p;
        }
    }
}

/* ---------------------------------------------------------------- cutting ---- */

/* A character of a text. */
typedef struct character {
    uint32_t code;
    uint8_t last, flags;
} character;

static inline character look(const pm_breaks *b, uint32_t code, unsigned len) {
    return (character){code, last_byte(code, len), b->flags[flags_of(code)]};
}

/* Not 0: a part of x or of y may reach across; asked when a flag says so. */
static inline unsigned has_part(const pm_breaks *b, uint32_t x, uint8_t last_of_x, uint32_t y) {
    return has(b->parts, hash_two(x, y & 0xFF, PM_BREAKS_PART_BITS)) |
           has(b->parts, hash_two(last_of_x, y, PM_BREAKS_PART_BITS));
}

/* 1: the place between x and y is certainly a break. */
static inline unsigned is_certain(const pm_breaks *b, character x, character y) {
    unsigned joined =
        has(b->pairs, hash_pair(x.code, y.code)) | ((unsigned)(b->ends[x.last & 63] >> (y.code & 63)) & 1);
    if (__builtin_expect((x.flags & PM_BREAKS_ON_THE_LEFT) | (y.flags & PM_BREAKS_ON_THE_RIGHT), 0)) {
        joined |= has_part(b, x.code, x.last, y.code);
    }
    return joined ^ 1;
}

/* Segments of pre-tokens. */
typedef struct cut {
    const uint8_t *text;
    size_t len, at;
    const size_t *word, *words_end; /* the ends of the pre-token at hand and those behind it */
    size_t *ends, n, room;
} cut;

/* A code point of three bytes in well-formed UTF-8. */
static inline bool is_scalar(uint32_t x) { return x >= 0x800 && (x & 0xF800) != 0xD800; }

/* Behind a character of three bytes, `code`: goes on, from pre-token to pre-token, to the first character of another
 * length. The end of a pre-token is a break like others here, so that nothing has to be guessed. Returns the last
 * character. */
static inline uint32_t cut_wide(const pm_breaks *b, cut *c, uint32_t code) {
    const uint8_t *text = c->text;
    const size_t *word = c->word, *last = c->words_end - 1;
    size_t *ends = c->ends;
    size_t at = c->at, n = c->n, end = *last, word_end = *word, left = c->room - n;
    size_t limit = c->len >= 4 && c->len - 3 < end ? c->len - 3 : end; /* where four bytes may be read */
    uint32_t x = wide_bits(code), y, w;
    unsigned flags = b->flags[x];

    if (limit > at && (limit - at) / 3 >= left) {
        limit = at + left * 3;
    }
    while (at < limit && is_wide(w = read_word(text + at)) && is_scalar(y = wide_bits(w))) {
        unsigned joined = has(b->pairs, hash_wide(x, y)) | ((unsigned)(b->ends[x & 63] >> (y >> 12 | 0x20)) & 1),
                 flags_of_y = b->flags[y];
        if (__builtin_expect((flags & PM_BREAKS_ON_THE_LEFT) | (flags_of_y & PM_BREAKS_ON_THE_RIGHT), 0)) {
            joined |= has_part(b, code & 0xFFFFFF, (uint8_t)(x & 63) | 0x80, w & 0xFFFFFF);
        }
        size_t next_end =
            word[word < last]; /* read whether it is wanted or not, so that the next round does not wait for it */
        bool ends_word = at == word_end;
        word += ends_word;
        word_end = ends_word ? next_end : word_end;
        flags = flags_of_y;
        ends[n] = at;
        if (__builtin_expect(word_end - at < 3, 0)) { /* the pre-token ends inside the character */
            n += ends_word;
            break;
        }
        n += (joined ^ 1) | ends_word;
        x = y;
        at += 3;
        code = w;
    }
    c->at = at;
    c->n = n;
    c->word = word;
    return code & 0xFFFFFF;
}

/* Goes on with a pre-token, or what is left of it. */
static inline void cut_word(const pm_breaks *b, cut *c) {
    uint32_t x = 0, y;
    unsigned before = 0; /* bytes of the character x before `at`, 0: there is none */

    while (c->at < *c->word && c->n < c->room) {
        unsigned size = read_character(c->text + c->at, c->len - c->at, &y);
        if (size == 0 || size > *c->word - c->at) {
            before = 0;
            c->at++;
            continue;
        }
        if (before) {
            c->ends[c->n] = c->at;
            c->n += is_certain(b, look(b, x, before), look(b, y, size));
        }
        before = size;
        if (y < 0x80) { /* letters of ASCII nearly all stand together in some piece: cutting there gains nothing */
            c->at = pm_utf8_skip_ascii(c->text, c->at + 1, *c->word);
            x = c->text[c->at - 1];
            continue;
        }
        c->at += size;
        x = size == 3 && c->len >= 4 && is_scalar(wide_bits(y)) ? cut_wide(b, c, y) : y;
    }
    if (c->n < c->room && c->at == *c->word) {
        c->ends[c->n++] = c->at;
        c->word++;
    }
}

/* Whether a pre-token that begins at `at` is cut before it is looked up. */
static inline bool cuts_first(const cut *c, size_t at) {
    return pm_breaks_cuts_first(c->text[at]) || (at + 1 < c->len && pm_breaks_cuts_first(c->text[at + 1]));
}

size_t pm_breaks_cut(const pm_breaks *b, const uint8_t *text, size_t len, size_t start, const size_t *words,
                     size_t n_words, size_t *n_done, size_t *ends, size_t room) {
    cut c = {text, len, start, words, words + n_words, ends, 0, room};

    do {
        cut_word(b, &c);
    } while (c.n < room && c.word < c.words_end && cuts_first(&c, c.at));
    *n_done = (size_t)(c.word - words);
    return c.n;
}
