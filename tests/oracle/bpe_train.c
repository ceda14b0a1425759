/* bpe_train.c - see bpe_train.h. */
#include "bpe_train.h"

#include <stdlib.h>
#include <string.h>

typedef struct word {
    uint32_t *symbols;
    size_t n;
    uint64_t weight;
} word;

typedef struct string {
    uint8_t *data;
    size_t len;
} string;

typedef struct occurrence {
    uint32_t left, right;
    uint64_t weight;
} occurrence;

static void *must(void *p) {
    if (!p) {
        abort();
    }
    return p;
}

static int prints(unsigned b) { return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174; }

/* First the bytes that byte-level vocabularies write as themselves, then the others. */
static unsigned rank_of(unsigned byte) {
    unsigned rank = 0;
    for (unsigned b = 0; b < 256; b++) {
        if (prints(b) == prints(byte) ? b < byte : prints(b)) {
            rank++;
        }
    }
    return rank;
}

static int by_pair(const void *a, const void *b) {
    const occurrence *x = a, *y = b;
    if (x->left != y->left) {
        return x->left < y->left ? -1 : 1;
    }
    return x->right < y->right ? -1 : x->right > y->right;
}

/* ---- what may become a piece ---- */

static bool is_one_of(const uint8_t *text, size_t len, pm_bytes other) { return other.len == len && memcmp(other.data, text, len) == 0; }

static size_t put_character(uint32_t c, uint8_t *out) {
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6) {
        out[i] = (uint8_t)(0x80 | (c & 0x3F));
    }
    out[0] = (uint8_t)((n == 2 ? 0xC0 : n == 3 ? 0xE0 : 0xF0) | c);
    return n;
}

static size_t number_of(const uint8_t *text, size_t len) {
    size_t number = 0;
    for (size_t i = 0; i < len; i++) {
        number = number << 8 | text[i];
    }
    return number;
}

/* Is it a part, not all, of some character? All parts of all characters are written down, a bit each. */
static bool is_part_of_a_character(const uint8_t *text, size_t len) {
    static uint8_t *parts[4];
    for (size_t n = 1; n <= 3 && !parts[3]; n++) {
        parts[n] = must(calloc((size_t)1 << 8 * n >> 3, 1));
    }
    static bool filled;
    for (uint32_t c = 0; c < 0x110000 && !filled; c++) {
        uint8_t bytes[4];
        size_t n = c >= 0xD800 && c < 0xE000 ? 0 : put_character(c, bytes);
        for (size_t from = 0; from < n; from++) {
            for (size_t part = 1; part < n && from + part <= n; part++) {
                size_t number = number_of(bytes + from, part);
                parts[part][number >> 3] |= (uint8_t)(1 << (number & 7));
            }
        }
    }
    filled = true;
    return len <= 3 && len > 0 && (parts[len][number_of(text, len) >> 3] >> (number_of(text, len) & 7) & 1);
}

/* Does it consist of characters? Each is tried as what its first byte says and written again. */
static bool is_characters(const uint8_t *text, size_t len) {
    for (size_t i = 0, n; i < len; i += n) {
        uint8_t bytes[4];
        n = text[i] < 0x80 ? 1 : text[i] < 0xE0 ? 2 : text[i] < 0xF0 ? 3 : 4;
        uint32_t c = n == 1 ? text[i] : text[i] & (n == 2 ? 0x1F : n == 3 ? 0x0F : 0x07);
        for (size_t k = 1; k < n; k++) {
            c = c << 6 | (i + k < len ? text[i + k] & 0x3F : 0);
        }
        if (i + n > len || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000) || put_character(c, bytes) != n || memcmp(bytes, text + i, n) != 0) {
            return false;
        }
    }
    return true;
}

static size_t count_words(const uint8_t *text, size_t len) {
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        n += !strchr(" \t\n\v\f\r", text[i] ? text[i] : 'x') && (i == 0 || strchr(" \t\n\v\f\r", text[i - 1] ? text[i - 1] : 'x'));
    }
    return n;
}

bool slow_bpe_allows(const slow_rules *rules, const uint8_t *text, size_t len) {
    for (size_t i = 0; i < rules->n_specials; i++) {
        if (is_one_of(text, len, rules->specials[i].text)) {
            return false;
        }
    }
    for (size_t i = 0; i < rules->n_excluded; i++) {
        if (is_one_of(text, len, rules->excluded[i])) {
            return false;
        }
    }
    return !(rules->max_length && len > rules->max_length) && !(rules->max_words && count_words(text, len) > rules->max_words) &&
           !(rules->utf8 && !is_characters(text, len) && !is_part_of_a_character(text, len));
}

