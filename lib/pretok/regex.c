/* regex.c - see regex.h. Matching with PCRE2 under a budget that no pattern and no text can get around.
 *
 * The difficulty. PCRE2's match limit counts backtracking points, and differently with its just-in-time compiler. It
 * does not count the characters that a simple repeat or a lookahead runs over, so `a*a*a*b` or `.(?=[\s\S]*Z)` do
 * quadratic and cubic work below any limit that a harmless long match needs. And it says nothing about how much was
 * used.
 *
 * So a match is tried twice.
 *
 *   1. In a window of WINDOW bytes with a match limit of SHORT. That is all that nearly every pre-token needs, and it
 *      bounds the work by a constant, whatever the pattern. PCRE2_PARTIAL_HARD makes a match that looks at the
 *      window's end say so instead of taking it for the end of the text; what it answers otherwise is what it would
 *      have answered for the whole text.
 *   2. When the window or the limit was too small: over the whole rest of the text, with the same pattern compiled with
 *      PCRE2_AUTO_CALLOUT. Before each item of the pattern PCRE2 calls us, and we take from the document's budget the
 *      distance from the last call's position, so that running over characters costs what it costs, and a constant for
 *      the call itself. The budget used up ends the match.
 *
 *     `.(?=[\s\S]*Z)` on 100 KB without a Z
 *     at each of 100,000 positions the lookahead runs to the end: 5 * 10^9 steps. After some 3,000 positions the
 *     budget is gone: PM_LIMIT with the position, in 0.5 s.
 *
 * Two costs lie between calls: a counted repeat that fails before its least number ((?:a{60000}b)), so a call costs the
 * pattern's largest such number on top (over 16); and comparing a backreference, so a call costs the longest group
 * (over 16). A lookbehind of more than LOOKBEHIND characters is refused.
 *
 * Patterns are compiled anchored and tried at each position by the caller: a search inside of PCRE2 would start its
 * limits again at each position.
 *
 * Memory: PCRE2's comes from pm_alloc. A match that must remember a way back for each character ((?:a|b)* over a
 * megabyte) needs memory in proportion, up to STACK_BYTES for the compiler's stack or HEAP_KIBIBYTES for the
 * interpreter; past it PM_LIMIT. Otherwise nothing grows with the text. Where there is no just-in-time compiler (or the
 * system forbids it), PCRE2 interprets; the answers are the same.
 *
 * Source: pcre2api(3), pcre2partial(3), pcre2callout(3), pcre2jit(3). */
#include "pretok/regex.h"

#include "pretok/dialect.h"
#include "pretok/engine.h"

#ifndef PM_HAVE_PCRE2

struct pm_regex {
    char unused;
};
struct pm_regex_scratch {
    char unused;
};

pm_status pm_regex_new(pm_regex **out, const char *regex, pm_flavor flavor, pm_error *err) {
    (void)regex;
    (void)flavor;
    *out = NULL;
    return pm_fail(err, PM_UNSUPPORTED,
                   "this pattern is not one of the named ones and piecemill was built without PCRE2");
}

void pm_regex_free(pm_regex *regex) { (void)regex; }
bool pm_regex_uses_engine_tables(const pm_regex *regex) {
    (void)regex;
    return false;
}

pm_status pm_regex_scratch_new(pm_regex_scratch **out, pm_error *err) {
    *out = pm_calloc(1, sizeof **out);
    return *out ? PM_OK : pm_fail_memory(err);
}

void pm_regex_scratch_free(pm_regex_scratch *scratch) { pm_free(scratch); }
uint64_t pm_regex_budget(size_t len, size_t pattern_len) { return len + pattern_len; }

pm_status pm_regex_match(const pm_regex *regex, pm_regex_scratch *scratch, const uint8_t *text, size_t len, size_t pos,
                         size_t *end, uint64_t *budget, pm_error *err) {
    (void)regex;
    (void)scratch;
    (void)text;
    (void)len;
    (void)pos;
    (void)budget;
    *end = SIZE_MAX;
    return pm_fail(err, PM_UNSUPPORTED, "piecemill was built without PCRE2");
}

#else

enum {
    WINDOW = 256,     /* bytes of text for the first try */
    SHORT_JIT = 32,   /* its match limit, in what the compiled code counts */
    SHORT = 256,      /* and in what the interpreter counts */
    CALL_STEPS = 8,   /* what a callout costs beside the way it came */
    LOOKBEHIND = 255, /* characters */
    STACK_BYTES = 64 << 20,
    HEAP_KIBIBYTES = 64 << 10
};

struct pm_regex {
    pcre2_code *quick;   /* for the window */
    pcre2_code *counted; /* calls us at each item */
    bool quick_jit;
    bool engine_tables;
    bool references;
    uint32_t call_steps;
};

struct pm_regex_scratch {
    pcre2_general_context *general;
    pcre2_match_context *quick, *quick_interpreted, *counted;
    pcre2_match_data *data;
    pcre2_jit_stack *stack;
};

