/*
 * make_growth - text of any size whose distinct words grow as those of real text do.
 *
 * usage: make_growth zh|en SIZE [SEED]      SIZE of the text in bytes; K, M, G are powers of 1024; written to standard
 * output
 *
 * What makes training hard is not the bytes but the distinct words among them, and a text repeated a hundred times has
 * none that are new. Here every word is a number, its rank, and its spelling follows from the rank alone; to write text
 * is to draw ranks, and no table grows with the text. The text depends on its kind and seed only: same words in other
 * order with another seed, the same bytes on every machine (integers throughout).
 *
 * Ranks come by octaves: octave j holds the 2^j ranks from 2^j - 1 on, has a share of all draws, and its ranks are
 * equally likely, which is Zipf's law in steps. The shares of the first octaves are those measured in a real text
 * (words by falling number of times, gpt2's pattern). Past them two numbers are fitted so that the distinct words at 5,
 * 10, 20 and 40 MB of it come out: each octave's share is the one before times `fall`, and what then remains of the
 * draws goes to ranks so many that they hardly ever repeat. How well that does is in corpora/README.md.
 *
 * Kinds: in Chinese a "word" is a pre-token, so a clause of some ten characters. It is made of words of a lexicon, each
 * again a rank, and these of characters, once more by octaves: pairs and pieces inside the clauses repeat as those of a
 * language do. English words are made of syllables in the same way. Both have numbers, and Chinese has Latin words, in
 * the proportions measured by octave.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MILLION 1000000
#define STEPS 65536        /* draws distinguish so many equal shares */
#define NEVER_AGAIN 48     /* the octave of ranks that hardly ever repeat */
#define N_STEPS_BY_RANK 18 /* what depends on the octave is told for octaves below; the last holds for all above */
#define N_KNOWN 16384      /* parts of the lexicon that are spelled once, at the start */
#define MAX_PART 15
#define MAX_LINE 4096
#define BUFFER (1 << 20)

/* Shares of the octaves in millionths: `head` as measured, then `next`, next * fall / 100, ...; the remainder is
 * NEVER_AGAIN's. */
typedef struct shares {
    uint32_t head[20];
    uint32_t next, fall;
} shares;

/* What a drawn number leads to. */
typedef struct octaves {
    uint8_t of[STEPS];
} octaves;

typedef struct part {
    uint8_t length;
    char bytes[MAX_PART];
} part;

enum { NUMBER, LATIN, HAN };

typedef struct kind {
    shares words, parts, letters;
    uint16_t numbers[N_STEPS_BY_RANK], latin[N_STEPS_BY_RANK]; /* of 1000 words of the octave; the others are Han */
    uint8_t length[N_STEPS_BY_RANK];                           /* tenths of a letter or character, on average */
    uint32_t a_line;                                           /* words on a line, on average */
    uint32_t spaced;                                           /* of 1000 words, those that a space belongs to */
} kind;

static const kind zh = {
    .words = {{18834, 20848, 28314, 35550, 48230, 50145, 51493, 55534, 53539, 51556, 51180, 49185, 45560, 40753},
              33391,
              84},
    .parts = {{30000, 30000, 40000, 45000, 50000, 60000, 65000, 70000, 75000, 90000, 95000, 95000, 90000, 60000},
              35000,
              50},
    .letters = {{15000, 25000, 45000, 80000, 110000, 140000, 150000, 150000, 130000, 90000, 45000, 15000, 5000}, 0, 0},
    .numbers = {0, 0, 500, 375, 250, 312, 203, 219, 105, 86, 75, 39, 45, 51, 51, 48, 28, 15},
    .latin = {1000, 1000, 500, 625, 690, 530, 656, 656, 730, 744, 758, 783, 741, 703, 637, 498, 243, 90},
    .length = {20, 20, 20, 20, 20, 20, 20, 20, 21, 22, 24, 25, 28, 31, 36, 46, 90, 98},
    .a_line = 4,
    .spaced = 300,
};

