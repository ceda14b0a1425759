/* grapheme.c - see grapheme.h. One pass from character to character; what the rules ask of what stands before is kept
 * as it goes by.
 *
 * Categories are those of Unicode Standard Annex 29 (GraphemeBreakProperty, Extended_Pictographic,
 * Indic_Conjunct_Break), from the table of forms.h. Rules are named GBn there. */
#include "text/grapheme.h"

#include "text/forms.h"
#include "text/utf8.h"

enum { /* in the order of make_forms_table.py */
       ANY,
       CR,
       CONTROL,
       EXTEND,
       PICTOGRAPHIC,
       CONSONANT,
       L,
       LF,
       LV,
       LVT,
       PREPEND,
       REGIONAL,
       SPACING,
       T,
       V,
       ZWJ,
       CATEGORY = 15,
       LINKER = 16, /* Indic_Conjunct_Break=Linker, =Extend */
       EXTENDS = 32
};

/* What was passed. */
typedef struct state {
    uint8_t last;
    bool odd_regional; /* an odd number of regional indicators ends here */
    uint8_t emoji;     /* 1: a pictograph and Extend*; 2: and a ZWJ */
    uint8_t conjunct;  /* 1: a consonant and what extends it; 2: a linker among that */
} state;

static void pass(state *s, uint8_t character) {
    uint8_t category = character & CATEGORY;

    s->odd_regional = category == REGIONAL && !s->odd_regional;
    if (category == PICTOGRAPHIC) {
        s->emoji = 1;
    } else if (category == ZWJ && s->emoji == 1) {
        s->emoji = 2;
    } else if (category != EXTEND || s->emoji != 1) {
        s->emoji = 0;
    }
    if (category == CONSONANT) {
        s->conjunct = 1;
    } else if (character & LINKER) {
        s->conjunct = s->conjunct ? 2 : 0;
    } else if (!(character & EXTENDS)) {
        s->conjunct = 0;
    }
    s->last = category;
}

static bool is_break(const state *s, uint8_t next) {
    uint8_t last = s->last;

    if (last == CR && next == LF) { /* GB3 */
        return false;
    }
    if (last == CONTROL || last == CR || last == LF || next == CONTROL || next == CR || next == LF) { /* GB4, GB5 */
        return true;
    }
    if ((last == L && (next == L || next == V || next == LV || next == LVT)) ||
        ((last == LV || last == V) && (next == V || next == T)) ||
        ((last == LVT || last == T) && next == T)) { /* GB6 to GB8 */
        return false;
    }
    if (next == EXTEND || next == ZWJ || next == SPACING || last == PREPEND) { /* GB9, GB9a, GB9b */
        return false;
    }
    switch (next) {
    case CONSONANT: return s->conjunct != 2; /* GB9c */
    case PICTOGRAPHIC: return s->emoji != 2; /* GB11 */
    case REGIONAL: return !s->odd_regional;  /* GB12, GB13 */
    default: return true;
    }
}

size_t pm_grapheme_end(const uint8_t *text, size_t len, size_t pos) {
    state s = {0};
    unsigned n;

    pass(&s, pm_form_of(pm_utf8_read(text + pos, text + len, &n))->grapheme);
    for (pos += n; pos < len; pos += n) {
        uint8_t next = pm_form_of(pm_utf8_read(text + pos, text + len, &n))->grapheme;
        if (is_break(&s, next & CATEGORY)) {
            break;
        }
        pass(&s, next);
    }
    return pos;
}
