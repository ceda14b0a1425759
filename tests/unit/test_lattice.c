/* test_lattice.c - the best segmentation against its twin, and drawn ones against their exact distribution. */
#include <math.h>

#include "../oracle/bytepiece.h"
#include "encode/lattice_table.h"
#include "support.h"

enum { MAX_PIECES = 400 };

/* A vocabulary of the bytes and random pieces over an alphabet, with random counts that give ties. */
typedef struct vocabulary {
    pm_bytes pieces[MAX_PIECES];
    double logp[MAX_PIECES];
    size_t n;
    oracle_dict dict;
    pm_lattice *lattice;
    pm_lattice_scratch *scratch;
} vocabulary;

static uint8_t store[MAX_PIECES][24];

static void random_piece(uint8_t *piece, size_t len, const char *alphabet, uint64_t *state) {
    for (size_t i = 0; i < len; i++) {
        piece[i] = (uint8_t)alphabet[random_word(state) % strlen(alphabet)];
    }
}

static void make(vocabulary *v, uint64_t seed, size_t n, size_t longest, const char *alphabet) {
    pm_error err = {0};
    uint64_t state = seed;
    *v = (vocabulary){0};
    for (size_t i = 0; i < 256 + n; i++) {
        size_t len = i < 256 ? 1 : 2 + random_word(&state) % (longest - 1);
        store[i][0] = (uint8_t)i;
        if (i >= 256) {
            random_piece(store[i], len, alphabet, &state);
        }
        oracle_dict_add(&v->dict, (pm_bytes){store[i], len},
                        1 + random_word(&state) % (random_word(&state) % 2 ? 3 : 1000));
    }
    oracle_dict_settle(&v->dict);
    oracle_set_logs(&v->dict);
    v->n = v->dict.n;
    for (size_t i = 0; i < v->n; i++) { /* not in the order of bytes */
        size_t k = (i * 7 + 3) % v->n;
        while (v->pieces[k].data) {
            k = (k + 1) % v->n;
        }
        v->pieces[k] = v->dict.items[i].key;
        v->logp[k] = v->dict.items[i].value;
    }
    assert_ok(pm_lattice_new(&v->lattice, v->pieces, NULL, v->logp, v->n, &err));
    assert_ok(pm_lattice_scratch_new(&v->scratch, &err));
}

static void release(vocabulary *v) {
    pm_lattice_free(v->lattice);
    pm_lattice_scratch_free(v->scratch);
    oracle_dict_free(&v->dict);
}

typedef struct sink {
    size_t *ends, n, at, texts;
    const vocabulary *v;
    const uint8_t *text;
} sink;

static pm_status take(void *user, const uint32_t *pieces, size_t n, pm_error *err) {
    sink *s = user;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        if (pieces[i] == PM_LATTICE_END) {
            s->texts++;
            continue;
        }
        pm_bytes piece = s->v->pieces[pieces[i]];
        ck_assert_mem_eq(piece.data, s->text + s->at, piece.len);
        s->at += piece.len;
        s->ends[s->n++] = s->at;
    }
    return PM_OK;
}

static size_t best(vocabulary *v, pm_bytes text, size_t *ends) {
    pm_error err = {0};
    sink s = {ends, 0, 0, 0, v, text.data};
    uint8_t *copy = malloc(text.len ? text.len : 1); /* so that a sanitizer sees a byte read behind the text */
    memcpy(copy, text.data, text.len);
    assert_ok(pm_lattice_best(v->lattice, v->scratch, &(pm_bytes){copy, text.len}, 1, take, &s, &err));
    free(copy);
    ck_assert_uint_eq(s.at, text.len);
    ck_assert_uint_eq(s.texts, 1);
    return s.n;
}

static void compare_best(vocabulary *v, pm_bytes text) {
    size_t *ends = malloc((text.len + 1) * sizeof *ends), *wanted = malloc((text.len + 1) * sizeof *wanted);
    size_t n = best(v, text, ends), n_wanted = oracle_best(&v->dict, text, wanted);
    ck_assert_uint_eq(n, n_wanted);
    ck_assert_mem_eq(ends, wanted, n * sizeof *ends);
    free(ends);
    free(wanted);
}

