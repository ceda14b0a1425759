/* cores.c - see cores.h. */
#include "cores.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "text/utf8.h"

static size_t character(pm_bytes word, size_t at) {
    unsigned len;
    pm_utf8_read(word.data + at, word.data + word.len, &len);
    return len;
}

static uint8_t flags(const pm_model *m, pm_id id) { return m->added ? m->added[id] : 0; }

static bool in_text(const pm_model *m, pm_id id) { return m->kinds[id] == PM_KIND_PIECE && !(flags(m, id) & PM_ADDED_ALONE); }

/* Of equal pieces the last. */
static pm_id find(const pm_model *m, const uint8_t *text, size_t len) {
    for (pm_id id = m->vocab_size; id-- > 0;) {
        if (in_text(m, id) && pm_bytes_equal(m->pieces[id], (pm_bytes){text, len})) {
            return id;
        }
    }
    return PM_ID_NONE;
}

static void add(pm_core_tokens *out, pm_id id, size_t begin, size_t end) { out->items[out->n++] = (pm_core_token){id, (uint32_t)begin, (uint32_t)end}; }

static pm_id byte_token(const pm_model *m, uint8_t byte) {
    char name[PM_BYTE_NAME];
    pm_byte_name(name, byte);
    for (pm_id id = m->vocab_size; m->byte_fallback && id-- > 0;) {
        if ((m->kinds[id] == PM_KIND_PIECE || m->kinds[id] == PM_KIND_BYTE) && pm_bytes_equal(m->pieces[id], (pm_bytes){(const uint8_t *)name, PM_BYTE_NAME - 2})) {
            return id;
        }
    }
    return PM_ID_NONE;
}

static bool all_bytes(const pm_model *m, const uint8_t *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (byte_token(m, text[i]) == PM_ID_NONE) {
            return false;
        }
    }
    return true;
}

/* ---------------------------------------------------------------- Unigram ---- */

typedef struct node {
    double score;
    size_t from;
    pm_id id; /* PM_ID_NONE: an unknown character */
    bool set;
} node;

static void offer(node *to, double score, size_t from, pm_id id) {
    if (!to->set || score > to->score) {
        *to = (node){score, from, id, true};
    }
}

/* Fills nodes[0 .. word.len] and puts the path's ends into ends; returns how many. */
static size_t viterbi(const pm_model *m, bool floats, double unknown, pm_bytes word, node *nodes, size_t *ends) {
    size_t n = 0;

    memset(nodes, 0, (word.len + 1) * sizeof *nodes);
    for (size_t at = 0; at < word.len; at += character(word, at)) {
        if (floats && (nodes[at].score < -100000 || nodes[at].score > 100000)) {
            float offset = (float)nodes[at].score;
            for (size_t i = at; i <= word.len; i++) {
                nodes[i].score = i == at || nodes[i].set ? (float)nodes[i].score - offset : 0;
            }
        }
        bool single = false;
        for (size_t len = 1; at + len <= word.len; len++) {
            pm_id id = find(m, word.data + at, len);
            if (id == PM_ID_NONE || (floats && flags(m, id) & PM_UNUSED)) {
                continue;
            }
            double score = floats && flags(m, id) & PM_ADDED ? (float)(0.1 * (double)(len - 1)) : m->scores[id];
            score += nodes[at].score;
            offer(&nodes[at + len], floats ? (float)score : score, at, id);
            single = single || len == character(word, at);
        }
        if (!single) {
            double score = unknown + nodes[at].score;
            offer(&nodes[at + character(word, at)], floats ? (float)score : score, at, PM_ID_NONE);
        }
    }
    for (size_t at = word.len; at > 0; at = nodes[at].from) {
        ends[n++] = at;
    }
    return n;
}

static bool add_stretch(const pm_model *m, pm_bytes word, size_t begin, size_t end, pm_core_tokens *out) {
    pm_id id = find(m, word.data + begin, end - begin);
    if (id == PM_ID_NONE && m->byte_fallback && all_bytes(m, word.data + begin, end - begin)) {
        for (size_t i = begin; i < end; i++) {
            add(out, byte_token(m, word.data[i]), begin, end);
        }
        return true;
    }
    add(out, id == PM_ID_NONE ? m->unknown : id, begin, end);
    return id != PM_ID_NONE || m->has_unknown;
}

bool oracle_unigram(const pm_model *m, pm_bytes word, pm_core_tokens *out) {
    static node nodes[ORACLE_CORE_WORD + 1];
    static size_t ends[ORACLE_CORE_WORD];
    double lowest = INFINITY;

    for (pm_id id = 0; id < m->vocab_size; id++) {
        lowest = !(flags(m, id) & PM_ADDED_ALONE) && m->scores[id] < lowest ? m->scores[id] : lowest;
    }
    size_t n = viterbi(m, false, lowest - 10, word, nodes, ends), begin = 0;
    bool good = true;
    while (n > 0) {
        size_t end = ends[--n];
        bool unknown = nodes[end].id == PM_ID_NONE || (m->has_unknown && nodes[end].id == m->unknown);
        while (unknown && n > 0 && (nodes[ends[n - 1]].id == PM_ID_NONE || nodes[ends[n - 1]].id == m->unknown)) {
            end = ends[--n];
        }
        good = add_stretch(m, word, begin, end, out) && good;
        begin = end;
    }
    return good;
}

