/* test_core.c - the algorithms of general tokenizers against their twins, and what only looks at a distribution or a limit shows. */
#include <math.h>
#include <stdio.h>

#include "../oracle/cores.h"
#include "base/bytes.h"
#include "encode/lattice.h"
#include "support.h"

/* ---------------------------------------------------------------- models ---- */

typedef enum kind { UNIGRAM, FLOATS, WORDPIECE, BPE, SCORED, N_KINDS } kind;

typedef struct fixture {
    pm_model model;
    kind kind;
    pm_core *core;
    pm_core_scratch *scratch;
    pm_core_tokens got, want;
} fixture;

static bool (*const twins[N_KINDS])(const pm_model *, pm_bytes, pm_core_tokens *) = {oracle_unigram, oracle_unigram_in_floats, oracle_wordpiece, oracle_bpe,
                                                                                     oracle_scored_bpe};
static const pm_algorithm algorithms[N_KINDS] = {PM_ALGORITHM_UNIGRAM, PM_ALGORITHM_UNIGRAM, PM_ALGORITHM_WORDPIECE, PM_ALGORITHM_BPE, PM_ALGORITHM_BPE};

enum { MOST = 1024 };

static void begin(fixture *f, kind k) {
    *f = (fixture){.kind = k};
    f->model.algorithm = algorithms[k];
    f->model.general = true;
    f->model.max_word = 100;
    f->model.scores = k == WORDPIECE || k == BPE ? NULL : pm_calloc(MOST, sizeof *f->model.scores);
    f->model.added = pm_calloc(MOST, 1);
    if (k == FLOATS || k == SCORED) {
        f->model.normalizer.items = pm_calloc(1, sizeof *f->model.normalizer.items);
        f->model.normalizer.items[0].type = PM_STEP_SENTENCEPIECE;
        f->model.normalizer.n = 1;
    }
    f->want.items = pm_alloc(40 * ORACLE_CORE_WORD, sizeof *f->want.items);
}

/* Adds a piece; one that is there already is left alone. */
static pm_id add_bytes(fixture *f, pm_kind what, pm_bytes piece, double score, uint8_t flags) {
    pm_error err = {0};
    pm_id id = f->model.vocab_size;
    for (pm_id i = 0; i < id; i++) {
        if (pm_bytes_equal(f->model.pieces[i], piece)) {
            return i;
        }
    }
    ck_assert_uint_lt(id, MOST);
    assert_ok(pm_model_set(&f->model, id, what, piece, 0, false, &err));
    f->model.added[id] = flags;
    if (f->model.scores) {
        f->model.scores[id] = score;
    }
    return id;
}

static pm_id add(fixture *f, const char *piece, double score, uint8_t flags) {
    return add_bytes(f, PM_KIND_PIECE, (pm_bytes){(const uint8_t *)piece, strlen(piece)}, score, flags);
}

static void make(fixture *f) {
    pm_error err = {0};
    assert_ok(pm_core_new(&f->core, &f->model, &err));
    assert_ok(pm_core_scratch_new(&f->scratch, &err));
}

static void release(fixture *f) {
    pm_core_free(f->core);
    pm_core_scratch_free(f->scratch);
    pm_free(f->got.items);
    pm_free(f->want.items);
    pm_model_release(&f->model);
}

static void show(char *text, size_t size, const pm_core_tokens *tokens) {
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < tokens->n && n + 40 < size; i++) {
        n += (size_t)snprintf(text + n, size - n, "%s%u %u-%u", i ? ", " : "", tokens->items[i].id, tokens->items[i].begin, tokens->items[i].end);
    }
}

