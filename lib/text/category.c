/* category.c - the home of the generated table; see category.h. */
#include "text/category.h"

#include <stddef.h>

#include "text/category_table.h"

enum { SHIFT = 8 };

_Static_assert(sizeof category_blocks == 0x110000 >> SHIFT, "the table was made for another block size");

pm_category pm_category_of(uint32_t cp) {
    return (pm_category)category_codes[(size_t)category_blocks[cp >> SHIFT] << SHIFT | (cp & ((1u << SHIFT) - 1))];
}