START_TEST(best_equals_the_twin_ties_too) {
    static const char *const alphabets[] = {"ab", "abcdefgh ", "\xE4\xB8\xAD\x96", "a"};
    static uint8_t text[3000];
    uint64_t state = 11;
    for (int round = 0; round < 24; round++) {
        const char *alphabet = alphabets[round % 4];
        vocabulary v;
        make(&v, random_word(&state), (size_t)round * 6, 2 + (size_t)round % 20, alphabet);
        for (size_t len = 0; len < 400; len += 1 + len / 4) {
            random_piece(text, len, alphabet, &state);
            compare_best(&v, (pm_bytes){text, len});
        }
        random_piece(text, sizeof text, alphabet, &state);
        text[random_word(&state) % sizeof text] = 0xFF;
        compare_best(&v, (pm_bytes){text, sizeof text});
        release(&v);
    }
}
END_TEST

static const char *const characters[] = {"a",
                                         "b",
                                         "\n",
                                         "\xC3\xA9",
                                         "\xE4\xB8\xAD",
                                         "\xE6\x96\x87",
                                         "\xED\x9F\xBF",
                                         "\xEF\xBF\xBD",
                                         "\xF0\x9F\x98\x80",
                                         "\xF4\x8F\xBF\xBF"};
enum { CHARACTERS = sizeof characters / sizeof *characters };

/* Whole characters, the first `n` of the list; returns how many bytes. */
static size_t random_characters(uint8_t *text, size_t count, size_t n, uint64_t *state) {
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        const char *character = characters[random_word(state) % n];
        memcpy(text + len, character, strlen(character));
        len += strlen(character);
    }
    return len;
}

/* Pieces of whole characters, so that the automaton steps over characters; nested ones, rare ones that lose to their
 * bytes, and ties. */
static void make_of_characters(vocabulary *v, uint64_t seed, size_t n, size_t longest) {
    static uint8_t bytes[MAX_PIECES][64];
    pm_error err = {0};
    uint64_t state = seed;
    *v = (vocabulary){0};
    for (size_t i = 0; i < 256 + n; i++) {
        size_t len = 1;
        bytes[i][0] = (uint8_t)i;
        if (i >= 256 && i % 3) {
            len = random_characters(bytes[i], 1 + random_word(&state) % longest, CHARACTERS - 1, &state);
        } else if (i >= 256) { /* 1 to 16 times the same */
            const char *character = characters[seed % (CHARACTERS - 1)];
            for (len = 0; len < strlen(character) * (i % 16 + 1); len += strlen(character)) {
                memcpy(bytes[i] + len, character, strlen(character));
            }
        }
        uint64_t count = seed % 4 == 0   ? 1
                         : seed % 4 == 1 ? UINT64_C(1) << random_word(&state) % 20
                                         : 1 + random_word(&state) % 9;
        oracle_dict_add(&v->dict, (pm_bytes){bytes[i], len}, i < 256 && seed % 2 ? 1000 * count : count);
    }
    oracle_dict_settle(&v->dict);
    oracle_set_logs(&v->dict);
    for (v->n = 0; v->n < v->dict.n; v->n++) {
        v->pieces[v->n] = v->dict.items[v->n].key;
        v->logp[v->n] = v->dict.items[v->n].value;
    }
    assert_ok(pm_lattice_new(&v->lattice, v->pieces, NULL, v->logp, v->n, &err));
    assert_ok(pm_lattice_scratch_new(&v->scratch, &err));
}

static void compare_on_each_processor(vocabulary *v, pm_bytes text) {
    for (pm_cpu cpu = 0; cpu < PM_N_CPUS; cpu++) {
        if (pm_cpu_has(cpu)) {
            v->lattice->walk = pm_lattice_walk_for(cpu);
            compare_best(v, text);
        }
    }
}

START_TEST(steps_over_characters_equal_the_twin) {
    static uint8_t text[1600 * 4];
    uint64_t state = 13;
    for (uint64_t seed = 0; seed < 40; seed += quick() ? 3 : 1) {
        vocabulary v;
        make_of_characters(&v, seed, seed * 3, 2 + seed % 13);
        ck_assert(v.lattice->characters);
        for (size_t count = 0; count < 400; count += 1 + count / 3) {
            size_t len = random_characters(text, count, CHARACTERS, &state); /* the last of them is in no piece */
            compare_on_each_processor(&v, (pm_bytes){text, len});
            if (len) { /* not well-formed: cut off at either end, a byte changed */
                size_t skip = random_word(&state) % (len < 4 ? len : 4), drop = random_word(&state) % (len < 8 ? 1 : 4);
                compare_on_each_processor(&v, (pm_bytes){text + skip, len - skip - drop});
                text[random_word(&state) % len] = (uint8_t)(0x80 + random_word(&state) % 128);
                compare_on_each_processor(&v, (pm_bytes){text, len});
            }
        }
        release(&v);
    }
}
END_TEST