static void same(fixture *f, pm_bytes word) {
    static char got[8000], want[8000];
    pm_error err = {0};

    f->got.n = f->want.n = 0;
    bool good = twins[f->kind](&f->model, word, &f->want);
    pm_status status = pm_core_encode(f->core, f->scratch, word, &f->got, &err);
    ck_assert_msg(good == (status == PM_OK), "%.*s: %s", (int)word.len, (const char *)word.data, good ? err.message : "no error");
    if (!good) {
        ck_assert_int_eq(status, PM_INVALID_ARGUMENT);
        ck_assert_uint_eq(f->got.n, 0);
        return;
    }
    show(got, sizeof got, &f->got);
    show(want, sizeof want, &f->want);
    ck_assert_msg(f->got.n == f->want.n && (f->got.n == 0 || memcmp(f->got.items, f->want.items, f->got.n * sizeof *f->got.items) == 0),
                  "kind %d, \"%.*s\":\n%s instead of\n%s", (int)f->kind, (int)word.len, (const char *)word.data, got, want);
}

/* The tokens of a word as "id begin-end, ...". */
static const char *tokens_of(fixture *f, const char *word) {
    static char text[8000];
    pm_error err = {0};
    f->got.n = 0;
    assert_ok(pm_core_encode(f->core, f->scratch, (pm_bytes){(const uint8_t *)word, strlen(word)}, &f->got, &err));
    show(text, sizeof text, &f->got);
    return text;
}

/* ---------------------------------------------------------------- random ones ---- */

static const char *const alphabets[][8] = {{"a", "b"},
                                           {"a", "b", "c"},
                                           {"a", "b", "\xC3\xA9"},
                                           {"a", "\xC3\xA9", "\xE4\xB8\xAD"},
                                           {"a", "b", "\xE4\xB8\xAD", "\xF0\x9F\x98\x80"},
                                           {"a", "b", "\xE2\x96\x81"},
                                           {"a", "b", "c", "d", "\xE2\x96\x81", "\xE2\x82\xAC"}};
enum { N_ALPHABETS = sizeof alphabets / sizeof *alphabets };

static size_t random_text(char *out, const char *const *alphabet, size_t characters, uint64_t *state) {
    size_t n = 0, len = 0;
    while (alphabet[n]) {
        n++;
    }
    for (size_t i = 0; i < characters; i++) {
        const char *c = alphabet[random_word(state) % n];
        memcpy(out + len, c, strlen(c));
        len += strlen(c);
    }
    out[len] = '\0';
    return len;
}

static bool chance(uint64_t *state, unsigned percent) { return random_word(state) % 100 < percent; }

/* Scores like those of files, with ties; large ones, whose sums pass 100,000. */
static double random_score(kind k, bool large, uint64_t *state) {
    double score = k == SCORED || chance(state, 40) ? -(double)(random_word(state) % 4) : -(double)(random_word(state) % 1000000) / 1e5;
    return (float)(large ? score * 1000 : score);
}

static void add_byte_tokens(fixture *f, uint64_t *state) {
    bool all = f->kind == FLOATS || f->kind == SCORED || chance(state, 60);
    f->model.byte_fallback = true;
    for (unsigned b = 0; b < 256; b++) {
        char name[PM_BYTE_NAME];
        pm_byte_name(name, (uint8_t)b);
        if (all || chance(state, 98)) {
            add_bytes(f, PM_KIND_BYTE, (pm_bytes){(const uint8_t *)name, strlen(name)}, 0, 0);
        }
    }
}

static void add_pieces(fixture *f, const char *const *alphabet, uint64_t *state) {
    bool large = chance(state, 30), user_defined = f->kind >= FLOATS && chance(state, 30), unused = f->kind == SCORED && chance(state, 30);
    static const unsigned lengths[] = {2, 4, 14};
    unsigned longest = lengths[random_word(state) % 3];
    char piece[200];

    for (size_t i = 0; alphabet[i]; i++) {
        if (chance(state, 80)) {
            add(f, alphabet[i], random_score(f->kind, large, state), unused && chance(state, 20) ? PM_UNUSED : 0);
        }
    }
    for (size_t i = 0, n = 1 + random_word(state) % 30; i < n; i++) {
        const char *prefix = f->kind == WORDPIECE && chance(state, 60) ? (const char *)f->model.prefix.data : "";
        strcpy(piece, prefix ? prefix : "");
        random_text(piece + strlen(piece), alphabet, 1 + random_word(state) % longest, state);
        uint8_t flag = user_defined && chance(state, 15) && (f->kind == FLOATS || f->kind == SCORED) ? PM_ADDED : unused && chance(state, 30) ? PM_UNUSED : 0;
        add(f, piece, random_score(f->kind, large, state), flag);
    }
}

