/* texts.c - see texts.h. */
#include "encode/texts.h"

pm_status pm_texts_init(pm_texts *texts, const pm_bytes *of, size_t n, pm_error *err) {
    size_t slots = 16;

    while (slots / 2 < n) {
        slots *= 2;
    }
    *texts = (pm_texts){.of = of, .mask = slots - 1, .slots = pm_alloc(slots, sizeof *texts->slots)};
    if (!texts->slots) {
        return pm_fail_memory(err);
    }
    memset(texts->slots, 0xFF, slots * sizeof *texts->slots); /* PM_ID_NONE everywhere */
    return PM_OK;
}

void pm_texts_release(pm_texts *texts) {
    pm_free(texts->slots);
    *texts = (pm_texts){0};
}

pm_id pm_texts_add(pm_texts *texts, pm_id id) {
    pm_bytes text = texts->of[id];
    uint64_t hash = pm_hash(text.data, text.len);
    size_t i = (size_t)hash & texts->mask;

    while (texts->slots[i].id != PM_ID_NONE) {
        if (pm_bytes_equal(texts->of[texts->slots[i].id], text)) {
            return texts->slots[i].id;
        }
        i = (i + 1) & texts->mask;
    }
    texts->slots[i] = (pm_texts_slot){(uint32_t)(hash >> 32), id};
    texts->longest = text.len > texts->longest ? text.len : texts->longest;
    return id;
}