/* What honest work costs grows with the text and with the pattern, so the part without bound is steps a byte: 256, and
 * 16 for each byte of the pattern (sixty alternatives are tried one after the other). The rest, 2^24 to 2^28, is for
 * what is not linear but short. */
uint64_t pm_regex_budget(size_t len, size_t pattern_len) {
    uint64_t base = (UINT64_C(1) << 24) + ((uint64_t)(len < 16384 ? len : 16384) << 14);
    uint64_t each = 256 + 16 * (uint64_t)(pattern_len < 1024 ? pattern_len : 1024);
    return (base < UINT64_C(1) << 28 ? base : UINT64_C(1) << 28) + (uint64_t)len * each;
}

/* ---- compiling ---- */

static pm_status compile_failed(int code, PCRE2_SIZE at, const pm_dialect *d, pm_error *err) {
    char sentence[256] = "";

    if (pm_engine_out_of_memory(code)) {
        return pm_fail_memory(err);
    }
    pcre2_get_error_message(code, (PCRE2_UCHAR *)sentence, sizeof sentence);
    return pm_fail_at(err, PM_BAD_PATTERN, pm_dialect_position(d, at), "%s", sentence);
}

static pm_status compile_one(pcre2_code **code, const pm_dialect *d, uint32_t more, pcre2_compile_context *context,
                             pm_error *err) {
    const uint32_t options =
        PCRE2_UTF | PCRE2_ANCHORED | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_START_OPTIMIZE;
    int error = 0;
    PCRE2_SIZE at = 0;
    const uint8_t *text = d->text.data ? d->text.data : (const uint8_t *)"";

    *code = pcre2_compile(text, d->text.len, options | more, &error, &at, context);
    return *code ? PM_OK : compile_failed(error, at, d, err);
}

static pm_status compile(pm_regex *r, const pm_dialect *d, pm_error *err) {
    pcre2_general_context *general = pm_engine_context();
    pcre2_compile_context *context = general ? pcre2_compile_context_create(general) : NULL;
    pm_status status = context ? PM_OK : pm_fail_memory(err);

    if (context) {
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        status = compile_one(&r->quick, d, 0, context, err);
    }
    if (status == PM_OK) {
        status = compile_one(&r->counted, d, PCRE2_AUTO_CALLOUT, context, err);
    }
    pcre2_compile_context_free(context);
    pcre2_general_context_free(general);
    return status;
}

static pm_status finish(pm_regex *r, const pm_dialect *d, pm_error *err) {
    uint32_t lookbehind = 0;

    PM_TRY(compile(r, d, err));
    pcre2_pattern_info(r->quick, PCRE2_INFO_MAXLOOKBEHIND, &lookbehind);
    if (lookbehind > LOOKBEHIND) {
        return pm_fail_at(err, PM_BAD_PATTERN, d->lookbehind == SIZE_MAX ? 0 : d->lookbehind,
                          "a lookbehind is longer than %d characters", (int)LOOKBEHIND);
    }
    r->quick_jit = pcre2_jit_compile(r->quick, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD) == 0;
    pcre2_jit_compile(r->counted, PCRE2_JIT_COMPLETE);
    r->engine_tables = d->engine_tables;
    r->references = d->references;
    r->call_steps = CALL_STEPS + d->most / 16;
    return PM_OK;
}

pm_status pm_regex_new(pm_regex **out, const char *regex, pm_flavor flavor, pm_error *err) {
    pm_dialect d = {0};
    pm_regex *r = pm_calloc(1, sizeof *r);
    pm_status status = r ? pm_dialect_translate(&d, regex, flavor, err) : pm_fail_memory(err);

    if (status == PM_OK) {
        status = finish(r, &d, err);
    }
    pm_dialect_release(&d);
    if (status != PM_OK) {
        pm_regex_free(r);
        r = NULL;
    }
    *out = r;
    return status;
}

void pm_regex_free(pm_regex *regex) {
    if (regex) {
        pcre2_code_free(regex->quick);
        pcre2_code_free(regex->counted);
        pm_free(regex);
    }
}

bool pm_regex_uses_engine_tables(const pm_regex *regex) { return regex->engine_tables; }

/* ---- matching ---- */

static pcre2_match_context *context_with(pm_regex_scratch *s, uint32_t limit) {
    pcre2_match_context *context = pcre2_match_context_create(s->general);
    if (context) {
        pcre2_set_match_limit(context, limit);
        pcre2_set_depth_limit(context, UINT32_MAX); /* depth costs heap, which is limited */
        pcre2_set_heap_limit(context, HEAP_KIBIBYTES);
        if (s->stack) {
            pcre2_jit_stack_assign(context, NULL, s->stack);
        }
    }
    return context;
}

