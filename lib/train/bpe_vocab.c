/* bpe_vocab.c - the vocabulary that BPE training grows: merges, the texts of their symbols, and what may not become one.
 *
 * Every rule looks at the text that two symbols make together and at nothing else, so a pair is allowed everywhere or nowhere, and the
 * argument by which training may cut words at rare pairs (bpe.c) holds with rules as without. A pair that is forbidden is passed over,
 * whatever its count; its symbols go on to merge with others.
 *
 * Rules hardly ever walk over the text: each symbol knows its words and whether it is whole characters, and what two make together follows from that:
 *
 *     " of" + " the"     1 + 1 = 2 words          "in" + "deed"     1 + 1, less one because the word goes on over the seam
 *     E4 | B8 | AD       parts; joined, two are a part and three are whole (U+4E2D)
 *
 * Characters. Words may be of characters instead of bytes, as in sentencepiece, whose order of merges it is then: of pairs with the same count the one that makes
 * fewer characters goes first, of those the one whose text comes first by its code points, where a blank is U+2581. What is not in the alphabet is in no word
 * (bpe_replay.c), so a text of symbols is always whole characters. The names of control tokens and byte tokens, as files write them, are no pieces.
 *
 * utf8_boundaries. A text is a part of a character when it is a beginning of one that lacks bytes, or up to three bytes that only continue one. In
 * well-formed text two neighbouring bytes of the second kind always belong to the same character. So a piece never holds a part of a character together with
 * anything of another, and a byte that is in no character stays alone. */
#include "train/bpe_vocab.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "model/model.h"
#include "text/characters.h"
#include "text/utf8.h"

/* ---------------------------------------------------------------- texts that are no pieces ---- */

static pm_bytes *excluded_slot(const pm_bpe_vocab *vocab, pm_bytes text) {
    size_t at = (size_t)pm_hash(text.data, text.len) & vocab->excluded_mask;
    while (vocab->excluded[at].len && !pm_bytes_equal(vocab->excluded[at], text)) {
        at = (at + 1) & vocab->excluded_mask;
    }
    return &vocab->excluded[at];
}

static void exclude(pm_bpe_vocab *vocab, pm_bytes text) {
    if (text.len) {
        *excluded_slot(vocab, text) = text;
        vocab->longest_excluded = text.len > vocab->longest_excluded ? text.len : vocab->longest_excluded;
    }
}

/* Those that a .model file gives to tokens which are no text. */
static pm_status exclude_names(pm_bpe_vocab *vocab, pm_error *err) {
    for (size_t i = 0; i < PM_N_CONTROLS; i++) {
        exclude(vocab, (pm_bytes){(const uint8_t *)pm_control_names[i], strlen(pm_control_names[i])});
    }
    for (unsigned b = 0; b < 256; b++) {
        char name[PM_BYTE_NAME];
        pm_byte_name(name, (uint8_t)b);
        uint8_t *text = pm_arena_copy(&vocab->arena, name, strlen(name));
        if (!text) {
            return pm_fail_memory(err);
        }
        exclude(vocab, (pm_bytes){text, strlen(name)});
    }
    return PM_OK;
}

static pm_status make_excluded(pm_bpe_vocab *vocab, pm_error *err) {
    const pm_bpe_rules *rules = &vocab->rules;
    size_t cap = 4;
    while (cap / 2 < rules->n_specials + rules->n_excluded + (rules->characters ? PM_N_CONTROLS + 256 : 0)) {
        cap *= 2;
    }
    vocab->excluded_mask = cap - 1;
    vocab->excluded = pm_calloc(cap, sizeof *vocab->excluded);
    if (!vocab->excluded) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < rules->n_specials; i++) {
        exclude(vocab, rules->specials[i].text);
    }
    for (size_t i = 0; i < rules->n_excluded; i++) {
        exclude(vocab, rules->excluded[i]);
    }
    PM_TRY(rules->characters ? exclude_names(vocab, err) : PM_OK);
    vocab->joined = pm_alloc(vocab->longest_excluded, 1);
    return vocab->joined ? PM_OK : pm_fail_memory(err);
}

bool pm_bpe_vocab_excludes(const pm_bpe_vocab *vocab, const uint8_t *text, size_t len) {
    return len && len <= vocab->longest_excluded && excluded_slot(vocab, (pm_bytes){text, len})->len;
}

/* ---------------------------------------------------------------- traits ---- */

static bool is_in_word(uint32_t character) { return character != ' ' && (character < '\t' || character > '\r'); }

static pm_bpe_trait trait_of_byte(uint8_t byte) {
    bool in_word = is_in_word(byte);
    return (pm_bpe_trait){in_word, 1, in_word, in_word, byte < 0x80};
}