static bool may_join(const string *a, const string *b, const slow_rules *rules) {
    uint8_t *joined = must(malloc(a->len + b->len));
    memcpy(joined, a->data, a->len);
    memcpy(joined + a->len, b->data, b->len);
    bool may = slow_bpe_allows(rules, joined, a->len + b->len);
    free(joined);
    return may;
}

/* ---- training ---- */

/* All neighbours of all words, sorted: the first of the highest sum is the pair to merge. */
static slow_merge find_best(const word *words, size_t n, occurrence *all, const string *texts, const slow_rules *rules) {
    slow_merge best = {0, 0, 0};
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k + 1 < words[i].n; k++) {
            all[total++] = (occurrence){words[i].symbols[k], words[i].symbols[k + 1], words[i].weight};
        }
    }
    qsort(all, total, sizeof *all, by_pair);
    for (size_t i = 0, end; i < total; i = end) {
        uint64_t count = 0;
        for (end = i; end < total && by_pair(&all[i], &all[end]) == 0; end++) {
            count += all[end].weight;
        }
        if (count > best.count && may_join(&texts[all[i].left], &texts[all[i].right], rules)) {
            best = (slow_merge){all[i].left, all[i].right, count};
        }
    }
    return best;
}

static void apply(word *w, slow_merge m, uint32_t id) {
    size_t out = 0;
    for (size_t k = 0; k < w->n; k++) {
        if (k + 1 < w->n && w->symbols[k] == m.left && w->symbols[k + 1] == m.right) {
            w->symbols[out++] = id;
            k++;
        } else {
            w->symbols[out++] = w->symbols[k];
        }
    }
    w->n = out;
}

static word first_word(pm_bytes text, uint64_t weight) {
    word w = {must(malloc((text.len + 1) * sizeof(uint32_t))), text.len, weight};
    for (size_t k = 0; k < w.n; k++) {
        w.symbols[k] = rank_of(text.data[k]);
    }
    return w;
}

static string join(const string *a, const string *b) {
    string t = {must(malloc(a->len + b->len)), a->len + b->len};
    memcpy(t.data, a->data, a->len);
    memcpy(t.data + a->len, b->data, b->len);
    return t;
}

size_t slow_bpe_go_on(const slow_word *words, size_t n, size_t wanted, uint64_t min_count, const slow_rules *rules, slow_merge *merges,
                      size_t n_first) {
    size_t total = 1, made = 0;
    word *w = must(calloc(n + 1, sizeof *w));
    string *texts = must(calloc(256 + wanted, sizeof *texts));
    for (unsigned b = 0; b < 256; b++) {
        string *t = &texts[rank_of(b)];
        t->data = must(malloc(1));
        t->data[0] = (uint8_t)b;
        t->len = 1;
    }
    for (size_t i = 0; i < n; i++) {
        w[i] = first_word(words[i].text, words[i].weight);
        total += w[i].n;
    }
    occurrence *all = must(malloc(total * sizeof *all));
    for (; made < wanted; made++) {
        slow_merge best = made < n_first ? merges[made] : find_best(w, n, all, texts, rules);
        if (made >= n_first && (best.count < 1 || best.count < min_count)) {
            break;
        }
        texts[256 + made] = join(&texts[best.left], &texts[best.right]);
        for (size_t i = 0; i < n; i++) {
            apply(&w[i], best, (uint32_t)(256 + made));
        }
        merges[made] = best;
    }
    for (size_t i = 0; i < n; i++) {
        free(w[i].symbols);
    }
    for (size_t i = 0; i < 256 + made; i++) {
        free(texts[i].data);
    }
    free(all);
    free(texts);
    free(w);
    return made;
}

size_t slow_bpe_train(const slow_word *words, size_t n, size_t wanted, uint64_t min_count, const pm_special_token *specials,
                      size_t n_specials, slow_merge *merges) {
    slow_rules rules = {.specials = specials, .n_specials = n_specials};
    return slow_bpe_go_on(words, n, wanted, min_count, &rules, merges, 0);
}

size_t slow_bpe_replay(pm_bytes text, const slow_merge *merges, size_t n_merges, uint32_t *symbols) {
    word w = first_word(text, 1);
    for (size_t i = 0; i < n_merges; i++) {
        apply(&w, merges[i], (uint32_t)(256 + i));
    }
    memcpy(symbols, w.symbols, w.n * sizeof *symbols);
    free(w.symbols);
    return w.n;
}
