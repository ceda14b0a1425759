/* texts.h - from a text to its id: a hash table over texts that somebody else keeps. */
#ifndef PM_ENCODE_TEXTS_H
#define PM_ENCODE_TEXTS_H

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/hash.h"

typedef struct pm_texts_slot {
    uint32_t hash; /* high bits of the text's hash */
    pm_id id;      /* PM_ID_NONE: empty */
} pm_texts_slot;

/* {0} is one without texts. */
typedef struct pm_texts {
    const pm_bytes *of; /* the text of each id, borrowed */
    pm_texts_slot *slots;
    size_t mask; /* slots - 1; at most half are taken */
    size_t longest;
} pm_texts;

/* Room for n texts of ids: of[id] is that of id. Errors: PM_NO_MEMORY. */
pm_status pm_texts_init(pm_texts *texts, const pm_bytes *of, size_t n, pm_error *err);
void pm_texts_release(pm_texts *texts);

/* Adds of[id], not empty, unless an equal text is there. Returns the id that the text has now. */
pm_id pm_texts_add(pm_texts *texts, pm_id id);

/* The id of a text, or PM_ID_NONE. */
static inline pm_id pm_texts_find(const pm_texts *texts, const uint8_t *text, size_t len) {
    if (len > texts->longest) {
        return PM_ID_NONE;
    }
    uint64_t hash = pm_hash(text, len);
    for (size_t i = (size_t)hash & texts->mask;; i = (i + 1) & texts->mask) {
        const pm_texts_slot *slot = &texts->slots[i];
        if (slot->id == PM_ID_NONE) {
            return PM_ID_NONE;
        }
        if (slot->hash == hash >> 32 && texts->of[slot->id].len == len && memcmp(texts->of[slot->id].data, text, len) == 0) {
            return slot->id;
        }
    }
}

#endif
