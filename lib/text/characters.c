/* characters.c - see characters.h. */
#include "text/characters.h"

pm_status pm_characters_set(pm_characters *map, uint32_t character, uint32_t number, pm_error *err) {
    uint32_t **block = &map->blocks[character >> 8];
    if (!*block) {
        *block = pm_alloc(256, sizeof **block);
        if (!*block) {
            return pm_fail_memory(err);
        }
        memset(*block, 0xFF, 256 * sizeof **block); /* PM_NO_CHARACTER everywhere */
    }
    (*block)[character & 0xFF] = number;
    return PM_OK;
}

void pm_characters_release(pm_characters *map) {
    for (size_t i = 0; i < sizeof map->blocks / sizeof *map->blocks; i++) {
        pm_free(map->blocks[i]);
        map->blocks[i] = NULL;
    }
}