/* BPE: the characters with prefix and suffix, and merges of what is there. */
static void add_merges(fixture *f, const char *const *alphabet, uint64_t *state) {
    pm_model *m = &f->model;
    pm_error err = {0};
    char piece[400];
    pm_id first = m->vocab_size;

    for (size_t i = 0; alphabet[i]; i++) {
        for (int v = 0; v < 4 && chance(state, 90); v++) {
            snprintf(piece, sizeof piece, "%s%s%s", v & 1 && m->prefix.len ? (const char *)m->prefix.data : "", alphabet[i],
                     v & 2 && m->suffix.len ? (const char *)m->suffix.data : "");
            add(f, piece, 0, 0);
        }
    }
    for (size_t i = 0, n = random_word(state) % 40; i < n && m->vocab_size > first; i++) {
        pm_id left = first + (pm_id)(random_word(state) % (m->vocab_size - first)), right = first + (pm_id)(random_word(state) % (m->vocab_size - first));
        pm_bytes a = m->pieces[left], b = m->pieces[right];
        size_t prefix = m->prefix.len && b.len > m->prefix.len && memcmp(b.data, m->prefix.data, m->prefix.len) == 0 ? m->prefix.len : 0;
        if (a.len + b.len < 40) {
            memcpy(piece, a.data, a.len);
            memcpy(piece + a.len, b.data + prefix, b.len - prefix);
            pm_id result = add_bytes(f, PM_KIND_PIECE, (pm_bytes){(const uint8_t *)piece, a.len + b.len - prefix}, 0, 0);
            assert_ok(pm_model_add_merge(m, left, right, result, &err));
        }
    }
    for (size_t i = 0; i + 1 < m->n_merges && chance(state, 30); i++) { /* not in a sensible order */
        size_t j = i + random_word(state) % (m->n_merges - i);
        pm_merge moved = m->merges[i];
        m->merges[i] = m->merges[j];
        m->merges[j] = moved;
    }
}

static void make_random(fixture *f, kind k, const char *const *alphabet, uint64_t *state) {
    static const char prefix[] = "##", suffix[] = "</w>";
    begin(f, k);
    f->model.has_unknown = k != BPE || chance(state, 70);
    if (f->model.has_unknown) {
        f->model.unknown = add_bytes(f, k == UNIGRAM ? PM_KIND_PIECE : PM_KIND_CONTROL, (pm_bytes){(const uint8_t *)"<unk>", 5}, 0, 0);
    }
    f->model.fuse_unknown = chance(state, 50);
    f->model.whole_first = k == BPE && chance(state, 30);
    f->model.max_word = chance(state, 70) ? 100 : 5;
    f->model.prefix = (pm_bytes){(const uint8_t *)prefix, (k == WORDPIECE && chance(state, 80)) || (k == BPE && chance(state, 30)) ? 2 : 0};
    f->model.suffix = (pm_bytes){(const uint8_t *)suffix, k == BPE && chance(state, 30) ? 4 : 0};
    if (k != WORDPIECE && chance(state, 30)) {
        add_byte_tokens(f, state);
    }
    if (k == BPE) {
        add_merges(f, alphabet, state);
    } else {
        add_pieces(f, alphabet, state);
    }
    make(f);
}