/* How many bytes at the beginning are whole characters. */
static size_t whole_characters(const uint8_t *text, size_t len) {
    size_t at = 0;
    unsigned n;
    while (at < len && (pm_utf8_read(text + at, text + len, &n) != PM_BAD_BYTE || n > 1)) {
        at += n;
    }
    return at;
}

/* Is what the two make together whole characters? They need not be for that: one may begin in the first and end in the second. */
static bool makes_whole(const pm_bpe_vocab *vocab, uint32_t left, uint32_t right) {
    pm_bytes a = vocab->texts[left], b = vocab->texts[right];
    if (vocab->traits[left].whole && vocab->traits[right].whole) {
        return true;
    }
    size_t from_a = a.len - whole_characters(a.data, a.len), from_b = 0;
    if (from_a > 3) {
        return false;
    }
    if (from_a) {
        uint8_t seam[8];
        unsigned n;
        size_t more = b.len < 4 ? b.len : 4;
        memcpy(seam, a.data + a.len - from_a, from_a);
        memcpy(seam + from_a, b.data, more);
        (void)pm_utf8_read(seam, seam + from_a + more, &n);
        if (n <= from_a) {
            return false;
        }
        from_b = n - from_a;
    }
    return whole_characters(b.data + from_b, b.len - from_b) == b.len - from_b;
}

/* Is what the two make a part of a character? */
static bool makes_part(pm_bytes a, pm_bytes b) {
    uint8_t text[4] = {0x80, 0x80, 0x80, 0x80};
    size_t len = a.len + b.len;
    unsigned n;
    if (len > 3) {
        return false;
    }
    memcpy(text, a.data, a.len);
    memcpy(text + a.len, b.data, b.len);
    if ((text[0] & 0xC0) == 0x80) {
        return (text[1] & 0xC0) == 0x80 && (text[2] & 0xC0) == 0x80;
    }
    (void)pm_utf8_read(text, text + sizeof text, &n); /* with any bytes behind that could go on */
    return n > len;
}

static pm_bpe_trait join_traits(const pm_bpe_vocab *vocab, uint32_t left, uint32_t right) {
    const pm_bpe_trait *a = &vocab->traits[left], *b = &vocab->traits[right];
    return (pm_bpe_trait){pm_bpe_vocab_words(vocab, left, right), a->length + b->length, a->begins_in_word, b->ends_in_word,
                          makes_whole(vocab, left, right)};
}

bool pm_bpe_vocab_forbids(pm_bpe_vocab *vocab, uint32_t left, uint32_t right) {
    const pm_bpe_rules *rules = &vocab->rules;
    pm_bytes a = vocab->texts[left], b = vocab->texts[right];
    if (pm_bpe_vocab_separates(vocab, left, right) || (rules->utf8_boundaries && !makes_whole(vocab, left, right) && !makes_part(a, b))) {
        return true;
    }
    if (a.len + b.len > vocab->longest_excluded) {
        return false;
    }
    memcpy(vocab->joined, a.data, a.len);
    memcpy(vocab->joined + a.len, b.data, b.len);
    return pm_bpe_vocab_excludes(vocab, vocab->joined, a.len + b.len);
}

/* ---------------------------------------------------------------- which of two goes first ---- */

/* The code points of two texts, one behind the other. */
typedef struct seam {
    const uint8_t *at, *end, *next, *next_end;
} seam;

static seam seam_of(const pm_bpe_vocab *vocab, uint32_t left, uint32_t right) {
    pm_bytes a = vocab->texts[left], b = vocab->texts[right];
    return (seam){a.data, a.data + a.len, b.data, b.data + b.len};
}

/* 0 behind the last. */
static uint32_t next_character(seam *s) {
    unsigned n;
    if (s->at == s->end) {
        s->at = s->next;
        s->end = s->next = s->next_end;
    }
    if (s->at == s->end) {
        return 0;
    }
    uint32_t c = pm_utf8_read(s->at, s->end, &n);
    s->at += n;
    return c == PM_BLANK ? PM_BLANK_MARK : c;
}

bool pm_bpe_vocab_precedes_by_text(const pm_bpe_vocab *vocab, uint32_t left, uint32_t right, uint32_t other_left, uint32_t other_right) {
    const pm_bpe_trait *traits = vocab->traits;
    uint64_t length = (uint64_t)traits[left].length + traits[right].length;
    uint64_t other = (uint64_t)traits[other_left].length + traits[other_right].length;
    if (length != other) {
        return length < other;
    }
    seam a = seam_of(vocab, left, right), b = seam_of(vocab, other_left, other_right);
    for (uint32_t x = 1, y = 1; x;) {
        x = next_character(&a);
        y = next_character(&b);
        if (x != y) {
            return x < y;
        }
    }
    return left < other_left; /* no text comes from two pairs: the same one */
}

