/* forms.h - characters as Hugging Face's tokenizers knows them when it normalizes: decompositions, cases, marks.
 *
 * The table (forms_table.h) is made by scripts/make_forms_table.py, which asks the library itself. Its normal forms are
 * Unicode 9's, its controls older, its cases newer: a vocabulary from there has seen text in these forms, so they
 * decide for it (docs/normalization.md lists where they differ from Unicode 16). Normalization form C of BytePiece is another
 * matter: nfc.h. */
#ifndef PM_TEXT_FORMS_H
#define PM_TEXT_FORMS_H

#include "base/alloc.h"

enum {                               /* flags of a record; make_forms_table.py knows the numbers */
       PM_FORM_ACCENT = 1 << 0,      /* StripAccents takes it */
       PM_FORM_NONSPACING = 1 << 1,  /* BertNormalizer's strip_accents takes it */
       PM_FORM_CONTROL = 1 << 2,     /* BertNormalizer's clean_text takes it */
       PM_FORM_BLANK = 1 << 3,       /* clean_text makes a blank of it */
       PM_FORM_JOINS = 1 << 4,       /* may compose with a character before it */
       PM_FORM_NFC_SUSPECT = 1 << 5, /* is not its own NFC */
       PM_FORM_NFKC_SUSPECT = 1 << 6 /* is not its own NFKC */
};

/* What is known of a character. Hangul syllables are decomposed by arithmetic and have none here. */
typedef struct pm_form_record {
    uint8_t combining_class, flags;
    uint8_t grapheme;                  /* grapheme.c */
    uint8_t n_canonical, n_compatible; /* lengths of the full decompositions, 0: none */
    uint16_t canonical, compatible;    /* where they begin in pm_form_parts */
    int32_t lower; /* lower case less the character; U+0130 gets U+0307 behind it, and is the only one */
} pm_form_record;

#define PM_FORMS_SHIFT 6
extern const pm_form_record pm_form_records[];
extern const uint32_t pm_form_parts[];

/* The record of a code point up to 0x10FFFF. */
const pm_form_record *pm_form_of(uint32_t character);

typedef enum pm_form { PM_FORM_C, PM_FORM_D, PM_FORM_KC, PM_FORM_KD } pm_form;

/* A character of a normal form and what it did to the text, as the library counts: 0, it stands for the next character
 * of the text; above, it was put in beside that; -n, it stands for the next and n more. */
typedef struct pm_form_item {
    uint32_t character; /* its combining class above bit 24, until the block is made */
    int32_t change;
} pm_form_item;

/* {0} is an empty one; its room is used again. */
typedef struct pm_form_block {
    pm_form_item *items, *sorted;
    size_t n, cap, sorted_cap;
} pm_form_block;

void pm_form_block_release(pm_form_block *block);

/* Where the first character at or behind `pos` (a boundary) is that may not be in the form, or len; *boundary: where a
 * block must begin. */
size_t pm_form_skip(pm_form form, const uint8_t *text, size_t len, size_t pos, size_t *boundary);

/* Takes the characters from `boundary` up to the next boundary behind `trouble`, which goes to *end, and puts them into
 * the form. Errors: PM_NO_MEMORY. */
pm_status pm_form_block_make(pm_form_block *block, pm_form form, const uint8_t *text, size_t len, size_t boundary,
                             size_t trouble, size_t *end, pm_error *err);

#endif