static const kind en = {
    .words = {{38085, 39290, 51626, 51210, 67152, 67918, 73217, 77007, 84954, 95382, 97929, 85216, 65505, 47137},
              34000,
              40},
    .parts = {{15000, 20000, 30000, 50000, 70000, 90000, 110000, 120000, 130000, 130000, 110000, 70000}, 30000, 40},
    .letters = {{120000, 160000, 250000, 270000, 200000}, 0, 0},
    .numbers = {0, 0, 0, 0, 188, 219, 62, 16, 27, 55, 82, 33, 41, 138, 97, 227, 490, 700},
    .latin = {1000, 1000, 1000, 1000, 812, 781, 938, 984, 973, 945, 918, 967, 959, 862, 903, 773, 510, 300},
    .length = {30, 25, 25, 28, 25, 35, 40, 46, 54, 55, 60, 65, 67, 71, 75, 79, 80, 80},
    .a_line = 7,
    .spaced = 650,
};

/* Lengths of Chinese clauses that occur once, in 64ths, as measured; scaled to the average of the octave. */
static const uint8_t clause[64] = {3,  4,  4,  4,  5,  5,  5,  5,  5,  5,  5,  5,  6,  6,  6,  6,
                                   7,  7,  7,  7,  7,  7,  7,  7,  7,  8,  8,  8,  8,  9,  9,  9,
                                   9,  10, 10, 10, 10, 11, 11, 11, 12, 12, 12, 13, 13, 13, 14, 14,
                                   14, 15, 15, 16, 16, 17, 17, 18, 18, 19, 20, 21, 22, 24, 26, 29};

typedef struct maker {
    const kind *k;
    octaves words, parts, letters;
    part known[N_KNOWN];
} maker;

