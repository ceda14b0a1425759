/* charsmap.c - see charsmap.h.
 *
 * The double array. A node is a unit; its children lie at base ^ byte, where base is the node's place ^ its offset, and
 * a child carries its byte as label. A node that ends a rule has its value in the unit at base itself.
 *
 *     bit 31        set: the unit is a value, bits 0-30
 *     bits 10-30    offset; shifted left by 8 when bit 9 is set
 *     bit 8         the node ends a rule
 *     bits 0-7      label
 *
 * Checks, so that a search needs none: for each unit that is no value, base and all of base ^ 0 .. base ^ 255 lie in
 * the array; a value is where a text begins. The 256 places differ in their low 8 bits only. Then the longest way from
 * the root: nodes may be shared (darts-clone merges equal ends), so it is a graph; in a broken file one with cycles, in
 * which a search would go on as long as the text does. Children of a base are found by sorting the units by place ^
 * label; a walk in depth with an own stack takes the height of each base once. A cycle is a way longer than
 * PM_CHARSMAP_LONGEST.
 *
 * Source: darts-clone (BSD licence), sentencepiece's src/normalizer.cc (which has the first check). */
#include "text/charsmap.h"

#include "text/utf8.h"

enum { MATCHES_MAX = 32 /* sentencepiece looks no further */, UNITS_MULTIPLE = 1024 };
#define NONE UINT32_MAX