/* One piece that is not well-formed, and steps are bytes. */
START_TEST(steps_over_bytes_equal_the_twin) {
    static uint8_t text[1600 * 4];
    uint64_t state = 14;
    for (uint64_t seed = 0; seed < 12; seed++) {
        vocabulary v;
        make(&v, seed, 100, 2 + seed, "\xE4\xB8\xAD\x96");
        ck_assert(!v.lattice->characters);
        for (size_t count = 0; count < 400; count += 1 + count / 3) {
            compare_on_each_processor(&v, (pm_bytes){text, random_characters(text, count, CHARACTERS, &state)});
        }
        release(&v);
    }
}
END_TEST

typedef struct joined {
    uint32_t ids[8000];
    size_t n;
} joined;

static pm_status join(void *user, const uint32_t *ids, size_t n, pm_error *err) {
    joined *j = user;
    (void)err;
    memcpy(j->ids + j->n, ids, n * sizeof *ids);
    j->n += n;
    return PM_OK;
}

START_TEST(many_texts_at_once_are_as_one_by_one) {
    static uint8_t bytes[40][256];
    static joined together, apart;
    pm_error err = {0};
    uint64_t state = 15;
    for (uint64_t seed = 0; seed < 20; seed++) {
        pm_bytes texts[40];
        vocabulary v;
        make_of_characters(&v, seed, 100, 5);
        together.n = apart.n = 0;
        for (size_t i = 0; i < 40; i++) {
            size_t len = random_characters(bytes[i], random_word(&state) % 40, CHARACTERS, &state);
            texts[i] = (pm_bytes){len ? bytes[i] : NULL, len};
            assert_ok(pm_lattice_best(v.lattice, v.scratch, &texts[i], 1, join, &apart, &err));
        }
        assert_ok(pm_lattice_best(v.lattice, v.scratch, texts, 40, join, &together, &err));
        ck_assert_uint_eq(together.n, apart.n);
        ck_assert_mem_eq(together.ids, apart.ids, apart.n * sizeof *apart.ids);
        assert_ok(pm_lattice_best(v.lattice, v.scratch, texts, 0, join, &together, &err));
        ck_assert_uint_eq(together.n, apart.n);
        release(&v);
    }
}
END_TEST

/* "aa" beats "a" + "a": the best paths to odd and to even positions have only the beginning in common. */
START_TEST(paths_that_never_meet) {
    size_t len = 10 * PM_LATTICE_WINDOW + 1;
    pm_error err = {0};
    uint8_t *text = malloc(len);
    size_t *at = malloc(len * sizeof *at);
    vocabulary v = {0};
    for (size_t i = 0; i < 257; i++) {
        store[i][0] = store[i][1] = i < 256 ? (uint8_t)i : 'a';
        oracle_dict_add(&v.dict, (pm_bytes){store[i], i < 256 ? 1 : 2}, 5);
    }
    oracle_dict_settle(&v.dict);
    oracle_set_logs(&v.dict);
    for (; v.n < v.dict.n; v.n++) {
        v.pieces[v.n] = v.dict.items[v.n].key;
        v.logp[v.n] = v.dict.items[v.n].value;
    }
    assert_ok(pm_lattice_new(&v.lattice, v.pieces, NULL, v.logp, v.n, &err));
    assert_ok(pm_lattice_scratch_new(&v.scratch, &err));
    memset(text, 'a', len);
    ck_assert_uint_eq(best(&v, (pm_bytes){text, len}, at), len / 2 + 1);
    ck_assert_uint_eq(at[0], 1);                 /* the last piece is the longest, and so on */
    ck_assert_uint_eq(v.scratch->window.cap, 0); /* what a long text needed is given back */
    release(&v);
    free(text);
    free(at);
}
END_TEST