/* ---------------------------------------------------------------- the vocabulary ---- */

static pm_status init(pm_bpe_vocab *vocab, pm_error *err) {
    PM_TRY(make_excluded(vocab, err));
    PM_TRY(pm_grow((void **)&vocab->texts, &vocab->cap_texts, 512, sizeof *vocab->texts, err));
    PM_TRY(pm_grow((void **)&vocab->traits, &vocab->cap_traits, 512, sizeof *vocab->traits, err));
    for (unsigned i = 0; i < 256; i++) {
        vocab->texts[i] = (pm_bytes){&pm_byte_order[i], 1};
        vocab->traits[i] = trait_of_byte(pm_byte_order[i]);
    }
    return PM_OK;
}

pm_status pm_bpe_vocab_init(pm_bpe_vocab *vocab, const pm_bpe_rules *rules, pm_error *err) {
    *vocab = (pm_bpe_vocab){.rules = rules ? *rules : (pm_bpe_rules){0}};
    pm_status status = init(vocab, err);
    if (status != PM_OK) {
        pm_bpe_vocab_release(vocab);
    }
    return status;
}

void pm_bpe_vocab_release(pm_bpe_vocab *vocab) {
    pm_free(vocab->merges);
    pm_free(vocab->texts);
    pm_free(vocab->traits);
    pm_free(vocab->counts);
    pm_free(vocab->excluded);
    pm_free(vocab->joined);
    pm_arena_release(&vocab->arena);
    *vocab = (pm_bpe_vocab){0};
}

pm_status pm_bpe_vocab_reserve(pm_bpe_vocab *vocab, size_t n_merges, pm_error *err) {
    size_t n = pm_bpe_vocab_base(vocab) + n_merges;
    PM_TRY(pm_grow((void **)&vocab->merges, &vocab->cap_merges, n_merges, sizeof *vocab->merges, err));
    PM_TRY(pm_grow((void **)&vocab->texts, &vocab->cap_texts, n, sizeof *vocab->texts, err));
    return pm_grow((void **)&vocab->traits, &vocab->cap_traits, n, sizeof *vocab->traits, err);
}

/* A new symbol with room for a text. */
static pm_status add_symbol(pm_bpe_vocab *vocab, size_t len, uint8_t **text, pm_error *err) {
    size_t id = pm_bpe_vocab_size(vocab);
    PM_TRY(pm_grow((void **)&vocab->texts, &vocab->cap_texts, id + 1, sizeof *vocab->texts, err));
    PM_TRY(pm_grow((void **)&vocab->traits, &vocab->cap_traits, id + 1, sizeof *vocab->traits, err));
    *text = pm_arena_alloc(&vocab->arena, len);
    if (!*text) {
        return pm_fail_memory(err);
    }
    vocab->texts[id] = (pm_bytes){*text, len};
    return PM_OK;
}

pm_status pm_bpe_vocab_add_character(pm_bpe_vocab *vocab, uint32_t character, uint64_t count, pm_error *err) {
    uint8_t utf8[4], *text;
    size_t len = pm_utf8_write(character, utf8);
    bool in_word = is_in_word(character);
    PM_TRY(pm_grow((void **)&vocab->counts, &vocab->cap_counts, vocab->n_characters + 1, sizeof *vocab->counts, err));
    PM_TRY(add_symbol(vocab, len, &text, err));
    memcpy(text, utf8, len);
    vocab->traits[pm_bpe_vocab_size(vocab)] = (pm_bpe_trait){in_word, 1, in_word, in_word, true};
    vocab->counts[vocab->n_characters++] = count;
    return PM_OK;
}

pm_status pm_bpe_vocab_add(pm_bpe_vocab *vocab, uint32_t left, uint32_t right, uint64_t count, pm_error *err) {
    size_t id = pm_bpe_vocab_size(vocab);
    pm_bytes a = vocab->texts[left], b = vocab->texts[right];
    uint8_t *text;
    PM_TRY(pm_grow((void **)&vocab->merges, &vocab->cap_merges, vocab->n_merges + 1, sizeof *vocab->merges, err));
    PM_TRY(add_symbol(vocab, a.len + b.len, &text, err));
    memcpy(text, a.data, a.len);
    memcpy(text + a.len, b.data, b.len);
    vocab->traits[id] = join_traits(vocab, left, right);
    vocab->merges[vocab->n_merges++] = (pm_bpe_merge){left, right, count};
    return PM_OK;
}