pm_status pm_regex_scratch_new(pm_regex_scratch **out, pm_error *err) {
    uint32_t jit = 0;
    pm_regex_scratch *s = pm_calloc(1, sizeof *s);

    *out = NULL;
    if (!s) {
        return pm_fail_memory(err);
    }
    s->general = pm_engine_context();
    if (s->general) {
        pcre2_config(PCRE2_CONFIG_JIT, &jit);
        s->stack = jit ? pcre2_jit_stack_create(1 << 15, STACK_BYTES, s->general) : NULL;
        s->quick = context_with(s, SHORT_JIT);
        s->quick_interpreted = context_with(s, SHORT);
        s->counted = context_with(s, UINT32_MAX);
        s->data = pcre2_match_data_create(1, s->general);
    }
    if (!s->quick || !s->quick_interpreted || !s->counted || !s->data || (jit && !s->stack)) {
        pm_regex_scratch_free(s);
        return pm_fail_memory(err);
    }
    *out = s;
    return PM_OK;
}

void pm_regex_scratch_free(pm_regex_scratch *s) {
    if (s) {
        pcre2_match_data_free(s->data);
        pcre2_match_context_free(s->quick);
        pcre2_match_context_free(s->quick_interpreted);
        pcre2_match_context_free(s->counted);
        pcre2_jit_stack_free(s->stack);
        pcre2_general_context_free(s->general);
        pm_free(s);
    }
}

/* What a counted match has left. */
typedef struct meter {
    uint64_t left;
    size_t last; /* position of the last call */
    uint32_t call_steps;
    bool references;
} meter;

static size_t longest_group(const pcre2_callout_block *block) {
    size_t longest = 0;

    for (uint32_t i = 1; i < block->capture_top; i++) {
        size_t begin = block->offset_vector[2 * i], end = block->offset_vector[2 * i + 1];
        if (begin != PCRE2_UNSET && end != PCRE2_UNSET && end > begin && end - begin > longest) {
            longest = end - begin;
        }
    }
    return longest;
}

static int count_steps(pcre2_callout_block *block, void *user) {
    meter *m = user;
    size_t now = block->current_position;
    uint64_t steps = m->call_steps + (now > m->last ? now - m->last : m->last - now);

    if (m->references) {
        steps += longest_group(block) / 16;
    }
    m->last = now;
    if (steps > m->left) {
        return PCRE2_ERROR_CALLOUT;
    }
    m->left -= steps;
    return 0;
}

static pm_status match_counted(const pm_regex *r, pm_regex_scratch *s, const uint8_t *text, size_t len, size_t pos,
                               size_t *end, uint64_t *budget, pm_error *err) {
    meter m = {*budget, pos, r->call_steps, r->references};

    pcre2_set_callout(s->counted, count_steps, &m);
    int rc = pcre2_match(r->counted, text, len, pos, PCRE2_NO_UTF_CHECK, s->data, s->counted);
    pcre2_set_callout(s->counted, NULL, NULL); /* m ends here */
    *budget = m.left;
    *end = SIZE_MAX;
    switch (rc) {
    case PCRE2_ERROR_NOMATCH: return PM_OK;
    case PCRE2_ERROR_CALLOUT: return pm_fail_at(err, PM_LIMIT, pos, "the pattern needs too many steps here");
    case PCRE2_ERROR_JIT_STACKLIMIT:
    case PCRE2_ERROR_HEAPLIMIT:
    case PCRE2_ERROR_MATCHLIMIT:
    case PCRE2_ERROR_DEPTHLIMIT: return pm_fail_at(err, PM_LIMIT, pos, "the pattern needs too much memory here");
    case PCRE2_ERROR_NOMEMORY: return pm_fail_memory(err);
    default:
        if (rc < 0) {
            return pm_fail_at(err, PM_LIMIT, pos, "the pattern cannot be matched here (PCRE2 error %d)", rc);
        }
        *end = pcre2_get_ovector_pointer(s->data)[1];
        return PM_OK;
    }
}

pm_status pm_regex_match(const pm_regex *r, pm_regex_scratch *s, const uint8_t *text, size_t len, size_t pos,
                         size_t *end, uint64_t *budget, pm_error *err) {
    size_t window = len - pos;
    uint32_t options = PCRE2_NO_UTF_CHECK;

    if (window > WINDOW) {
        window = WINDOW;
        while ((text[pos + window] & 0xC0) == 0x80) {
            window--;
        }
        options |= PCRE2_PARTIAL_HARD;
    }
    int rc = r->quick_jit ? pcre2_jit_match(r->quick, text, pos + window, pos, options, s->data, s->quick)
                          : pcre2_match(r->quick, text, pos + window, pos, options, s->data, s->quick_interpreted);
    if (rc >= 0) {
        *end = pcre2_get_ovector_pointer(s->data)[1];
        return PM_OK;
    }
    if (rc == PCRE2_ERROR_NOMATCH) {
        *end = SIZE_MAX;
        return PM_OK;
    }
    return match_counted(r, s, text, len, pos, end, budget, err);
}

#endif