START_TEST(windows_do_not_show) {
    static uint8_t text[5 * PM_LATTICE_WINDOW];
    uint64_t state = 12;
    for (int kind = 0; kind < 3; kind++) {
        vocabulary v;
        make(&v, 77, 30, 5, kind == 2 ? "a" : "abc");
        random_piece(text, sizeof text, kind == 2 ? "a" : "abc", &state);
        if (kind == 1) { /* the only place that no piece crosses is near the end of a window */
            text[PM_LATTICE_WINDOW - 3] = text[3 * PM_LATTICE_WINDOW + 1] = 0xFF;
        }
        compare_best(&v, (pm_bytes){text, sizeof text});
        compare_best(&v, (pm_bytes){text, PM_LATTICE_WINDOW});
        compare_best(&v, (pm_bytes){text, PM_LATTICE_WINDOW + 1});
        release(&v);
    }
}
END_TEST

START_TEST(memory_stays_small_where_pieces_do_not_cross) {
    size_t len = 3 << 20, *ends = malloc(len * sizeof *ends);
    uint8_t *text = malloc(len);
    vocabulary v;
    make(&v, 5, 60, 6, "abc");
    for (size_t i = 0; i < len; i++) {
        text[i] = i % 1000 ? (uint8_t)('a' + i % 3) : 'x';
    }
    best(&v, (pm_bytes){text, len}, ends);
    ck_assert_uint_le(v.scratch->window.cap, 2 * PM_LATTICE_WINDOW);
    ck_assert_uint_le(v.scratch->cap_out, 4 * PM_LATTICE_WINDOW);
    release(&v);
    free(text);
    free(ends);
}
END_TEST

START_TEST(pieces_can_vanish_and_come_back) {
    pm_error err = {0};
    vocabulary v;
    size_t ends[8], n = 0;
    double logp[MAX_PIECES];
    make(&v, 9, 40, 3, "ab");
    for (size_t i = 0; i < v.n; i++) {
        logp[i] = v.pieces[i].len > 1 ? -INFINITY : v.logp[i];
    }
    pm_lattice_set(v.lattice, logp);
    ck_assert_uint_eq(best(&v, (pm_bytes){(const uint8_t *)"abaabb", 6}, ends), 6);
    for (size_t i = 0; i < v.n; i++) {
        logp[i] = v.pieces[i].len == 1 && v.pieces[i].data[0] == 'b' ? -INFINITY : v.logp[i];
    }
    pm_lattice_set(v.lattice, logp);
    sink s = {ends, 0, 0, 0, &v, (const uint8_t *)"aab"};
    assert_fails(pm_lattice_best(v.lattice, v.scratch, &(pm_bytes){s.text, 3}, 1, take, &s, &err), PM_INVALID_ARGUMENT,
                 "0x62");
    ck_assert_uint_eq(err.offset, 2);
    assert_fails(pm_lattice_sample(v.lattice, v.scratch, (pm_bytes){s.text, 3}, 1.0, 1, take, &s, &err),
                 PM_INVALID_ARGUMENT, "0x62");
    pm_lattice_set(v.lattice, v.logp);
    n = best(&v, (pm_bytes){(const uint8_t *)"abaabb", 6}, ends);
    ck_assert_uint_le(n, 6);
    release(&v);
}
END_TEST

/* ---------------------------------------------------------------- sampling ---- */

static size_t sample(vocabulary *v, pm_bytes text, double alpha, uint64_t key, size_t *ends) {
    pm_error err = {0};
    sink s = {ends, 0, 0, 0, v, text.data};
    assert_ok(pm_lattice_sample(v->lattice, v->scratch, text, alpha, key, take, &s, &err));
    ck_assert_uint_eq(s.at, text.len);
    ck_assert_uint_eq(s.texts, 1);
    return s.n;
}

/* The weight of a segmentation given as bits (bit i: a piece ends behind byte i), 0 if some part is no piece. */
static double weight(const vocabulary *v, pm_bytes text, unsigned bits, double alpha) {
    double sum = 0;
    for (size_t begin = 0, i = 0; i < text.len; i++) {
        if (i + 1 == text.len || (bits >> i & 1)) {
            const oracle_entry *e = oracle_dict_find(&v->dict, (pm_bytes){text.data + begin, i + 1 - begin});
            if (!e) {
                return 0;
            }
            sum += alpha * e->value;
            begin = i + 1;
        }
    }
    return exp(sum);
}