static void compare(kind k, uint64_t seed) {
    uint64_t state = seed * 977 + (uint64_t)k;
    const char *const *alphabet = alphabets[random_word(&state) % N_ALPHABETS];
    const char *with_strange[10] = {NULL};
    char word[ORACLE_CORE_WORD];
    fixture f;
    size_t n = 0;

    make_random(&f, k, alphabet, &state);
    for (; alphabet[n]; n++) {
        with_strange[n] = alphabet[n];
    }
    if (chance(&state, 50)) {
        with_strange[n++] = "z";
        with_strange[n++] = chance(&state, 50) ? "\xE2\x82\xAC" : "<unk>";
    }
    for (int i = 0; i < 30; i++) {
        size_t len = random_text(word, with_strange, random_word(&state) % 14, &state);
        same(&f, (pm_bytes){(const uint8_t *)word, len});
    }
    size_t len = random_text(word, with_strange, k == BPE || k == SCORED ? 150 : 400, &state);
    same(&f, (pm_bytes){(const uint8_t *)word, len});
    release(&f);
}

START_TEST(equal_to_twins) {
    for (uint64_t seed = 0; seed < (quick() ? 8 : 120); seed++) {
        compare((kind)_i, seed);
    }
}
END_TEST

/* ---------------------------------------------------------------- by hand ---- */

START_TEST(unigram_by_hand) {
    fixture f;
    begin(&f, UNIGRAM);
    f.model.has_unknown = true;
    add(&f, "<unk>", 0, 0);
    add(&f, "a", -1, 0);
    add(&f, "ab", -1.5, 0);
    add_bytes(&f, PM_KIND_SPECIAL, (pm_bytes){(const uint8_t *)"<s>", 3}, 5, PM_ADDED);
    add_bytes(&f, PM_KIND_PIECE, (pm_bytes){(const uint8_t *)"aba", 3}, 5, PM_ADDED_ALONE);
    make(&f);
    ck_assert_str_eq(tokens_of(&f, "ab\xC3\xA9"), "2 0-2, 0 2-4");
    ck_assert_str_eq(tokens_of(&f, "x\xC3\xA9<unk>za"), "0 0-9, 1 9-10");     /* one stretch */
    ck_assert_str_eq(tokens_of(&f, "<s>aba"), "0 0-3, 2 3-5, 1 5-6");          /* a special token is no text, nor what only added_tokens has */
    ck_assert_str_eq(tokens_of(&f, "a\xFF\x80""a"), "1 0-1, 0 1-3, 1 3-4");    /* bytes outside UTF-8 */
    release(&f);
}
END_TEST

START_TEST(without_an_unknown_token) {
    pm_error err = {0};
    for (kind k = 0; k < N_KINDS; k++) {
        fixture f;
        begin(&f, k);
        add(&f, "a", -1, 0);
        for (int named = 0; named < 2; named++) {
            f.model.has_unknown = named;
            f.model.unknown = PM_ID_NONE;
            make(&f);
            f.got.n = 0;
            if (k == BPE && !named) {
                ck_assert_str_eq(tokens_of(&f, "axa"), "0 0-1, 0 1-2"); /* left out, and offsets move: as tokenizers */
            } else {
                assert_fails(pm_core_encode(f.core, f.scratch, (pm_bytes){(const uint8_t *)"axa", 3}, &f.got, &err), PM_INVALID_ARGUMENT,
                             named ? "neither is its unknown token" : "has no unknown token");
                ck_assert_uint_eq(err.offset, k == WORDPIECE ? 0 : 1);
                ck_assert_uint_eq(f.got.n, 0);
            }
            pm_core_free(f.core);
            pm_core_scratch_free(f.scratch);
            f.core = NULL;
            f.scratch = NULL;
        }
        release(&f);
    }
}
END_TEST

