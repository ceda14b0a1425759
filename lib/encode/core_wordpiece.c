/* core_wordpiece.c - WordPiece in linear time: the longest piece from the left, again and again.
 *
 * A word is cut into the longest piece of the vocabulary that it begins with, what is left into the longest piece that goes on a word ("##ing"), and so
 * on; where nothing fits, or the word has too many characters, all of it is the unknown token. Done as it reads that looks at every end for every
 * beginning. Here each byte is one step down a trie, and where there is no step, what to do was found out beforehand.
 *
 * There are two tries, one of all pieces, for the front of a word, and one of the pieces that go on a word, without their prefix. A node v stands for the bytes
 * that led to it. If a word goes on with a byte for which v has no step, the pieces that its bytes begin with are certain: the longest piece, then the
 * longest of what is left, as long as such a piece does not depend on what comes. pops(v) are those, and fail(v) is the node, in the trie of pieces
 * that go on, of the rest. Then the byte is tried there. fail(v) is none where nothing fits: the word is unknown.
 *
 *     pieces   a  abcdx  ##b  ##c  ##cdy  ##dz
 *     fail     abcd -> cd of "##cdy", pops: a ##b          of "##cdy": cd -> d of "##dz", pops: ##c
 *     "abcdz"  a b c d down, no z there: a ##b; at cd no z: ##c; at d there is: ##dz; end
 *
 * Making them (Song, Salcianu, Song, Dopson, Zhou: Fast WordPiece Tokenization, 2021, algorithm 2): of a node that is a piece, pops is that piece and fail
 * the root of the second trie. Of another, from its parent u by the byte c: z = fail(u); while z has no step c, the pops of z come behind those of u,
 * and z = fail(z); then fail is the step. All it needs lies higher up, or in the second trie, which is made first.
 *
 * A list of pops is its parent's and some more: so they are kept as links from the last piece to the one before. New links, and steps from fail to fail, are
 * fewer than the bytes on each way down, so all of this is linear in the bytes of the vocabulary. Encoding is linear in the word: what pops has bytes
 * that are passed over once. Steps are cells of a double array (placer.c).
 *
 * Equal pieces: the last has the name, as in the library, which keeps them in a map. */
#include "encode/core_inside.h"
#include "encode/wordpiece_trie.h"
#include "text/utf8.h"

typedef struct wordpiece {
    pm_wordpiece_trie trie;
    size_t prefix; /* bytes of what pieces that go on a word begin with */
} wordpiece;

static pm_status make(pm_core *core, pm_error *err) {
    const pm_model *model = core->model;
    wordpiece *w = core->tables = pm_calloc(1, sizeof *w);
    pm_texts seen = {0};

    if (!w) {
        return pm_fail_memory(err);
    }
    w->prefix = model->prefix.len;
    pm_id *ids = pm_alloc(model->vocab_size, sizeof *ids);
    size_t n = 0;
    pm_status status = ids ? pm_texts_init(&seen, model->pieces, model->vocab_size, err) : pm_fail_memory(err);
    for (pm_id id = model->vocab_size; id-- > 0 && status == PM_OK;) {
        if (pm_core_has(core, id) && pm_texts_add(&seen, id) == id) {
            ids[n++] = id;
        }
    }
    if (status == PM_OK) {
        status = pm_wordpiece_trie_init(&w->trie, model->pieces, ids, n, model->prefix, err);
    }
    pm_texts_release(&seen);
    pm_free(ids);
    return status;
}

static void release(void *tables) {
    wordpiece *w = tables;
    pm_wordpiece_trie_release(&w->trie);
    pm_free(w);
}

/* ---------------------------------------------------------------- encoding ---- */

/* Appends the pops of a node. They are linked from the last to the first: written from the back. *at: how far the word is spelled. */
static pm_status pop(const pm_core *core, const wordpiece *w, uint32_t link, size_t first, size_t *at, pm_core_tokens *out, pm_error *err) {
    size_t n = 0, from = out->n;

    for (uint32_t i = link; i; i = w->trie.links[i].before) {
        PM_TRY(pm_core_add(out, w->trie.links[i].id, 0, 0, err));
        n++;
    }
    for (size_t i = 0; i < n / 2; i++) {
        pm_core_token moved = out->items[from + i];
        out->items[from + i] = out->items[out->n - 1 - i];
        out->items[out->n - 1 - i] = moved;
    }
    for (size_t i = from; i < out->n; i++) {
        size_t len = core->model->pieces[out->items[i].id].len - (i > first ? w->prefix : 0);
        out->items[i].begin = (uint32_t)*at;
        out->items[i].end = (uint32_t)(*at += len);
    }
    return PM_OK;
}

/* *fits: whether the word is spelled. */
static pm_status spell(const pm_core *core, const wordpiece *w, pm_bytes word, pm_core_tokens *out, bool *fits, pm_error *err) {
    const pm_wordpiece_trie *t = &w->trie;
    uint32_t node = PM_WORDPIECE_FRONT;
    size_t at = 0, first = out->n;

    *fits = false;
    for (size_t i = 0; i < word.len; i++) {
        uint32_t next;
        while ((next = pm_wordpiece_step(t, node, word.data[i])) == PM_WORDPIECE_NONE) {
            if (t->nodes[node].fail == PM_WORDPIECE_NONE) {
                return PM_OK;
            }
            PM_TRY(pop(core, w, t->nodes[node].pops, first, &at, out, err));
            node = t->nodes[node].fail;
        }
        node = next;
    }
    while (node != PM_WORDPIECE_GOING_ON) {
        if (t->nodes[node].fail == PM_WORDPIECE_NONE) {
            return PM_OK;
        }
        PM_TRY(pop(core, w, t->nodes[node].pops, first, &at, out, err));
        node = t->nodes[node].fail;
    }
    *fits = true;
    return PM_OK;
}

/* Has a word more than so many characters? */
static bool is_longer(pm_bytes word, uint32_t characters) {
    size_t n = 0;
    unsigned len;

    if (word.len <= characters) {
        return false;
    }
    for (size_t at = 0; at < word.len && n <= characters; at += len, n++) {
        pm_utf8_read(word.data + at, word.data + word.len, &len);
    }
    return n > characters;
}

static pm_status encode(const pm_core *core, pm_core_scratch *scratch, pm_bytes word, const pm_core_draw *draw, pm_core_tokens *out, pm_error *err) {
    bool fits = false;
    size_t first = out->n;
    pm_id id;

    (void)scratch;
    (void)draw;
    if (!is_longer(word, core->model->max_word)) {
        PM_TRY(spell(core, core->tables, word, out, &fits, err));
    }
    if (fits) {
        return PM_OK;
    }
    out->n = first;
    PM_TRY(pm_core_unknown(core, 0, &id, err));
    return pm_core_add(out, id, 0, word.len, err);
}

const pm_core_algorithm pm_core_wordpiece = {make, release, encode, 0, NULL};