/* Chi-square over all segmentations of a text of up to 10 bytes, rare ones put together. */
static void compare_distribution(vocabulary *v, pm_bytes text, double alpha) {
    static unsigned seen[1 << 9];
    double expected[1 << 9], total = 0, chi = 0, rare = 0, rare_seen = 0;
    unsigned n = 1u << (text.len - 1), cells = 0;
    const unsigned draws = 20000;
    memset(seen, 0, sizeof seen);
    for (unsigned bits = 0; bits < n; bits++) {
        expected[bits] = weight(v, text, bits, alpha);
        total += expected[bits];
    }
    for (unsigned d = 0; d < draws; d++) {
        size_t ends[10];
        unsigned bits = 0;
        for (size_t i = 0, k = sample(v, text, alpha, d * UINT64_C(0x9E3779B97F4A7C15), ends); i + 1 < k; i++) {
            bits |= 1u << (ends[i] - 1);
        }
        seen[bits]++;
    }
    for (unsigned bits = 0; bits < n; bits++) {
        double e = expected[bits] / total * draws;
        ck_assert(e > 0 || seen[bits] == 0);
        if (e < 8) {
            rare += e;
            rare_seen += seen[bits];
        } else {
            chi += (seen[bits] - e) * (seen[bits] - e) / e;
            cells++;
        }
    }
    if (rare >= 8) {
        chi += (rare_seen - rare) * (rare_seen - rare) / rare;
        cells++;
    }
    double degrees = cells - 1;
    ck_assert_msg(chi < degrees + 4 * sqrt(2 * degrees) + 4, "chi-square %.1f with %.0f degrees of freedom, alpha %.2f",
                  chi, degrees, alpha);
}

START_TEST(draws_have_the_exact_distribution) {
    static const double alphas[] = {0, 0.1, 0.5, 1, 3};
    vocabulary v;
    make(&v, 21, 60, 5, "ab");
    for (size_t i = 0; i < sizeof alphas / sizeof *alphas; i++) {
        compare_distribution(&v, (pm_bytes){(const uint8_t *)"abbababaab", 10}, alphas[i]);
        compare_distribution(&v, (pm_bytes){(const uint8_t *)"aaaaaaaa", 8}, alphas[i]);
    }
    release(&v);
}
END_TEST

/* Sums over a long text leave the range of doubles many times over; windows move. */
START_TEST(draws_hold_on_long_text) {
    size_t len = 5 * PM_LATTICE_WINDOW, *a = malloc(len * sizeof *a), *b = malloc(len * sizeof *b);
    uint8_t *text = malloc(len);
    uint64_t state = 3;
    vocabulary v;
    make(&v, 22, 60, 5, "ab");
    random_piece(text, len, "ab", &state);
    for (int gaps = 0; gaps < 2; gaps++) {
        size_t n = sample(&v, (pm_bytes){text, len}, 0.3, 42, a), n_best = best(&v, (pm_bytes){text, len}, b);
        ck_assert_uint_gt(n, n_best); /* drawn ones have more pieces than the best */
        ck_assert_uint_eq(sample(&v, (pm_bytes){text, len}, 0.3, 42, b), n);
        ck_assert_mem_eq(a, b, n * sizeof *a);
        ck_assert(sample(&v, (pm_bytes){text, len}, 0.3, 43, b) != n || memcmp(a, b, n * sizeof *a) != 0);
        n = sample(&v, (pm_bytes){text, len}, 1e6, 42, a); /* as good as the best; ties may fall otherwise */
        double sum_a = 0, sum_b = 0;
        n_best = best(&v, (pm_bytes){text, len}, b);
        for (size_t i = 0; i < n; i++) {
            size_t begin = i ? a[i - 1] : 0;
            sum_a += oracle_dict_find(&v.dict, (pm_bytes){text + begin, a[i] - begin})->value;
        }
        for (size_t i = 0; i < n_best; i++) {
            size_t begin = i ? b[i - 1] : 0;
            sum_b += oracle_dict_find(&v.dict, (pm_bytes){text + begin, b[i] - begin})->value;
        }
        ck_assert(fabs(sum_a - sum_b) < 1e-6 * fabs(sum_b));
        for (size_t i = 0; i < len; i += 700) {
            text[i] = 'x';
        }
    }
    release(&v);
    free(text);
    free(a);
    free(b);
}
END_TEST

/* ---------------------------------------------------------------- n-best and marginals ---- */

/* The segmentations of a text of up to 12 bytes: which places end a piece (bit i: behind byte i), and the score behind
 * each of them. */