START_TEST(words) {
    fixture f;
    begin(&f, WORDPIECE);
    f.model.algorithm = PM_ALGORITHM_WORDLEVEL;
    f.model.has_unknown = true;
    f.model.unknown = 1;
    add(&f, "the", 0, 0);
    add(&f, "[UNK]", 0, 0);
    make(&f);
    ck_assert_str_eq(tokens_of(&f, "the"), "0 0-3");
    ck_assert_str_eq(tokens_of(&f, "then"), "1 0-4");
    ck_assert_str_eq(tokens_of(&f, ""), "");
    release(&f);

    begin(&f, FLOATS); /* sentencepiece's: a text is cut before U+2581 */
    f.model.algorithm = PM_ALGORITHM_WORDLEVEL;
    f.model.has_unknown = true;
    f.model.unknown = add_bytes(&f, PM_KIND_CONTROL, (pm_bytes){(const uint8_t *)"<unk>", 5}, 0, 0);
    add(&f, "\xE2\x96\x81the", 0, 0);
    add(&f, "\xE2\x96\x81", 0, 0);
    make(&f);
    ck_assert_str_eq(tokens_of(&f, "\xE2\x96\x81the\xE2\x96\x81\xE2\x96\x81the"), "1 0-6, 2 6-9, 1 9-15");
    ck_assert_str_eq(tokens_of(&f, "x\xE2\x96\x81y\xE2\x96\x81the\xE2\x96\x81z"), "0 0-5, 1 5-11, 0 11-15");
    release(&f);
}
END_TEST

START_TEST(unused_halves) {
    fixture f;
    begin(&f, SCORED);
    f.model.has_unknown = true;
    f.model.unknown = add_bytes(&f, PM_KIND_CONTROL, (pm_bytes){(const uint8_t *)"<unk>", 5}, 0, 0);
    add(&f, "a", -9, 0);
    add(&f, "b", -9, 0);
    add(&f, "c", -9, 0);
    add(&f, "ab", -1, PM_UNUSED);
    add(&f, "abc", -2, 0);
    add(&f, "d", -9, PM_UNUSED);
    add(&f, "cd", 0, PM_ADDED);
    make(&f);
    ck_assert_str_eq(tokens_of(&f, "abc"), "5 0-3");
    ck_assert_str_eq(tokens_of(&f, "abdb"), "1 0-1, 2 1-2, 0 2-3, 2 3-4");
    ck_assert_str_eq(tokens_of(&f, "abcd"), "1 0-1, 2 1-2, 7 2-4");
    release(&f);
}
END_TEST

/* ---------------------------------------------------------------- drawn ---- */

typedef struct listed {
    uint64_t paths[64];
    double scores[64];
    size_t n;
} listed;

/* A path by its ends. */
static uint64_t path_of(const pm_core_token *tokens, size_t n) {
    uint64_t ends = 0;
    for (size_t i = 0; i < n; i++) {
        ends |= UINT64_C(1) << tokens[i].end;
    }
    return ends;
}

static pm_status list(void *user, const pm_core_token *tokens, size_t n, double score, pm_error *err) {
    listed *l = user;
    (void)err;
    l->paths[l->n] = path_of(tokens, n);
    l->scores[l->n++] = score;
    return PM_OK;
}

/* Segmentations of "abcz": the list has each once, best first; draws come as often as their scores say, and never with a known character as unknown. */
START_TEST(unigram_lists_and_draws) {
    enum { DRAWS = 20000 };
    for (kind k = UNIGRAM; k <= FLOATS; k++) {
        fixture f;
        pm_error err = {0};
        listed l = {.n = 0};
        size_t seen[64] = {0};
        double sum = 0, alpha = 0.7;
        pm_bytes word = {(const uint8_t *)"\xC3\xA9" "bcz", 5};

        begin(&f, k);
        f.model.has_unknown = true;
        f.model.unknown = add_bytes(&f, PM_KIND_CONTROL, (pm_bytes){(const uint8_t *)"<unk>", 5}, 0, 0);
        add(&f, "\xC3\xA9", -1, 0);
        add(&f, "b", -2, 0);
        add(&f, "c", -2.5, 0);
        add(&f, "\xC3\xA9" "b", -2.75, 0);
        add(&f, "bc", -3, 0);
        add(&f, "\xC3\xA9" "bc", -4.5, 0);
        make(&f);
        assert_ok(pm_core_nbest(f.core, f.scratch, word, 50, list, &l, &err));
        ck_assert_uint_eq(l.n, 4);
        for (size_t i = 0; i < l.n; i++) {
            ck_assert(i == 0 || l.scores[i] <= l.scores[i - 1]);
            sum += exp(alpha * l.scores[i]);
        }
        assert_ok(pm_core_encode(f.core, f.scratch, word, &f.got, &err));
        ck_assert_uint_eq(path_of(f.got.items, f.got.n), l.paths[0]);
        for (uint64_t key = 0; key < DRAWS; key++) {
            size_t i = 0;
            f.got.n = 0;
            assert_ok(pm_core_sample(f.core, f.scratch, word, alpha, key, &f.got, &err));
            for (uint64_t path = path_of(f.got.items, f.got.n); l.paths[i] != path; i++) {
                ck_assert_uint_lt(i + 1, l.n);
            }
            seen[i]++;
        }
        for (size_t i = 0; i < l.n; i++) {
            double p = exp(alpha * l.scores[i]) / sum, off = (double)seen[i] - DRAWS * p;
            ck_assert_msg(fabs(off) < 4.5 * sqrt(DRAWS * p * (1 - p)), "segmentation %zu: %zu of %d draws, probability %g", i, seen[i], DRAWS, p);
        }
        assert_fails(pm_core_sample(f.core, f.scratch, word, -1, 0, &f.got, &err), PM_INVALID_ARGUMENT, "alpha");
        release(&f);
    }
}
END_TEST

