/* bpe_train.c - see bpe_train.h. */
#include "bpe_train.h"

#include <stdlib.h>
#include <string.h>

typedef struct word {
    uint32_t *symbols;
    size_t n;
    uint64_t weight;
} word;

typedef struct text {
    uint8_t *data;
    size_t len;
} text;

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

static int is_special(const text *texts, uint32_t left, uint32_t right, const pm_special_token *specials, size_t n) {
    for (size_t i = 0; i < n; i++) {
        pm_bytes s = specials[i].text;
        const text *a = &texts[left], *b = &texts[right];
        if (s.len == a->len + b->len && !memcmp(s.data, a->data, a->len) && !memcmp(s.data + a->len, b->data, b->len)) {
            return 1;
        }
    }
    return 0;
}

/* All neighbours of all words, sorted: the first of the highest sum is the pair to merge. */
static slow_merge find_best(const word *words, size_t n, occurrence *all, const text *texts, const pm_special_token *specials, size_t n_specials) {
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
        if (count > best.count && !is_special(texts, all[i].left, all[i].right, specials, n_specials)) {
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

size_t slow_bpe_train(const slow_word *words, size_t n, size_t wanted, uint64_t min_count, const pm_special_token *specials,
                      size_t n_specials, slow_merge *merges) {
    size_t total = 1, made = 0;
    word *w = must(calloc(n + 1, sizeof *w));
    text *texts = must(calloc(256 + wanted, sizeof *texts));
    for (unsigned b = 0; b < 256; b++) {
        text *t = &texts[rank_of(b)];
        t->data = must(malloc(1));
        t->data[0] = (uint8_t)b;
        t->len = 1;
    }
    for (size_t i = 0; i < n; i++) {
        w[i] = (word){must(malloc((words[i].text.len + 1) * sizeof(uint32_t))), words[i].text.len, words[i].weight};
        for (size_t k = 0; k < w[i].n; k++) {
            w[i].symbols[k] = rank_of(words[i].text.data[k]);
        }
        total += w[i].n;
    }
    occurrence *all = must(malloc(total * sizeof *all));
    for (; made < wanted; made++) {
        slow_merge best = find_best(w, n, all, texts, specials, n_specials);
        if (best.count < 1 || best.count < min_count) {
            break;
        }
        const text *a = &texts[best.left], *b = &texts[best.right];
        text *t = &texts[256 + made];
        t->len = a->len + b->len;
        t->data = must(malloc(t->len));
        memcpy(t->data, a->data, a->len);
        memcpy(t->data + a->len, b->data, b->len);
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