typedef struct segmentation {
    unsigned ends;
    double scores[12];
} segmentation;

static size_t all_segmentations(const vocabulary *v, pm_bytes text, segmentation *out) {
    size_t n = 0;
    for (unsigned bits = 0; bits < 1u << (text.len - 1); bits++) {
        segmentation s = {.ends = bits | 1u << (text.len - 1)};
        double sum = 0;
        for (size_t begin = 0, i = 0; i < text.len; i++) {
            if (s.ends >> i & 1) {
                const oracle_entry *e = oracle_dict_find(&v->dict, (pm_bytes){text.data + begin, i + 1 - begin});
                sum += e ? e->value : -INFINITY;
                s.scores[i] = sum;
                begin = i + 1;
            }
        }
        if (sum > -INFINITY) {
            out[n++] = s;
        }
    }
    return n;
}

/* The rule of lattice_nbest.c: the score; then the length of the last piece; then the same for what lies before it. */
static int by_rule(const void *x, const void *y) {
    const segmentation *a = x, *b = y;
    unsigned a_ends = a->ends, b_ends = b->ends;
    while (a_ends != b_ends || a_ends != 0) {
        int a_last = 31 - __builtin_clz(a_ends), b_last = 31 - __builtin_clz(b_ends);
        ck_assert_int_eq(a_last, b_last);
        if (a->scores[a_last] != b->scores[b_last]) {
            return a->scores[a_last] > b->scores[b_last] ? -1 : 1;
        }
        a_ends &= ~(1u << a_last);
        b_ends &= ~(1u << b_last);
        int a_length = a_last - (a_ends ? 31 - __builtin_clz(a_ends) : -1),
            b_length = b_last - (b_ends ? 31 - __builtin_clz(b_ends) : -1);
        if (a_length != b_length) {
            return a_length > b_length ? -1 : 1;
        }
    }
    return 0;
}

typedef struct listed {
    const vocabulary *v;
    const segmentation *wanted;
    size_t n, len;
} listed;

static pm_status compare_listed(void *user, const uint32_t *ids, size_t n, double score, pm_error *err) {
    listed *t = user;
    const segmentation *wanted = &t->wanted[t->n++];
    unsigned ends = 0;
    size_t at = 0;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        at += t->v->pieces[ids[i]].len;
        ends |= 1u << (at - 1);
    }
    ck_assert_uint_eq(ends, wanted->ends);
    ck_assert(score == wanted->scores[t->len - 1]);
    return PM_OK;
}

/* The mass of segmentations with the piece text[begin .. end) in them. */
static double mass(pm_bytes text, const segmentation *all, size_t n, size_t begin, size_t end, double alpha) {
    unsigned inside = (1u << (end - 1)) - 1, before = begin ? (1u << (begin - 1)) - 1 : 0;
    unsigned wanted = 1u << (end - 1) | (begin ? 1u << (begin - 1) : 0);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        bool has = (all[i].ends & wanted) == wanted && (all[i].ends & inside & ~before & ~wanted) == 0;
        sum += has ? exp(alpha * all[i].scores[text.len - 1]) : 0;
    }
    return sum;
}

static void compare_marginals(const vocabulary *v, pm_bytes text, const segmentation *all, size_t n, double alpha) {
    pm_error err = {0};
    pm_marginals m = {0};
    double total = 0;
    size_t seen = 0;
    for (size_t i = 0; i < n; i++) {
        total += exp(alpha * all[i].scores[text.len - 1]);
    }
    assert_ok(pm_lattice_marginals(v->lattice, v->scratch, text, alpha, &m, &err));
    for (size_t i = 0; i < m.n; i++) {
        const pm_marginal *e = &m.items[i];
        ck_assert(i == 0 || m.items[i - 1].end < e->end ||
                  (m.items[i - 1].end == e->end && m.items[i - 1].begin > e->begin));
        pm_bytes piece = v->pieces[e->id];
        ck_assert_uint_eq(piece.len, e->end - e->begin);
        ck_assert_mem_eq(piece.data, text.data + e->begin, piece.len);
        double wanted = mass(text, all, n, e->begin, e->end, alpha) / total;
        ck_assert_msg(fabs(e->probability - wanted) <= 1e-12 * wanted, "%.17g instead of %.17g", e->probability,
                      wanted);
    }
    for (size_t begin = 0; begin < text.len; begin++) { /* none is missing */
        for (size_t end = begin + 1; end <= text.len; end++) {
            seen += mass(text, all, n, begin, end, alpha) > 0;
        }
    }
    ck_assert_uint_eq(m.n, seen);
    free(m.items);
}