/* The next of a sequence of numbers (splitmix64), and a number's own scrambled form. */
static inline uint64_t scramble(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

static inline uint64_t next(uint64_t *state) { return scramble(*state += 0x9e3779b97f4a7c15); }

static void octaves_init(octaves *o, const shares *s) {
    size_t filled = 0;
    uint64_t sum = 0;
    uint32_t tail = s->next;
    for (uint8_t j = 0; j < NEVER_AGAIN; j++) {
        uint32_t share = tail;
        if (j < 20 && s->head[j] > 0)
            share = s->head[j];
        else
            tail = tail * s->fall / 100;
        sum += share;
        for (size_t end = (size_t)(sum * STEPS / MILLION); filled < end && filled < STEPS; filled++)
            o->of[filled] = j;
    }
    memset(o->of + filled, NEVER_AGAIN, STEPS - filled);
}

/* A rank for a random number: 16 bits of it choose the octave, 48 the rank there. */
static inline uint64_t rank_of(const octaves *o, uint64_t random, uint32_t *octave) {
    *octave = o->of[random >> 48];
    uint64_t first = (UINT64_C(1) << *octave) - 1;
    return first + (random & first);
}

/* Characters by rank: scattered over the block of Unicode, so that bytes are shared between frequent and rare ones. */
static size_t put_han(char *out, uint64_t rank) {
    uint32_t c = 0x4E00 + (uint32_t)(rank * 7919 % 20902);
    out[0] = (char)(0xE0 | (c >> 12));
    out[1] = (char)(0x80 | ((c >> 6) & 63));
    out[2] = (char)(0x80 | (c & 63));
    return 3;
}

/* A word of the lexicon: the frequent ones are one character, most are two. */
static size_t spell_han(const maker *m, uint64_t rank, uint32_t octave, char *out) {
    uint64_t state = scramble(rank ^ 0x68616e);
    uint64_t draw = next(&state) % 100;
    size_t characters = octave < 6 ? 1 : draw < 10 ? 1 : draw < 70 ? 2 : draw < 87 ? 3 : 4, n = 0;
    for (size_t i = 0; i < characters; i++) {
        uint32_t unused;
        n += put_han(out + n, rank_of(&m->letters, next(&state), &unused));
    }
    return n;
}

/* A syllable: consonants, a vowel, perhaps a consonant. */
static size_t spell_syllable(uint64_t rank, char *out) {
    static const char first[] = "ttttsssrrrnnnllldddccccmmmpppbbffgghhvwwkjyqxz", vowel[] = "eeeeeeaaaaiiiioooouu",
                      last[] = "nnnrrrssttlldmcpgk";
    uint64_t x = scramble(rank ^ 0x656e);
    size_t n = 0;
    if (x % 8 > 0)
        out[n++] = first[(x >> 8) % (sizeof first - 1)];
    if ((x >> 4) % 8 == 0)
        out[n++] = "rlhs"[(x >> 16) % 4];
    out[n++] = vowel[(x >> 24) % (sizeof vowel - 1)];
    if ((x >> 32) % 2 == 0)
        out[n++] = last[(x >> 40) % (sizeof last - 1)];
    return n;
}

static void spell_part(const maker *m, uint64_t rank, uint32_t octave, part *p) {
    p->length = (uint8_t)(m->k == &zh ? spell_han(m, rank, octave, p->bytes) : spell_syllable(rank, p->bytes));
}

static maker *maker_new(const kind *k) {
    maker *m = malloc(sizeof *m);
    if (m == NULL)
        return NULL;
    m->k = k;
    octaves_init(&m->words, &k->words);
    octaves_init(&m->parts, &k->parts);
    octaves_init(&m->letters, &k->letters);
    uint32_t octave = 0;
    for (uint32_t rank = 0; rank < N_KNOWN; rank++) {
        octave += rank + 1 == UINT32_C(2) << octave;
        spell_part(m, rank, octave, &m->known[rank]);
    }
    return m;
}

static size_t spell_number(uint64_t x, size_t digits, char *out) {
    for (size_t i = 0; i < digits; i++, x /= 10)
        out[i] = (char)('0' + x % 10);
    return digits;
}

/* A part of the lexicon, drawn by this number: MAX_PART bytes are written, of which so many count. */
static size_t spell_some_part(const maker *m, uint64_t random, char *out) {
    uint32_t octave;
    uint64_t rank = rank_of(&m->parts, random, &octave);
    part own;
    const part *p = &own;
    if (rank < N_KNOWN)
        p = &m->known[rank];
    else
        spell_part(m, rank, octave, &own);
    memcpy(out, p->bytes, MAX_PART);
    return p->length;
}

/* Latin letters in a Chinese text: syllables drawn evenly from a few thousand, cut to the length. */
static size_t spell_latin(const maker *m, uint64_t *state, size_t length, bool upper, char *out) {
    for (size_t n = 0; n < length;) {
        uint64_t random = next(state);
        n += m->k == &zh ? spell_syllable(random >> 54, out + n) : spell_some_part(m, random, out + n);
    }
    if (upper)
        out[0] = (char)(out[0] - 'a' + 'A');
    return length;
}

/* Words of the lexicon up to so many characters. */
static size_t spell_clause(const maker *m, uint64_t *state, size_t characters, char *out) {
    for (size_t n = 0; n < 3 * characters;)
        n += spell_some_part(m, next(state), out + n);
    return 3 * characters;
}

/*
 * What stands before a word: a space, which the pattern takes for a part of it, or a mark. The rank decides which of
 * the two, so that it stands for one pre-token; the draw decides which mark. A line begins with the word or, where a
 * space belongs to it, with four.
 */
static size_t put_before(const maker *m, bool spaced, int class, uint64_t draw, bool at_start, char *out) {
    static const char *const chinese[] = {"，", "，", "，", "。", "。", "、", "：", "；"};
    static const char marks[] = "..,,--__//:('`=*";
    if (spaced) {
        memcpy(out, "    ", 4);
        return at_start ? 4 : 1;
    }
    if (at_start)
        return 0;
    if (m->k == &zh && class == HAN) {
        memcpy(out, chinese[draw % 8], 3);
        return 3;
    }
    out[0] = marks[draw % 16];
    return 1;
}

static size_t put_word(const maker *m, uint64_t draw, bool at_start, char *out) {
    uint32_t octave;
    uint64_t rank = rank_of(&m->words, draw, &octave), state = scramble(rank ^ 0x776f7264), x = next(&state);
    uint32_t step = octave < N_STEPS_BY_RANK ? octave : N_STEPS_BY_RANK - 1;
    uint32_t of_thousand = (uint32_t)((x & 0xffff) * 1000 >> 16);
    int class = of_thousand < m->k->numbers[step]                       ? NUMBER
                : of_thousand < m->k->numbers[step] + m->k->latin[step] ? LATIN
                                                                        : HAN;
    bool spaced = ((x >> 16) & 0xffff) * 1000 >> 16 < m->k->spaced;
    size_t n = put_before(m, spaced, class, draw >> 7, at_start, out);
    uint32_t form = (uint32_t)(x >> 32);
    if (class == NUMBER)
        return n + spell_number(next(&state),
                                octave < 8    ? 1 + form % 2
                                : octave < 14 ? 2 + form % 3
                                              : 5 + form % 5,
                                out + n);
    if (class == LATIN) {
        uint32_t mean = m->k == &zh ? en.length[step] : m->k->length[step];
        size_t length = (mean * (40 + form % 121) / 100 + 5) / 10;
        return n + spell_latin(m, &state, length > 0 ? length : 1, form >> 28 < 2, out + n);
    }
    size_t characters = (clause[form % 64] * (uint32_t)m->k->length[step] + 53) / 106;
    return n + spell_clause(m, &state, characters > 0 ? characters : 1, out + n);
}

static size_t put_line(const maker *m, uint64_t *state, char *out) {
    uint64_t draw = next(state);
    size_t words = 1 + draw % (2 * m->k->a_line - 1), n = 0;
    for (size_t i = 0; i < words; i++)
        n += put_word(m, next(state), i == 0, out + n);
    if (m->k == &zh && (draw >> 32) % 3 == 0) {
        memcpy(out + n, "。", 3);
        n += 3;
    } else if (m->k == &en && (draw >> 32) % 3 == 0)
        out[n++] = '.';
    out[n++] = '\n';
    return n;
}

/* Lines as long as they fit into `size` bytes; false when standard output cannot be written. */
static bool write_text(const maker *m, uint64_t size, uint64_t seed) {
    static char buffer[BUFFER + MAX_LINE];
    uint64_t state = scramble(seed), written = 0;
    size_t n = 0;
    for (;;) {
        size_t line = put_line(m, &state, buffer + n);
        written += line;
        if (written > size)
            break;
        n += line;
        if (n >= BUFFER) {
            if (fwrite(buffer, 1, n, stdout) != n)
                return false;
            n = 0;
        }
    }
    return fwrite(buffer, 1, n, stdout) == n && fflush(stdout) == 0;
}

static bool number(const char *text, bool units, uint64_t *out) {
    char *end;
    errno = 0;
    uintmax_t n = strtoumax(text, &end, 10);
    const char *unit = units && *end != 0 ? strchr("KMG", *end) : NULL;
    int shift = unit == NULL ? 0 : *end == 'K' ? 10 : *end == 'M' ? 20 : 30;
    if (errno != 0 || text[0] < '0' || text[0] > '9' || (*end != 0 && (unit == NULL || end[1] != 0)) ||
        n > UINT64_MAX >> shift)
        return false;
    *out = (uint64_t)n << shift;
    return true;
}

int main(int argc, char **argv) {
    uint64_t size, seed = 0;
    const kind *k = argc < 2 ? NULL : strcmp(argv[1], "zh") == 0 ? &zh : strcmp(argv[1], "en") == 0 ? &en : NULL;
    if (argc < 3 || argc > 4 || k == NULL || !number(argv[2], true, &size) ||
        (argc == 4 && !number(argv[3], false, &seed))) {
        fputs("usage: make_growth zh|en SIZE [SEED]\n", stderr);
        return 2;
    }
    maker *m = maker_new(k);
    if (m == NULL || !write_text(m, size, seed)) {
        fprintf(stderr, "make_growth: %s\n", strerror(errno));
        free(m);
        return 3;
    }
    free(m);
    return 0;
}
