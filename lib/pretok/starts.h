/* starts.h - the pre-tokens of a document by a named pattern, many at a time: those that its scanner gives (scan.h),
 * only faster. */
#ifndef PM_PRETOK_STARTS_H
#define PM_PRETOK_STARTS_H

#include "pretok/classes.h"
#include "pretok/scan.h"

/* Bytes looked at in one go: what belongs to them stays in the first cache. A whole number of vectors of eight words,
 * and one word more, have room. */
enum { PM_WINDOW = 4096, PM_WINDOW_WORDS = PM_WINDOW / 64 + 8 };

/* Rare things that are put right one by one. The bits stand at... */
enum {
    PM_RARE_BACK,       /* ... what follows a character of several bytes that is a start */
    PM_RARE_TAIL,       /* ... a line end behind white space that is no start after all */
    PM_RARE_UPPER,      /* ... what follows a word's last run of upper case, which is a start */
    PM_RARE_APOSTROPHE, /* ... an apostrophe that may begin a contraction */
    PM_N_RARE
};

/* A document at work: a window of it, which begins with a pre-token, and where pre-tokens start in it. */
typedef struct pm_starts pm_starts;
typedef size_t (*pm_find_fn)(pm_starts *s);
struct pm_starts {
    pm_find_fn find; /* the pattern's search */
    pm_cpu cpu;
    pm_classes_fn classes;
    size_t window;        /* bytes a window: 64 to PM_WINDOW; small ones are for tests */
    const uint8_t *text;  /* the rest of the document, from the window on */
    size_t len, at;       /* its length and its place in the document */
    size_t stop;          /* where the window's last pre-token ends, from text on */
    bool told;            /* that was given to the caller */
    size_t word, n_words; /* the bits still to be given are in these words */
    size_t n_hard;        /* places that took the scanner, since pm_starts_begin */

    const size_t *ends;   /* several documents: where they end in the whole text; */
    size_t doc, n_docs;   /* the next one, and how many there are */
    size_t packed;        /* so many are in the window */

    /* Bit i of word k is byte 64 k + i of the window. */
    uint64_t bits[1 + PM_WINDOW_WORDS]; /* a pre-token starts there; word k is bits[k + 1], and bits[0] is for nobody */
    uint64_t rare[PM_N_RARE][PM_WINDOW_WORDS];
    uint64_t hard[PM_WINDOW_WORDS]; /* a place that the scanner settles */
    uint64_t gaps[PM_WINDOW_WORDS]; /* between two packed documents; else all 0 */
    pm_class_word words[PM_WINDOW_WORDS];
    uint8_t packed_text[PM_WINDOW + 64];
};

/* pm_starts_gpt2() and so on, one a row of the rules. */
#define DECLARE_STARTS(name, ...) size_t pm_starts_##name(pm_starts *s);
PM_RULES(DECLARE_STARTS)
#undef DECLARE_STARTS

/* Sets what all documents share: the pattern's search, whose code runs, PM_WINDOW. The rest of *s is left as it is. */
void pm_starts_init(pm_starts *s, pm_find_fn find, pm_cpu cpu);

/* Begins a document; the text is borrowed until its last pre-token was given. */
void pm_starts_begin(pm_starts *s, const uint8_t *text, size_t len);

/* Begins n documents that lie one behind the other: the first is text[0 .. ends[0]). The ends of their pre-tokens are given as those of one text. */
void pm_starts_begin_documents(pm_starts *s, const uint8_t *text, const size_t *ends, size_t n);

/* The ends of the next pre-tokens, at most cap; returns their number: 0 at the end of the document, or if cap is 0. */
size_t pm_starts_next(pm_starts *s, size_t *ends, size_t cap);

/* ---- between starts.c and starts_avx512.c ---- */

/* What the algebra leaves open in a window. */
typedef struct pm_unsettled {
    size_t len, n_words;        /* of the window */
    bool last;                  /* the document ends with it */
    bool rare[PM_N_RARE], hard; /* there are some */
    bool tail_open, upper_open; /* its last byte is in a run whose end decides whether the run's begin is a start */
} pm_unsettled;

/* Puts right what is rare and hard; returns s->stop. */
size_t pm_starts_settle(pm_starts *s, pm_unsettled *u, const pm_rules *r, pm_scan_fn scan);

#if defined(__x86_64__)
#define DECLARE_STARTS(name, ...) size_t pm_starts_avx512_##name(pm_starts *s);
PM_RULES(DECLARE_STARTS)
#undef DECLARE_STARTS
/* Brings the starts from where they are in a packed text of len bytes to where they are in the documents. */
void pm_starts_unpack_avx512(pm_starts *s, size_t len);
size_t pm_starts_give_avx512(pm_starts *s, size_t *ends, size_t cap);
#endif

#endif
