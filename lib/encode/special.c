/* special.c - see special.h.
 *
 * The tokens' texts are a trie. A scan looks for a byte that begins some token (memchr when all begin with the same one, as "<|...|>" do; else
 * a table of 256), and walks the trie from there. Children of a node lie side by side in order of their bytes, so a step is a
 * binary search among a handful. A walk ends at the first byte that continues no token, which in ordinary text is the second or third.
 *
 *     tokens  <|end|>  <|endoftext|>        "<|endof" walks 7 nodes, passes no end of a token, and the scan goes on behind '<'
 *
 * The nodes are made level by level from the sorted texts: a node stands for the texts lo..hi that share its prefix, and its
 * children for the runs among them that share one byte more. */
#include "encode/special.h"

#include "base/bytes.h"

typedef struct node {
    uint32_t lo, hi;          /* texts below it, in sorted order */
    uint32_t depth;           /* length of its prefix */
    uint32_t child, children; /* the first, and how many */
    uint32_t token;           /* index of the token that ends here, or PM_ID_NONE */
    uint8_t byte;             /* last of its prefix */
} node;

struct pm_specials {
    const pm_special_token *tokens;
    node *nodes;
    size_t n_nodes;
    int only_first; /* the byte that all begin with, or -1 */
    bool first[256];
};

typedef struct sorted {
    pm_bytes text;
    uint32_t index;
} sorted;

static int by_text(const void *x, const void *y) {
    return pm_bytes_compare(((const sorted *)x)->text, ((const sorted *)y)->text);
}

/* Gives nodes[i] its token and appends its children. */
static void open_node(pm_specials *s, size_t i, const sorted *texts) {
    node *parent = &s->nodes[i];
    uint32_t at = parent->lo;

    if (at < parent->hi && texts[at].text.len == parent->depth) {
        parent->token = texts[at++].index; /* the shortest sorts first */
    }
    parent->child = (uint32_t)s->n_nodes;
    while (at < parent->hi) {
        uint32_t lo = at;
        uint8_t byte = texts[lo].text.data[parent->depth];
        while (at < parent->hi && texts[at].text.data[parent->depth] == byte) {
            at++;
        }
        s->nodes[s->n_nodes++] = (node){.lo = lo, .hi = at, .depth = parent->depth + 1, .token = PM_ID_NONE, .byte = byte};
    }
    parent->children = (uint32_t)s->n_nodes - parent->child;
}

static pm_status build(pm_specials *s, size_t n, pm_error *err) {
    size_t most = 1; /* nodes */
    sorted *texts = pm_alloc(n, sizeof *texts);

    for (size_t i = 0; i < n; i++) {
        most += s->tokens[i].text.len;
    }
    if (most >= UINT32_MAX) {
        pm_free(texts);
        return pm_fail(err, PM_LIMIT, "the special tokens are longer than 4 GiB");
    }
    s->nodes = pm_alloc(most, sizeof *s->nodes);
    if (!texts || !s->nodes) {
        pm_free(texts);
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < n; i++) {
        texts[i] = (sorted){s->tokens[i].text, (uint32_t)i};
    }
    qsort(texts, n, sizeof *texts, by_text);
    s->nodes[0] = (node){.hi = (uint32_t)n, .token = PM_ID_NONE};
    s->n_nodes = 1;
    for (size_t i = 0; i < s->n_nodes; i++) {
        open_node(s, i, texts);
    }
    for (uint32_t i = 0; i < s->nodes[0].children; i++) {
        s->first[s->nodes[1 + i].byte] = true;
    }
    s->only_first = s->nodes[0].children == 1 ? s->nodes[1].byte : -1;
    pm_free(texts);
    return PM_OK;
}

pm_status pm_specials_new(pm_specials **out, const pm_special_token *tokens, size_t n, pm_error *err) {
    *out = NULL;
    pm_specials *s = pm_calloc(1, sizeof *s);
    if (!s) {
        return pm_fail_memory(err);
    }
    s->tokens = tokens;
    pm_status status = build(s, n, err);
    if (status != PM_OK) {
        pm_specials_free(s);
        return status;
    }
    *out = s;
    return PM_OK;
}

void pm_specials_free(pm_specials *s) {
    if (s) {
        pm_free(s->nodes);
        pm_free(s);
    }
}

/* ---------------------------------------------------------------- finding ---- */

static const node *step(const pm_specials *s, const node *from, uint8_t byte) {
    const node *children = &s->nodes[from->child];
    size_t lo = 0, hi = from->children;
    while (lo < hi) {
        size_t middle = (lo + hi) / 2;
        if (children[middle].byte < byte) {
            lo = middle + 1;
        } else {
            hi = middle;
        }
    }
    return lo < from->children && children[lo].byte == byte ? &children[lo] : NULL;
}

/* Walks from text[0]; true when a token with a bit begins there. */
static bool walk(const pm_specials *s, pm_special_rules rules, const uint8_t *text, size_t len, pm_special_hit *hit) {
    uint8_t seen = 0;
    const node *at = &s->nodes[0];

    hit->match = hit->refuse = hit->notice = PM_ID_NONE;
    for (size_t i = 0; i < len && (at = step(s, at, text[i])) != NULL; i++) {
        if (at->token == PM_ID_NONE) {
            continue;
        }
        uint8_t bits = rules.each ? rules.each[at->token] : rules.all;
        hit->match = bits & PM_SPECIAL_MATCH ? at->token : hit->match;
        hit->refuse = bits & PM_SPECIAL_REFUSE ? at->token : hit->refuse;
        hit->notice = bits & PM_SPECIAL_NOTICE ? at->token : hit->notice;
        seen |= bits;
    }
    return seen != 0;
}

static size_t next_first(const pm_specials *s, const uint8_t *text, size_t len, size_t from) {
    if (s->only_first >= 0) {
        const uint8_t *found = from < len ? memchr(text + from, s->only_first, len - from) : NULL;
        return found ? (size_t)(found - text) : len;
    }
    while (from < len && !s->first[text[from]]) {
        from++;
    }
    return from;
}

bool pm_specials_next(const pm_specials *s, pm_special_rules rules, const uint8_t *text, size_t len, size_t from,
                      pm_special_hit *hit) {
    if (s->n_nodes == 1) {
        return false;
    }
    while ((from = next_first(s, text, len, from)) < len) {
        if (walk(s, rules, text + from, len - from, hit)) {
            hit->at = from;
            return true;
        }
        from++;
    }
    return false;
}