static void compare_alternatives(vocabulary *v, pm_bytes text) {
    static segmentation all[1 << 11];
    pm_error err = {0};
    size_t n = all_segmentations(v, text, all);
    qsort(all, n, sizeof *all, by_rule);
    for (size_t most = 1; most <= 2 * n; most *= 3) {
        listed t = {v, all, 0, text.len};
        assert_ok(pm_lattice_nbest(v->lattice, v->scratch, text, most, compare_listed, &t, &err));
        ck_assert_uint_eq(t.n, most < n ? most : n);
    }
    listed every = {v, all, 0, text.len};
    assert_ok(pm_lattice_nbest(v->lattice, v->scratch, text, SIZE_MAX, compare_listed, &every, &err));
    ck_assert_uint_eq(every.n, n);
    compare_marginals(v, text, all, n, 0.3);
    compare_marginals(v, text, all, n, 0);
}

START_TEST(n_best_and_marginals_equal_all_segmentations_sorted) {
    static uint8_t text[12];
    uint64_t state = 31;
    for (uint64_t seed = 0; seed < (quick() ? 8 : 20); seed++) {
        vocabulary v;
        if (seed % 2) {
            make_of_characters(&v, seed / 2, seed * 4, 2 + seed % 4);
        } else {
            make(&v, seed, (size_t)seed * 3, 2 + (size_t)seed % 11, seed % 4 ? "ab" : "a");
        }
        for (size_t len = 1; len <= 12; len++) {
            if (seed % 2) { /* cut off in characters, too */
                uint8_t whole[64];
                random_characters(whole, 16, CHARACTERS, &state);
                memcpy(text, whole + len % 2, len);
            } else {
                random_piece(text, len, seed % 4 ? "ab" : "a", &state);
            }
            compare_alternatives(&v, (pm_bytes){text, len});
        }
        release(&v);
    }
}
END_TEST

static pm_status compare_with_best(void *user, const uint32_t *ids, size_t n, double score, pm_error *err) {
    joined *j = user;
    (void)score;
    ck_assert_uint_eq(j->n, n + 1); /* and PM_LATTICE_END */
    ck_assert_mem_eq(j->ids, ids, n * sizeof *ids);
    j->n = 0;
    return err ? PM_OK : PM_INVALID_ARGUMENT;
}

START_TEST(the_first_of_n_is_the_best_on_long_text) {
    static uint8_t text[3000 * 4];
    static joined one;
    pm_error err = {0};
    uint64_t state = 33;
    for (uint64_t seed = 0; seed < 12; seed++) {
        vocabulary v;
        make_of_characters(&v, seed, 120, 2 + seed % 13);
        pm_bytes all = {text, random_characters(text, 2500, CHARACTERS, &state)};
        one.n = 0;
        assert_ok(pm_lattice_best(v.lattice, v.scratch, &all, 1, join, &one, &err));
        assert_ok(pm_lattice_nbest(v.lattice, v.scratch, all, 1, compare_with_best, &one, &err));
        ck_assert_uint_eq(one.n, 0);
        release(&v);
    }
}
END_TEST

/* The pieces of a drawn segmentation that cover each byte, counted by where they begin and end. */
enum { LONG_TEXT = 240, REACH = 8 };
typedef struct covers {
    unsigned seen[LONG_TEXT][REACH + 1]; /* by where the piece begins, and its length */
} covers;

/* Chi-square for each byte of a text too long to list its segmentations: which piece covers it, against the marginals.
 * Their sum over a byte's pieces is 1. */