static bool add_unknown(const pm_model *m, pm_bytes word, size_t begin, size_t end, bool *was_unknown, pm_core_tokens *out) {
    if (m->byte_fallback && all_bytes(m, word.data + begin, end - begin)) {
        for (size_t i = begin; i < end; i++) {
            add(out, byte_token(m, word.data[i]), begin, i + 1 < end ? begin : end);
        }
    } else if (*was_unknown) {
        out->items[out->n - 1].end = (uint32_t)end;
    } else {
        add(out, m->unknown, begin, end);
        *was_unknown = true;
    }
    return m->has_unknown || m->byte_fallback;
}

bool oracle_unigram_in_floats(const pm_model *m, pm_bytes word, pm_core_tokens *out) {
    static node nodes[ORACLE_CORE_WORD + 1];
    static size_t ends[ORACLE_CORE_WORD];
    float lowest = FLT_MAX;
    bool good = true, was_unknown = false;

    for (pm_id id = 0; id < m->vocab_size; id++) {
        bool normal = in_text(m, id) && !(flags(m, id) & (PM_ADDED | PM_UNUSED));
        lowest = normal && (float)m->scores[id] < lowest ? (float)m->scores[id] : lowest;
    }
    for (size_t n = viterbi(m, true, lowest - 10.0f, word, nodes, ends); n > 0; n--) {
        const node *at = &nodes[ends[n - 1]];
        if (at->id == PM_ID_NONE) {
            good = add_unknown(m, word, at->from, ends[n - 1], &was_unknown, out) && good;
        } else {
            add(out, at->id, at->from, ends[n - 1]);
            was_unknown = false;
        }
    }
    return good;
}

/* ---------------------------------------------------------------- WordPiece ---- */

bool oracle_wordpiece(const pm_model *m, pm_bytes word, pm_core_tokens *out) {
    uint8_t text[2 * ORACLE_CORE_WORD];
    size_t n = 0, first = out->n;

    for (size_t at = 0; at < word.len; at += character(word, at)) {
        n++;
    }
    for (size_t begin = 0, end; n <= m->max_word; begin = end) {
        size_t prefix = begin > 0 ? m->prefix.len : 0;
        pm_id id = PM_ID_NONE;
        if (begin == word.len) {
            return true;
        }
        for (end = word.len; end > begin; end--) {
            memcpy(text, m->prefix.data, prefix);
            memcpy(text + prefix, word.data + begin, end - begin);
            if ((id = find(m, text, prefix + end - begin)) != PM_ID_NONE) {
                break;
            }
        }
        if (id == PM_ID_NONE) {
            break;
        }
        add(out, id, begin, end);
    }
    out->n = first;
    add(out, m->unknown, 0, word.len);
    return m->has_unknown;
}

/* ---------------------------------------------------------------- BPE ---- */

typedef struct symbol {
    pm_id id;
    size_t begin, end;
    bool whole;
} symbol;

static void erase(symbol *symbols, size_t *n, size_t at) {
    memmove(symbols + at, symbols + at + 1, (*n - at - 1) * sizeof *symbols);
    --*n;
}

/* The merge of lowest rank, the last of equal pairs counting; n_merges: none. */
static size_t rank_of(const pm_model *m, pm_id left, pm_id right) {
    for (size_t i = m->n_merges; i-- > 0;) {
        if (m->merges[i].left == left && m->merges[i].right == right) {
            return i;
        }
    }
    return m->n_merges;
}

static void merge_by_rank(const pm_model *m, symbol *symbols, size_t *n) {
    for (;;) {
        size_t best = m->n_merges, where = 0;
        for (size_t i = 0; i + 1 < *n; i++) {
            size_t rank = rank_of(m, symbols[i].id, symbols[i + 1].id);
            where = rank < best ? i : where;
            best = rank < best ? rank : best;
        }
        if (best == m->n_merges) {
            return;
        }
        symbols[where].id = m->merges[best].result;
        symbols[where].end = symbols[where + 1].end;
        erase(symbols, n, where + 1);
    }
}

static void put(symbol *symbols, size_t *n, pm_id id, size_t len) {
    size_t begin = *n ? symbols[*n - 1].end : 0;
    symbols[(*n)++] = (symbol){id, begin, begin + len, false};
}