static inline uint32_t unit_at(const pm_charsmap *map, size_t i) {
    const uint8_t *p = map->units + 4 * i;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint32_t label_of(uint32_t unit) { return unit & (UINT32_C(1) << 31 | 0xFF); }
static inline bool is_value(uint32_t unit) { return unit >> 31; }
static inline bool ends_rule(uint32_t unit) { return unit >> 8 & 1; }
static inline size_t offset_of(uint32_t unit) { return (size_t)(unit >> 10) << ((unit & 1u << 9) >> 6); }
static inline size_t value_of(uint32_t unit) { return unit & (UINT32_MAX >> 1); }

static pm_bytes text_at(const pm_charsmap *map, size_t value) {
    const uint8_t *begin = map->texts.data + value;
    return (pm_bytes){begin, strlen((const char *)begin)}; /* the last byte of texts is 0 */
}

/* ---- checks ---- */

static pm_status bad(size_t offset, const char *what, pm_error *err) {
    return pm_fail_at(err, PM_BAD_FORMAT, offset, "charsmap: %s", what);
}

static pm_status check_units(const pm_charsmap *map, size_t n, pm_error *err) {
    for (size_t i = 0; i < n; i++) {
        uint32_t unit = unit_at(map, i);
        size_t base = i ^ offset_of(unit);
        if (is_value(unit)) {
            if (i == 0 || value_of(unit) >= map->texts.len) {
                return bad(4 + 4 * i, "a value leads out of its texts", err);
            }
        } else if ((base | 0xFF) >= n) {
            return bad(4 + 4 * i, "a node leads out of the trie", err);
        } else if (ends_rule(unit) && (i == 0 || !is_value(unit_at(map, base)))) {
            return bad(4 + 4 * i, "a rule has no value", err);
        }
    }
    return label_of(unit_at(map, 0)) == 0 ? PM_OK : bad(4, "the root has a label", err);
}

/* The units by their place ^ label: those of one base are a list. */
typedef struct graph {
    uint32_t *first, *next; /* of a base; of a unit. NONE: no more */
    uint32_t *height;       /* of a base: bytes of the longest rule's end below it, 1 for none; 0: not seen */
} graph;

static void graph_release(graph *g) {
    pm_free(g->first);
    pm_free(g->next);
    pm_free(g->height);
}

static pm_status graph_make(graph *g, const pm_charsmap *map, size_t n, pm_error *err) {
    g->first = pm_alloc(n, sizeof *g->first);
    g->next = pm_alloc(n, sizeof *g->next);
    g->height = pm_calloc(n, sizeof *g->height);
    if (!g->first || !g->next || !g->height) {
        return pm_fail_memory(err);
    }
    memset(g->first, 0xFF, n * sizeof *g->first);
    for (size_t i = 0; i < n; i++) {
        uint32_t unit = unit_at(map, i);
        if (!is_value(unit)) {
            size_t parent = i ^ label_of(unit);
            g->next[i] = g->first[parent];
            g->first[parent] = (uint32_t)i;
        }
    }
    return PM_OK;
}

/* A base on the way from the root to where the walk is. */
typedef struct step {
    size_t base;
    uint32_t child, height; /* the next child; what is known of the base's height */
} step;

/* Goes through all that can be reached, children before their parents' end. */
static pm_status walk(graph *g, const pm_charsmap *map, bool characters, pm_error *err) {
    step stack[PM_CHARSMAP_LONGEST + 1];
    size_t depth = 0, base = offset_of(unit_at(map, 0));

    stack[depth++] = (step){base, g->first[base], 1};
    while (depth > 0) {
        step *top = &stack[depth - 1];
        uint32_t node = top->child, height = top->height;
        if (node == NONE) {
            g->height[top->base] = height;
            depth--;
        } else {
            uint32_t unit = unit_at(map, node);
            top->child = g->next[node];
            base = node ^ offset_of(unit);
            if (characters && ends_rule(unit) && (map->texts.data[value_of(unit_at(map, base))] & 0xC0) == 0x80) {
                return bad(4 + 4 * base, "a value leads into a character", err);
            }
            height = g->height[base];
            if (!height) {
                if (depth > PM_CHARSMAP_LONGEST) {
                    return bad(4 + 4 * (size_t)node, "a rule is longer than 1,024 bytes", err);
                }
                stack[depth++] = (step){base, g->first[base], 1};
                continue;
            }
        }
        if (depth > 0 && stack[depth - 1].height < height + 1) {
            stack[depth - 1].height = height + 1;
        }
        if (height > PM_CHARSMAP_LONGEST + 1) {
            return bad(4, "a rule is longer than 1,024 bytes", err);
        }
    }
    return PM_OK;
}

static pm_status check_texts(const pm_charsmap *map, size_t offset, pm_error *err) {
    for (size_t i = 0; i < map->texts.len;) {
        unsigned n;
        if (pm_utf8_read(map->texts.data + i, map->texts.data + map->texts.len, &n) == PM_BAD_BYTE && n == 1) {
            return bad(offset + i, "its texts are no UTF-8", err);
        }
        i += n;
    }
    return PM_OK;
}

/* Most characters have no rule: two bytes tell of nearly all of them. */
static void note_beginnings(pm_charsmap *map) {
    size_t root = offset_of(unit_at(map, 0));

    for (unsigned a = 0; a < 256; a++) {
        uint32_t unit = unit_at(map, root ^ a);
        map->begins[a] = label_of(unit) == a;
        for (unsigned b = 0; map->begins[a] && b < 256; b++) {
            if (ends_rule(unit) || label_of(unit_at(map, root ^ a ^ offset_of(unit) ^ b)) == b) {
                map->pairs[(a << 8 | b) >> 5] |= UINT32_C(1) << (b & 31);
            }
        }
    }
}

pm_status pm_charsmap_init(pm_charsmap *map, pm_bytes blob, bool characters, pm_error *err) {
    graph g = {0};

    *map = (pm_charsmap){0};
    if (blob.len < 4) {
        return bad(0, "it is too short", err);
    }
    map->units = blob.data;
    size_t bytes = unit_at(map, 0), n = bytes / 4;
    map->units += 4;
    if (bytes == 0 || bytes % UNITS_MULTIPLE || bytes >= blob.len - 4) {
        return bad(0, "the length of its trie cannot be", err);
    }
    map->texts = (pm_bytes){blob.data + 4 + bytes, blob.len - 4 - bytes};
    if (map->texts.data[map->texts.len - 1] != 0) {
        return bad(blob.len - 1, "its last text has no end", err);
    }
    PM_TRY(check_units(map, n, err));
    if (characters) {
        PM_TRY(check_texts(map, 4 + bytes, err));
    }
    pm_status status = graph_make(&g, map, n, err);
    status = status == PM_OK ? walk(&g, map, characters, err) : status;
    graph_release(&g);
    if (status == PM_OK) {
        note_beginnings(map);
    }
    return status;
}

/* ---- searches ---- */

size_t pm_charsmap_longest(const pm_charsmap *map, pm_bytes text, pm_bytes *by) {
    size_t node = offset_of(unit_at(map, 0)), longest = 0, value = 0, matches = 0;

    for (size_t i = 0; i < text.len && matches < MATCHES_MAX; i++) {
        uint32_t unit = unit_at(map, node ^ text.data[i]);
        if (label_of(unit) != text.data[i]) {
            break;
        }
        node ^= text.data[i] ^ offset_of(unit);
        if (ends_rule(unit)) {
            longest = i + 1;
            value = value_of(unit_at(map, node));
            matches++;
        }
    }
    if (longest) {
        *by = text_at(map, value);
    }
    return longest;
}

bool pm_charsmap_shortest(const pm_charsmap *map, pm_bytes text, pm_bytes *by) {
    size_t node = offset_of(unit_at(map, 0));

    for (size_t i = 0; i < text.len && text.data[i]; i++) {
        uint32_t unit = unit_at(map, node ^ text.data[i]);
        if (label_of(unit) != text.data[i]) {
            break;
        }
        node ^= text.data[i] ^ offset_of(unit);
        if (ends_rule(unit)) {
            *by = text_at(map, value_of(unit_at(map, node)));
            return true;
        }
    }
    return false;
}
