/* characters.c - see characters.h. Slow and plain on purpose. */
#include "characters.h"

#include <stdlib.h>
#include <string.h>

typedef struct symbols {
    slow_piece items[SLOW_TEXT]; /* n == 0: an end of what may be merged */
    size_t n;
    uint64_t weight;
} symbols;

static void *must(void *p) {
    if (!p) {
        abort();
    }
    return p;
}

/* ---- characters ---- */

/* The bytes of the character at p, 0: there is none. */
static size_t read(const uint8_t *p, size_t left, uint32_t *c) {
    static const struct {
        uint8_t mask, is, bits;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 0x7F, 0}, {0xE0, 0xC0, 0x1F, 0x80}, {0xF0, 0xE0, 0x0F, 0x800}, {0xF8, 0xF0, 0x07, 0x10000}};
    for (size_t n = 1; n <= 4; n++) {
        if ((p[0] & forms[n - 1].mask) != forms[n - 1].is || left < n) {
            continue;
        }
        *c = p[0] & forms[n - 1].bits;
        for (size_t i = 1; i < n; i++) {
            if ((p[i] & 0xC0) != 0x80) {
                return 0;
            }
            *c = *c << 6 | (p[i] & 0x3F);
        }
        return *c >= forms[n - 1].least && *c <= 0x10FFFF && (*c < 0xD800 || *c > 0xDFFF) ? n : 0;
    }
    return 0;
}

static uint32_t marked(uint32_t c) { return c == ' ' ? 0x2581 : c; }

static int compare_text(const slow_piece *a, const slow_piece *b) {
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        if (a->text[i] != b->text[i]) {
            return a->text[i] < b->text[i] ? -1 : 1;
        }
    }
    return a->n < b->n ? -1 : a->n > b->n;
}

static bool same(const slow_piece *a, const slow_piece *b) { return compare_text(a, b) == 0; }

static slow_piece join(const slow_piece *a, const slow_piece *b) {
    slow_piece c = *a;
    for (size_t i = 0; i < b->n && c.n < SLOW_TEXT; i++) {
        c.text[c.n++] = b->text[i];
    }
    c.count = 0;
    return c;
}

static const slow_piece *find(const slow_piece *all, size_t n, const slow_piece *one) {
    for (size_t i = 0; i < n; i++) {
        if (same(&all[i], one)) {
            return &all[i];
        }
    }
    return NULL;
}

/* ---- training ---- */

static int by_count(const void *a, const void *b) {
    const slow_piece *x = a, *y = b;
    return x->count != y->count ? (x->count > y->count ? -1 : 1) : compare_text(x, y);
}

size_t slow_alphabet(const slow_word *words, size_t n, double coverage, slow_piece *alphabet, size_t most) {
    size_t n_all = 0;
    uint64_t sum = 0, taken = 0;
    slow_piece *all = must(calloc(n * SLOW_TEXT + 1, sizeof *all));
    for (size_t i = 0; i < n; i++) {
        for (size_t at = 0, bytes; at < words[i].text.len; at += bytes ? bytes : 1) {
            slow_piece c = {.n = 1};
            bytes = read(words[i].text.data + at, words[i].text.len - at, c.text);
            c.text[0] = marked(c.text[0]);
            if (!bytes || c.text[0] == 0 || c.text[0] == '\n' || !words[i].weight) {
                continue;
            }
            slow_piece *known = (slow_piece *)find(all, n_all, &c);
            if (!known) {
                known = &all[n_all++];
                *known = c;
            }
            known->count += words[i].weight;
            sum += words[i].weight;
        }
    }
    qsort(all, n_all, sizeof *all, by_count);
    size_t kept = 0;
    while (kept < n_all && kept < most && (float)((double)taken / (double)sum) < (float)coverage) {
        taken += all[kept].count;
        alphabet[kept] = all[kept];
        kept++;
    }
    slow_piece blank = {.text = {0x2581}, .n = 1};
    if (!find(alphabet, kept, &blank) && kept < most) {
        alphabet[kept] = find(all, n_all, &blank) ? *find(all, n_all, &blank) : blank;
        kept++;
    }
    free(all);
    return kept;
}

static symbols symbols_of(const slow_word *word, const slow_piece *alphabet, size_t n_alphabet) {
    symbols s = {.weight = word->weight};
    for (size_t at = 0, bytes; at < word->text.len; at += bytes ? bytes : 1) {
        slow_piece c = {.n = 1};
        bytes = read(word->text.data + at, word->text.len - at, c.text);
        c.text[0] = marked(c.text[0]);
        c.n = bytes && find(alphabet, n_alphabet, &c);
        s.items[s.n++] = c;
    }
    return s;
}

typedef struct candidate {
    slow_piece left, right, both;
} candidate;

static bool goes_first(const candidate *a, const candidate *b) {
    if (a->both.count != b->both.count) {
        return a->both.count > b->both.count;
    }
    return a->both.n != b->both.n ? a->both.n < b->both.n : compare_text(&a->both, &b->both) < 0;
}