/* "abc" with merges ab, bc, abc from ab + c: what dropout leaves, with probabilities that the definition gives. */
START_TEST(dropout) {
    enum { DRAWS = 20000 };
    for (kind k = BPE; k <= SCORED; k++) {
        fixture f;
        pm_error err = {0};
        size_t seen[16] = {0};
        double p = 0.3, q = 1 - p;
        pm_bytes word = {(const uint8_t *)"abc", 3};

        begin(&f, k);
        f.model.has_unknown = true;
        f.model.unknown = add_bytes(&f, PM_KIND_CONTROL, (pm_bytes){(const uint8_t *)"<unk>", 5}, 0, 0);
        pm_id a = add(&f, "a", -9, 0), b = add(&f, "b", -9, 0), c = add(&f, "c", -9, 0), ab = add(&f, "ab", -1, 0), bc = add(&f, "bc", -2, 0);
        assert_ok(pm_model_add_merge(&f.model, a, b, ab, &err));
        assert_ok(pm_model_add_merge(&f.model, b, c, bc, &err));
        make(&f);
        for (uint64_t key = 0; key < DRAWS; key++) {
            f.got.n = 0;
            assert_ok(pm_core_sample(f.core, f.scratch, word, p, key, &f.got, &err));
            seen[path_of(f.got.items, f.got.n)]++;
        }
        double want[3] = {q, p * q, p * p}; /* ab c, a bc, a b c */
        size_t got[3] = {seen[12], seen[10], seen[14]};
        for (int i = 0; i < 3; i++) {
            double off = (double)got[i] - DRAWS * want[i];
            ck_assert_msg(fabs(off) < 4.5 * sqrt(DRAWS * want[i] * (1 - want[i])), "kind %d: %zu of %d draws, probability %g", (int)k, got[i], DRAWS, want[i]);
        }
        f.got.n = 0;
        assert_ok(pm_core_sample(f.core, f.scratch, word, 0, 1, &f.got, &err));
        ck_assert_uint_eq(path_of(f.got.items, f.got.n), 12);
        f.got.n = 0;
        assert_ok(pm_core_sample(f.core, f.scratch, word, 1, 1, &f.got, &err));
        ck_assert_uint_eq(path_of(f.got.items, f.got.n), 14);
        assert_fails(pm_core_sample(f.core, f.scratch, word, 1.5, 1, &f.got, &err), PM_INVALID_ARGUMENT, "alpha");
        assert_fails(pm_core_nbest(f.core, f.scratch, word, 3, list, NULL, &err), PM_UNSUPPORTED, "Unigram");
        release(&f);
    }
}
END_TEST

/* ---------------------------------------------------------------- limits ---- */

