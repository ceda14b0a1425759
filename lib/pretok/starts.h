/* starts.h - the pre-tokens of a document by a named pattern, many at a time; the same as its scanner gives (scan.h), only faster. */
#ifndef PM_PRETOK_STARTS_H
#define PM_PRETOK_STARTS_H

#include "pretok/classes.h"
#include "pretok/rules.h"

/* Bytes looked at in one go: what belongs to them stays in the first cache. */
enum { PM_WINDOW = 4096, PM_WINDOW_WORDS = PM_WINDOW / 64 + 1 };

/* A document at work: a window of it, which begins with a pre-token, and where pre-tokens start in it. */
typedef struct pm_starts pm_starts;
typedef size_t (*pm_find_fn)(pm_starts *s);
struct pm_starts {
    pm_find_fn find; /* the pattern's search */
    pm_cpu cpu;
    pm_classes_fn classes;
    size_t window;       /* bytes a window: 64 to PM_WINDOW; small ones are for tests */
    const uint8_t *text; /* the rest of the document, from the window on */
    size_t len, at;      /* its length and its place in the document */
    size_t stop;         /* where the window's last pre-token ends, from text on */
    bool told;           /* that was given to the caller */
    size_t word, n_words; /* the bits still to be given are in these words */
    size_t n_hard;        /* places that took the scanner, since pm_starts_begin */
    uint64_t bits[PM_WINDOW_WORDS + 1]; /* bit i of bits[k + 1]: a pre-token starts at byte 64 k + i; bits[0] is room for what moves back */
    uint64_t hard[PM_WINDOW_WORDS];     /* places that the scanner settles */
    pm_class_word words[PM_WINDOW_WORDS];
};

/* pm_starts_gpt2() and so on, one a row of the rules. */
#define DECLARE_STARTS(name, ...) size_t pm_starts_##name(pm_starts *s);
PM_RULES(DECLARE_STARTS)
#undef DECLARE_STARTS

/* Sets what all documents share: the pattern's search, whose code runs, PM_WINDOW. The rest of *s is left as it is. */
void pm_starts_init(pm_starts *s, pm_find_fn find, pm_cpu cpu);

/* Begins a document; the text is borrowed until its last pre-token was given. */
void pm_starts_begin(pm_starts *s, const uint8_t *text, size_t len);

/* The ends of the next pre-tokens, at most cap; returns their number, 0 at the end of the document (or when cap is 0). */
size_t pm_starts_next(pm_starts *s, size_t *ends, size_t cap);

#endif