/* The best pair; count 0: there is none. */
static candidate best_pair(const symbols *words, size_t n, size_t max_length) {
    size_t n_all = 0, cap = 1;
    for (size_t i = 0; i < n; i++) {
        cap += words[i].n;
    }
    candidate *all = must(calloc(cap, sizeof *all)), best = {0};
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k + 1 < words[i].n; k++) {
            const slow_piece *a = &words[i].items[k], *b = a + 1;
            if (!a->n || !b->n || (max_length && a->n + b->n > max_length)) {
                continue;
            }
            size_t at = 0;
            while (at < n_all && !(same(&all[at].left, a) && same(&all[at].right, b))) {
                at++;
            }
            if (at == n_all) {
                all[n_all++] = (candidate){*a, *b, join(a, b)};
            }
            all[at].both.count += words[i].weight;
        }
    }
    for (size_t i = 0; i < n_all; i++) {
        if (goes_first(&all[i], &best)) {
            best = all[i];
        }
    }
    free(all);
    return best;
}

static void merge(symbols *word, const candidate *pair) {
    size_t n = 0;
    for (size_t i = 0; i < word->n; i++) {
        if (i + 1 < word->n && same(&word->items[i], &pair->left) && same(&word->items[i + 1], &pair->right)) {
            word->items[n++] = pair->both;
            i++;
        } else {
            word->items[n++] = word->items[i];
        }
    }
    word->n = n;
}

size_t slow_characters_train(const slow_word *words, size_t n, const slow_piece *alphabet, size_t n_alphabet, size_t wanted, uint64_t min_count,
                             size_t max_length, slow_piece *pieces) {
    symbols *all = must(calloc(n + 1, sizeof *all));
    size_t made = 0;
    for (size_t i = 0; i < n; i++) {
        all[i] = symbols_of(&words[i], alphabet, n_alphabet);
    }
    while (made < wanted) {
        candidate best = best_pair(all, n, max_length);
        if (!best.both.count || best.both.count < min_count) {
            break;
        }
        pieces[made++] = best.both;
        for (size_t i = 0; i < n; i++) {
            merge(&all[i], &best);
        }
    }
    free(all);
    return made;
}

/* ---- encoding ---- */

typedef struct token {
    const uint8_t *text; /* NULL: a byte that is not to be merged */
    size_t len;
    pm_id id;
} token;

static pm_id find_kind(const pm_tokenizer *tok, const uint8_t *text, size_t len, pm_kind kind) {
    for (pm_id id = 0; id < pm_tokenizer_vocab_size(tok); id++) {
        pm_bytes piece = pm_tokenizer_piece(tok, id);
        if (pm_tokenizer_kind(tok, id) == kind && piece.len == len && memcmp(piece.data, text, len) == 0) {
            return id;
        }
    }
    return PM_ID_NONE;
}

/* The text as sentencepiece normalizes it, with blanks for the marks. */
static size_t normalize(bool first, const uint8_t *text, size_t len, uint8_t *out) {
    size_t n = 0;
    if (first && len) {
        out[n++] = ' ';
    }
    for (size_t i = 0; i < len; i++) {
        if (len - i >= 3 && memcmp(text + i, "\xE2\x96\x81", 3) == 0) {
            out[n++] = ' ';
            i += 2;
        } else {
            out[n++] = text[i];
        }
    }
    return n;
}

size_t slow_characters_encode(const pm_tokenizer *tok, bool first, const uint8_t *text, size_t len, pm_id *ids) {
    uint8_t *all = must(malloc(len + 1));
    size_t n = 0;
    len = normalize(first, text, len, all);
    token *tokens = must(calloc(len + 1, sizeof *tokens));
    for (size_t at = 0, bytes; at < len; at += bytes ? bytes : 1) {
        uint32_t c;
        bytes = read(all + at, len - at, &c);
        pm_id id = bytes ? find_kind(tok, all + at, bytes, PM_KIND_PIECE) : PM_ID_NONE;
        if (id != PM_ID_NONE) {
            tokens[n++] = (token){all + at, bytes, id};
        }
        for (size_t i = 0; id == PM_ID_NONE && i < (bytes ? bytes : 1); i++) {
            tokens[n++] = (token){NULL, 1, find_kind(tok, all + at + i, 1, PM_KIND_BYTE)};
        }
    }
    for (;;) {
        pm_id best = PM_ID_NONE;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            pm_id id = tokens[i].text && tokens[i + 1].text ? find_kind(tok, tokens[i].text, tokens[i].len + tokens[i + 1].len, PM_KIND_PIECE) : PM_ID_NONE;
            if (id < best) {
                best = id;
                at = i;
            }
        }
        if (best == PM_ID_NONE) {
            break;
        }
        tokens[at].len += tokens[at + 1].len;
        tokens[at].id = best;
        memmove(tokens + at + 1, tokens + at + 2, (n - at - 2) * sizeof *tokens);
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        ids[i] = tokens[i].id;
    }
    free(tokens);
    free(all);
    return n;
}