START_TEST(refused) {
    fixture f;
    pm_error err = {0};

    begin(&f, UNIGRAM);
    add(&f, "a", NAN, 0);
    assert_fails(pm_core_new(&f.core, &f.model, &err), PM_BAD_FORMAT, "score of piece 0 is no number");
    f.model.scores[0] = 11;
    assert_fails(pm_core_new(&f.core, &f.model, &err), PM_UNSUPPORTED, "above 10");
    f.model.scores[0] = 10;
    add(&f, "b\xFF", 12, 0);
    assert_fails(pm_core_new(&f.core, &f.model, &err), PM_UNSUPPORTED, "piece 1 of a Unigram model is not UTF-8");
    f.model.has_unknown = true;
    f.model.unknown = 7;
    assert_fails(pm_core_new(&f.core, &f.model, &err), PM_BAD_FORMAT, "unknown token's id 7");
    release(&f);

    begin(&f, BPE);
    add(&f, "a", 0, 0);
    assert_ok(pm_model_add_merge(&f.model, 0, 5, 0, &err));
    assert_fails(pm_core_new(&f.core, &f.model, &err), PM_BAD_FORMAT, "merge 0");
    release(&f);

    begin(&f, SCORED);
    add(&f, "a", NAN, 0);
    assert_fails(pm_core_new(&f.core, &f.model, &err), PM_BAD_FORMAT, "score of piece 0");
    f.model.scores[0] = 0;
    assert_ok(pm_model_set(&f.model, 1, PM_KIND_PIECE, (pm_bytes){(const uint8_t *)"a", 1}, 0, false, &err));
    assert_fails(pm_core_new(&f.core, &f.model, &err), PM_BAD_FORMAT, "are equal");
    release(&f);

    begin(&f, UNIGRAM);
    f.model.algorithm = PM_ALGORITHM_BYTEPIECE;
    assert_fails(pm_core_new(&f.core, &f.model, &err), PM_INVALID_ARGUMENT, "none of words");
    release(&f);
}
END_TEST

/* A long word of each kind, of one character and of a text that is cut: nothing grows as its square, and what was needed is given back. */
START_TEST(long_words) {
    enum { LEN = 1 << 20 };
    pm_buf text = {0};
    pm_error err = {0};
    uint64_t state = 5;
    size_t n = quick() ? LEN / 16 : LEN;

    assert_ok(pm_buf_reserve(&text, n, &err));
    for (kind k = 0; k < N_KINDS; k++) {
        fixture f;
        begin(&f, k);
        f.model.has_unknown = true;
        f.model.unknown = add_bytes(&f, PM_KIND_CONTROL, (pm_bytes){(const uint8_t *)"<unk>", 5}, 0, 0);
        f.model.max_word = UINT32_MAX;
        pm_id a = add(&f, "a", -1, 0), aa = add(&f, "aa", -1.5, 0);
        add(&f, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", -2, 0);
        assert_ok(pm_model_add_merge(&f.model, a, a, aa, &err));
        make(&f);
        for (int round = 0; round < 2; round++) {
            for (size_t i = 0; i < n; i++) {
                text.data[i] = round && random_word(&state) % 3 == 0 ? 'b' : 'a';
            }
            f.got.n = 0;
            assert_ok(pm_core_encode(f.core, f.scratch, (pm_bytes){text.data, n}, &f.got, &err));
            ck_assert_uint_gt(f.got.n, 0);
            ck_assert_uint_eq(f.got.items[f.got.n - 1].end, n);
            pm_core_scratch_trim(f.scratch);
        }
        release(&f);
    }
    pm_buf_release(&text);
}
END_TEST

Suite *suite_core(void);
Suite *suite_core(void) {
    Suite *suite = suite_create("core");
    TCase *t = tcase_create("core");
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, equal_to_twins, 0, N_KINDS);
    tcase_add_test(t, unigram_by_hand);
    tcase_add_test(t, without_an_unknown_token);
    tcase_add_test(t, words);
    tcase_add_test(t, unused_halves);
    tcase_add_test(t, unigram_lists_and_draws);
    tcase_add_test(t, dropout);
    tcase_add_test(t, refused);
    tcase_add_test(t, long_words);
    suite_add_tcase(suite, t);
    return suite;
}
