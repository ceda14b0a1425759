/* added.c - see added.h.
 *
 * The texts are a trie (special.c), which gives the longest token at the first place where one begins. What a token's flags ask for comes on top of it:
 *
 *   single word   what stands before and behind is no word character (\w of Rust's regex), or nothing. Else the token is passed over.
 *   lstrip        takes the white space before it along, back to the end of the last token that was taken. Where that took the token itself along, being
 *                 white space too, there is none.
 *   rstrip        takes the white space behind it along. The search goes on where the token itself ends, so that one that begins in this white space is
 *                 still found: then two matches lie over each other, and text may even stand in two of them.
 *
 *     tokens  <m> (lstrip, rstrip)  and  "  " (two blanks)        text  "a <m>   b"
 *     matches   <m> 1..8 with its four blanks;  "  " 5..7;  and then the text goes on at 7: " b" is a stretch
 *
 * Strange as that is, ids are those of the library only if it is done so. (A token with lstrip that lies in the midst of white space that the last one took makes
 * the library panic; here there is none either.) Cost: O(1) a byte, times the longest token where its beginning is repeated over
 * and over. A run of white space is gone over once, however many tokens in it take it along.
 *
 * Source: huggingface/tokenizers 0.23.3, tokenizers/src/tokenizer/added_vocabulary.rs, find_matches. */
#include "encode/added.h"

#include "base/bytes.h"
#include "model/model.h"
#include "pretok/kinds.h"
#include "text/utf8.h"

struct pm_added {
    pm_specials *specials;
    pm_special_token *tokens;
    uint8_t *flags;
    size_t n;
    uint8_t *texts; /* of all tokens, one behind the other */
};

static int by_text(const void *x, const void *y) {
    return pm_bytes_compare(((const pm_special_token *)x)->text, ((const pm_special_token *)y)->text);
}

/* No text may be empty or stand there twice; `copy` has room for n tokens. */
static pm_status check_texts(const pm_special_token *tokens, size_t n, pm_special_token *copy, pm_error *err) {
    for (size_t i = 0; i < n; i++) {
        if (tokens[i].text.len == 0) {
            return pm_fail(err, PM_BAD_FORMAT, "the text of added token %u is empty", (unsigned)tokens[i].id);
        }
        copy[i] = tokens[i];
    }
    qsort(copy, n, sizeof *copy, by_text);
    for (size_t i = 1; i < n; i++) {
        if (pm_bytes_equal(copy[i - 1].text, copy[i].text)) {
            return pm_fail(err, PM_BAD_FORMAT, "added tokens %u and %u have the same text", (unsigned)copy[i - 1].id, (unsigned)copy[i].id);
        }
    }
    return PM_OK;
}

static pm_status build(pm_added *a, const pm_special_token *tokens, const uint8_t *flags, size_t n, pm_error *err) {
    size_t total = 0;

    for (size_t i = 0; i < n; i++) {
        total += tokens[i].text.len; /* they lie in memory already */
    }
    a->n = n;
    a->tokens = pm_alloc(n, sizeof *a->tokens);
    a->flags = pm_alloc(n, 1);
    a->texts = pm_alloc(total, 1);
    if (!a->tokens || !a->flags || !a->texts) {
        return pm_fail_memory(err);
    }
    PM_TRY(check_texts(tokens, n, a->tokens, err));
    uint8_t *to = a->texts;
    for (size_t i = 0; i < n; i++) {
        pm_bytes text = tokens[i].text;
        memcpy(to, text.data, text.len);
        a->tokens[i] = (pm_special_token){.id = tokens[i].id, .text = {to, text.len}};
        a->flags[i] = flags[i];
        to += text.len;
    }
    return pm_specials_new(&a->specials, a->tokens, n, err);
}

pm_status pm_added_new(pm_added **out, const pm_special_token *tokens, const uint8_t *flags, size_t n, pm_error *err) {
    pm_added *a = pm_calloc(1, sizeof *a);
    pm_status status = a ? build(a, tokens, flags, n, err) : pm_fail_memory(err);

    if (status != PM_OK) {
        pm_added_free(a);
        a = NULL;
    }
    *out = a;
    return status;
}

void pm_added_free(pm_added *a) {
    if (a) {
        pm_specials_free(a->specials);
        pm_free(a->tokens);
        pm_free(a->flags);
        pm_free(a->texts);
        pm_free(a);
    }
}

size_t pm_added_count(const pm_added *a) { return a->n; }

/* ---- finding ---- */

/* The kinds of the character that ends at text[at], which is not the begin, and how long it is. */
static unsigned kinds_before(pm_bytes text, size_t at, unsigned *len) {
    for (size_t n = at < 4 ? at : 4; n > 1; n--) {
        const uint8_t *p = text.data + at - n;
        uint32_t cp = pm_utf8_read(p, text.data + at, len);
        if (*len == n) {
            return pm_char_kinds(cp);
        }
    }
    *len = 1;
    return text.data[at - 1] < 0x80 ? pm_char_kinds(text.data[at - 1]) : pm_char_kinds(PM_BAD_BYTE);
}

static unsigned kinds_behind(pm_bytes text, size_t at, unsigned *len) {
    return pm_char_kinds(pm_utf8_read(text.data + at, text.data + text.len, len));
}

static bool is_single_word(pm_bytes text, size_t begin, size_t end) {
    unsigned len;
    return (begin == 0 || !(kinds_before(text, begin, &len) & PM_CHAR_WORD)) &&
           (end == text.len || !(kinds_behind(text, end, &len) & PM_CHAR_WORD));
}

/* Where the white space that ends at `at` begins, not before `least`. */
static size_t blanks_before(pm_bytes text, size_t at, size_t least) {
    unsigned len;
    while (at > least && (kinds_before(text, at, &len) & PM_CHAR_SPACE)) {
        at -= len;
    }
    return at < least ? least : at;
}

/* Where the white space that begins at `at` ends. */
static size_t blanks_behind(pm_bytes text, size_t at, pm_added_place *place) {
    unsigned len;
    if (at < place->blanks_begin || at >= place->blanks_end) {
        place->blanks_begin = at;
        while (at < text.len && (kinds_behind(text, at, &len) & PM_CHAR_SPACE)) {
            at += len;
        }
        place->blanks_end = at;
    }
    return place->blanks_end;
}

bool pm_added_next(const pm_added *a, pm_special_rules rules, pm_bytes text, pm_added_place *place, pm_added_match *match) {
    const pm_special_rules every = {NULL, PM_SPECIAL_MATCH};
    pm_special_hit hit;

    while (pm_specials_next(a->specials, every, text.data, text.len, place->at, &hit)) {
        uint32_t token = hit.match;
        uint8_t bits = rules.each ? rules.each[token] : rules.all, flags = a->flags[token];
        size_t begin = hit.at, end = hit.at + a->tokens[token].text.len;
        place->at = end;
        if (bits == 0 || ((flags & PM_ADDED_SINGLE_WORD) && !is_single_word(text, begin, end))) {
            continue;
        }
        if (flags & PM_ADDED_LSTRIP) {
            begin = place->end < begin ? blanks_before(text, begin, place->end) : place->end;
        }
        if (flags & PM_ADDED_RSTRIP) {
            end = blanks_behind(text, end, place);
        }
        if (begin >= end) {
            continue; /* the last token took all of it */
        }
        if (bits & PM_SPECIAL_MATCH) {
            place->end = end;
        }
        *match = (pm_added_match){.token = token, .bits = bits, .begin = begin, .end = end};
        return true;
    }
    return false;
}