bool oracle_bpe(const pm_model *m, pm_bytes word, pm_core_tokens *out) {
    static symbol symbols[8 * ORACLE_CORE_WORD];
    uint8_t text[256];
    size_t n = 0, kept_back = 0;
    bool good = true;
    pm_id id = m->whole_first ? find(m, word.data, word.len) : PM_ID_NONE;

    if (id != PM_ID_NONE) {
        add(out, id, 0, word.len);
        return true;
    }
    for (size_t at = 0, len; at < word.len; at += len) {
        len = character(word, at);
        size_t prefix = at > 0 ? m->prefix.len : 0, suffix = at + len == word.len ? m->suffix.len : 0;
        memcpy(text, m->prefix.data, prefix);
        memcpy(text + prefix, word.data + at, len);
        memcpy(text + prefix + len, m->suffix.data, suffix);
        id = find(m, text, prefix + len + suffix);
        if (id == PM_ID_NONE && m->byte_fallback && all_bytes(m, text, prefix + len + suffix)) {
            for (size_t i = 0; i < prefix + len + suffix; i++) {
                put(symbols, &n, byte_token(m, text[i]), 1);
            }
            continue;
        }
        if (kept_back && (id != PM_ID_NONE || !m->fuse_unknown)) {
            put(symbols, &n, m->unknown, kept_back);
            kept_back = 0;
        }
        if (id != PM_ID_NONE) {
            put(symbols, &n, id, len);
        } else if (m->has_unknown) {
            good = good && m->unknown != PM_ID_NONE;
            kept_back += len;
        }
    }
    if (kept_back) {
        put(symbols, &n, m->unknown, kept_back);
    }
    merge_by_rank(m, symbols, &n);
    for (size_t i = 0; i < n; i++) {
        add(out, symbols[i].id, symbols[i].begin < word.len ? symbols[i].begin : word.len, symbols[i].end < word.len ? symbols[i].end : word.len);
    }
    return good;
}

/* ---------------------------------------------------------------- BPE by scores ---- */

enum { MAX_PIECES = 2048 };
static size_t halves[MAX_PIECES]; /* of each id that is UNUSED: the left half of the pair that was looked at last */

static pm_id pair_of(const pm_model *m, pm_bytes word, const symbol *left) {
    return left[0].whole || left[1].whole ? PM_ID_NONE : find(m, word.data + left[0].begin, left[1].end - left[0].begin);
}

static void look_at(const pm_model *m, pm_bytes word, const symbol *left) {
    pm_id id = pair_of(m, word, left);
    if (id != PM_ID_NONE) {
        halves[id] = left[0].end - left[0].begin;
    }
}

/* Floats, and -0 below 0. */
static bool is_higher(double x, double y) { return (float)x > (float)y || ((float)x == (float)y && signbit(y) && !signbit(x)); }

static void merge_by_score(const pm_model *m, pm_bytes word, symbol *symbols, size_t *n) {
    for (;;) {
        size_t where = *n;
        pm_id best = PM_ID_NONE;
        for (size_t i = 0; i + 1 < *n; i++) {
            pm_id id = pair_of(m, word, &symbols[i]);
            if (id != PM_ID_NONE && (best == PM_ID_NONE || is_higher(m->scores[id], m->scores[best]))) {
                best = id;
                where = i;
            }
        }
        if (best == PM_ID_NONE) {
            return;
        }
        symbols[where].end = symbols[where + 1].end;
        erase(symbols, n, where + 1);
        if (where > 0) {
            look_at(m, word, &symbols[where - 1]);
        }
        if (where + 1 < *n) {
            look_at(m, word, &symbols[where]);
        }
    }
}

static bool give_out(const pm_model *m, pm_bytes word, size_t begin, size_t end, unsigned depth, bool *was_unknown, pm_core_tokens *out) {
    pm_id id = find(m, word.data + begin, end - begin);
    bool unused = id != PM_ID_NONE && flags(m, id) & PM_UNUSED && depth <= 100;
    if (unused && halves[id]) {
        size_t middle = begin + halves[id];
        bool left = give_out(m, word, begin, middle, depth + 1, was_unknown, out);
        return give_out(m, word, middle, end, depth + 1, was_unknown, out) && left;
    }
    if (id == PM_ID_NONE || unused) {
        return add_unknown(m, word, begin, end, was_unknown, out);
    }
    add(out, id, begin, end);
    *was_unknown = false;
    return true;
}

bool oracle_scored_bpe(const pm_model *m, pm_bytes word, pm_core_tokens *out) {
    static symbol symbols[ORACLE_CORE_WORD];
    size_t n = 0;
    bool good = true, was_unknown = false;

    memset(halves, 0, sizeof halves);
    for (size_t at = 0, len; at < word.len; at += len) {
        size_t longest = 0;
        for (pm_id id = 0; id < m->vocab_size; id++) {
            pm_bytes piece = m->pieces[id];
            if (in_text(m, id) && flags(m, id) & PM_ADDED && piece.len > longest && piece.len <= word.len - at && memcmp(word.data + at, piece.data, piece.len) == 0) {
                longest = piece.len;
            }
        }
        len = longest ? longest : character(word, at);
        symbols[n++] = (symbol){PM_ID_NONE, at, at + len, longest > 0};
    }
    for (size_t i = 0; i + 1 < n && m->scores; i++) {
        look_at(m, word, &symbols[i]);
    }
    if (m->scores) {
        merge_by_score(m, word, symbols, &n);
    }
    for (size_t i = 0; i < n; i++) {
        good = give_out(m, word, symbols[i].begin, symbols[i].end, 0, &was_unknown, out) && good;
    }
    return good;
}