START_TEST(draws_agree_with_the_marginals_on_long_text) {
    static covers c;
    static uint8_t text[LONG_TEXT];
    static size_t ends[LONG_TEXT];
    const unsigned draws = quick() ? 1000 : 3000;
    pm_error err = {0};
    pm_marginals m = {0};
    uint64_t state = 35;
    vocabulary v;
    make(&v, 22, 80, REACH, "abc");
    random_piece(text, LONG_TEXT, "abc", &state);
    pm_bytes all = {text, LONG_TEXT};
    assert_ok(pm_lattice_marginals(v.lattice, v.scratch, all, 0.2, &m, &err));
    for (unsigned d = 0; d < draws; d++) {
        for (size_t i = 0, begin = 0, n = sample(&v, all, 0.2, d * UINT64_C(0xD1B54A32D192ED03), ends); i < n;
             begin = ends[i++]) {
            c.seen[begin][ends[i] - begin]++;
        }
    }
    for (size_t at = 0; at < LONG_TEXT; at++) {
        double chi = 0, rare = 0, rare_seen = 0, sum = 0, cells = 0;
        for (size_t i = 0; i < m.n; i++) {
            const pm_marginal *e = &m.items[i];
            if (e->begin <= at && at < e->end) {
                double expected = e->probability * draws, seen = c.seen[e->begin][e->end - e->begin];
                sum += e->probability;
                chi += expected < 8 ? 0 : (seen - expected) * (seen - expected) / expected;
                cells += expected >= 8;
                rare += expected < 8 ? expected : 0;
                rare_seen += expected < 8 ? seen : 0;
            }
        }
        ck_assert(fabs(sum - 1) < 1e-12);
        chi += rare < 8 ? 0 : (rare_seen - rare) * (rare_seen - rare) / rare;
        cells += rare >= 8;
        double degrees = cells - 1; /* one of 240 bytes is this far off with a probability of about 1 % */
        ck_assert_msg(chi < degrees + 5 * sqrt(2 * degrees) + 8,
                      "byte %zu: chi-square %.1f with %.0f degrees of freedom", at, chi, degrees);
    }
    free(m.items);
    release(&v);
}
END_TEST

START_TEST(probabilities_hold_on_long_text) {
    size_t len = 3 * PM_LATTICE_WINDOW;
    uint8_t *text = malloc(len);
    double *sums = calloc(len, sizeof *sums);
    pm_error err = {0};
    pm_marginals m = {0};
    uint64_t state = 36;
    vocabulary v;
    make(&v, 22, 60, 5, "ab");
    random_piece(text, len, "ab", &state);
    assert_ok(pm_lattice_marginals(v.lattice, v.scratch, (pm_bytes){text, len}, 1, &m, &err));
    for (size_t i = 0; i < m.n; i++) {
        for (uint64_t at = m.items[i].begin; at < m.items[i].end; at++) {
            sums[at] += m.items[i].probability;
        }
    }
    for (size_t i = 0; i < len; i++) {
        ck_assert_msg(fabs(sums[i] - 1) < 1e-9, "%.17g", sums[i]);
    }
    free(m.items);
    free(text);
    free(sums);
    release(&v);
}
END_TEST

START_TEST(alpha_has_a_range) {
    pm_error err = {0};
    size_t ends[4];
    vocabulary v;
    make(&v, 9, 4, 3, "ab");
    sink s = {ends, 0, 0, 0, &v, (const uint8_t *)"aab"};
    static const double wrong[] = {-1, 1.1e6, INFINITY, NAN};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_fails(pm_lattice_sample(v.lattice, v.scratch, (pm_bytes){s.text, 3}, wrong[i], 1, take, &s, &err),
                     PM_INVALID_ARGUMENT, "alpha");
    }
    release(&v);
}
END_TEST

Suite *suite_lattice(void);
Suite *suite_lattice(void) {
    Suite *suite = suite_create("lattice");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, best_equals_the_twin_ties_too);
    tcase_add_test(tc, steps_over_characters_equal_the_twin);
    tcase_add_test(tc, steps_over_bytes_equal_the_twin);
    tcase_add_test(tc, many_texts_at_once_are_as_one_by_one);
    tcase_add_test(tc, paths_that_never_meet);
    tcase_add_test(tc, windows_do_not_show);
    tcase_add_test(tc, memory_stays_small_where_pieces_do_not_cross);
    tcase_add_test(tc, pieces_can_vanish_and_come_back);
    tcase_add_test(tc, draws_have_the_exact_distribution);
    tcase_add_test(tc, draws_hold_on_long_text);
    tcase_add_test(tc, n_best_and_marginals_equal_all_segmentations_sorted);
    tcase_add_test(tc, the_first_of_n_is_the_best_on_long_text);
    tcase_add_test(tc, draws_agree_with_the_marginals_on_long_text);
    tcase_add_test(tc, probabilities_hold_on_long_text);
    tcase_add_test(tc, alpha_has_a_range);
    suite_add_tcase(suite, tc);
    return suite;
}
