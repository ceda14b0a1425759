/* core_cut.c - a whole text as one word, in parts.
 *
 * Where a text is not split before the model sees it, its words still begin with U+2581, which stands for a blank. If no piece has that mark behind another
 * character, no merge reaches over the front of a run of marks, and what is on either side never looks at the other. So the text is cut there: BPE is then
 * linear in it, whatever its length, and what came out for a part is remembered (memo.h), its ids and the length of each in turn. Most of a text has been seen.
 *
 *     pieces  U+2581 the   U+2581 U+2581   he   ...         text  U+2581 the | U+2581 U+2581 cat
 *
 * The cut must not part what is put together afterwards, unknown characters side by side: the mark itself is a piece. And nothing that is remembered may
 * depend on another part: no piece is UNUSED (core_scored.c). */
#include "encode/core_inside.h"
#include "text/characters.h"

enum { MARK_BYTES = sizeof PM_BLANK_MARK_UTF8 - 1 };

static inline bool is_mark(const uint8_t *at) { return memcmp(at, PM_BLANK_MARK_UTF8, MARK_BYTES) == 0; }

/* Has a piece the mark behind another character? */
static bool holds_mark(pm_bytes piece) {
    for (size_t i = 1; i + MARK_BYTES <= piece.len; i++) {
        if (is_mark(piece.data + i) && !(i >= MARK_BYTES && is_mark(piece.data + i - MARK_BYTES))) {
            return true;
        }
    }
    return false;
}

bool pm_core_may_cut(const pm_core *core) {
    bool mark = false;

    for (pm_id id = 0; id < core->model->vocab_size; id++) {
        pm_bytes piece = core->model->pieces[id];
        if (!pm_core_has(core, id)) {
            continue;
        }
        if (holds_mark(piece) || (core->sentencepiece && pm_core_is(core, id, PM_UNUSED))) {
            return false;
        }
        mark = mark || (piece.len == MARK_BYTES && is_mark(piece.data));
    }
    return mark;
}

size_t pm_core_next_mark(pm_bytes text, size_t from) {
    for (size_t at = from; text.len - at >= MARK_BYTES; at++) {
        const uint8_t *found = memchr(text.data + at, PM_BLANK_MARK_UTF8[0], text.len - at - (MARK_BYTES - 1));
        if (!found) {
            break;
        }
        at = (size_t)(found - text.data);
        if (is_mark(found)) {
            return at;
        }
    }
    return text.len;
}

/* Where the part that begins at `begin` ends. */
static size_t end_of_part(pm_bytes word, size_t begin) {
    while (word.len - begin >= MARK_BYTES && is_mark(word.data + begin)) {
        begin += MARK_BYTES;
    }
    return pm_core_next_mark(word, begin);
}

static pm_status recall(const pm_core_scratch *s, const pm_memo_slot *slot, size_t base, pm_core_tokens *out, pm_error *err) {
    bool far = slot->n == PM_MEMO_FAR;
    const pm_id *pairs = far ? s->memo.store + slot->ids[0] : slot->ids;

    for (size_t i = 0, n = far ? slot->ids[1] : slot->n; i < n; i += 2) {
        PM_TRY(pm_core_add(out, pairs[i], base, base + pairs[i + 1], err));
        base += pairs[i + 1];
    }
    return PM_OK;
}

/* Keeps what a part gave, if its tokens cover it one behind the other. */
static void remember(pm_core_scratch *s, pm_word_key key, pm_bytes part, size_t base, const pm_core_token *tokens, size_t n) {
    pm_id pairs[2 * PM_MEMO_LONGEST];
    size_t at = base;

    for (size_t i = 0; i < n; i++) {
        if (i == PM_MEMO_LONGEST || tokens[i].begin != at) {
            return;
        }
        at = tokens[i].end;
        pairs[2 * i] = tokens[i].id;
        pairs[2 * i + 1] = tokens[i].end - tokens[i].begin;
    }
    if (at == base + part.len) {
        pm_memo_add(&s->memo, key, part.data, part.len, pairs, 2 * n);
    }
}

static pm_status one_part(const pm_core *core, pm_core_scratch *s, pm_bytes part, size_t readable, size_t base, pm_core_part encode, pm_core_tokens *out,
                          pm_error *err) {
    if (part.len > PM_MEMO_LONGEST) {
        return encode(core, s, part, base, out, err);
    }
    pm_word_key key = part.len <= PM_WORD_MAX ? pm_word_key_of(part.data, part.len, readable) : pm_memo_long_key(part.data, part.len);
    const pm_memo_slot *slot = pm_memo_find(&s->memo, key, pm_memo_hash(key));
    if (slot && (!pm_memo_key_is_long(key) || pm_memo_is(&s->memo, slot, part.data, part.len))) {
        return recall(s, slot, base, out, err);
    }
    size_t first = out->n;
    PM_TRY(encode(core, s, part, base, out, err));
    if (!slot) {
        remember(s, key, part, base, out->items + first, out->n - first);
    }
    return PM_OK;
}

pm_status pm_core_cut(const pm_core *core, pm_core_scratch *scratch, pm_bytes word, pm_core_part part, pm_core_tokens *out, pm_error *err) {
    if (!scratch->memo.slots) {
        PM_TRY(pm_memo_init(&scratch->memo, err));
    }
    for (size_t at = 0, end; at < word.len; at = end) {
        end = end_of_part(word, at);
        PM_TRY(one_part(core, scratch, (pm_bytes){word.data + at, end - at}, word.len - at, at, part, out, err));
    }
    return PM_OK;
}
