/* property.c - see property.h.
 *
 * The library splits by one Unicode version (text/unicode.h) on every machine; PCRE2 comes with the system and brings
 * its own. Where the two differ, `[\p{L}]` becomes `[\p{L}\x{1C89}-\x{1C8A}...]`: PCRE2's own table answers first and
 * fast, and the few ranges that it lacks are spelled out. (Spelling out all 660 ranges of \p{L} also works, but PCRE2
 * walks such a list range by range and its compiled form outgrows 64 KB in a pattern like o200k_base.)
 *
 * The difference is found by asking: a text of every code point of planes 0 to 3 and 14 is matched by `[\p{L}]+` and
 * `[^\p{L}]+` in turn, and each run is compared with the table. Two milliseconds a property, and only when the versions
 * are not the same. Should PCRE2 count a character that the table does not (no such change is known), the property is
 * spelled out whole. */
#include "pretok/property.h"

#include <stdio.h>

#include "pretok/engine.h"
#include "text/category.h"
#include "text/script.h"
#include "text/unicode.h"
#include "text/utf8.h"

void pm_properties_release(pm_properties *properties) {
    for (size_t i = 0; i < PM_PROPERTIES; i++) {
        pm_buf_release(&properties->items[i]);
    }
    pm_buf_release(&properties->every);
    memset(properties, 0, sizeof *properties);
}

typedef struct property {
    const char *name;
    const char *item;    /* PCRE2's */
    const char *compare; /* PCRE2's for the same characters as ours */
    uint32_t mask;       /* of categories, 1 << PM_CATEGORY_..; 0: a script */
    unsigned script;
} property;

static bool has_property(const property *p, uint32_t cp) {
    return p->mask ? (UINT32_C(1) << pm_category_of(cp) & p->mask) != 0 : pm_script(cp) == p->script;
}

#define BIT(category) (UINT32_C(1) << PM_CATEGORY_##category)
#define ONE(name, category) {name, "\\p{" name "}", "\\p{" name "}", BIT(category), 0}
#define OF(name, mask) {name, "\\p{" name "}", "\\p{" name "}", mask, 0}

/* \p{Lt} has not changed since Unicode 3.0. */
static const property table[] = {
    OF("L", BIT(LU) | BIT(LL) | BIT(LT) | BIT(LM) | BIT(LO)),
    {"Lu", "\\p{Lu}", "\\p{Lu}\\p{Lt}", BIT(LU) | BIT(LT), 0},
    ONE("Ll", LL),
    ONE("Lm", LM),
    ONE("Lo", LO),
    OF("M", BIT(MN) | BIT(MC) | BIT(ME)),
    ONE("Mn", MN),
    ONE("Mc", MC),
    ONE("Me", ME),
    OF("N", BIT(ND) | BIT(NL) | BIT(NO)),
    ONE("Nd", ND),
    ONE("Nl", NL),
    ONE("No", NO),
    OF("P", BIT(PC) | BIT(PD) | BIT(PS) | BIT(PE) | BIT(PI) | BIT(PF) | BIT(PO)),
    ONE("Pc", PC),
    ONE("Pd", PD),
    ONE("Ps", PS),
    ONE("Pe", PE),
    ONE("Pi", PI),
    ONE("Pf", PF),
    ONE("Po", PO),
    OF("S", BIT(SM) | BIT(SC) | BIT(SK) | BIT(SO)),
    ONE("Sm", SM),
    ONE("Sc", SC),
    ONE("Sk", SK),
    ONE("So", SO),
    ONE("Cf", CF),
    ONE("Cn", CN),
    OF("C", BIT(CC) | BIT(CF) | BIT(CS) | BIT(CO) | BIT(CN)),
    {"Han", "\\p{sc:Han}", "\\p{sc:Han}", 0, PM_SCRIPT_HAN},
    {"Hiragana", "\\p{sc:Hiragana}", "\\p{sc:Hiragana}", 0, PM_SCRIPT_HIRAGANA},
    {"Katakana", "\\p{sc:Katakana}", "\\p{sc:Katakana}", 0, PM_SCRIPT_KATAKANA},
    {"Hangul", "\\p{sc:Hangul}", "\\p{sc:Hangul}", 0, PM_SCRIPT_HANGUL},
    {"Latin", "\\p{sc:Latin}", "\\p{sc:Latin}", 0, PM_SCRIPT_LATIN},
    {"Common", "\\p{sc:Common}", "\\p{sc:Common}", 0, PM_SCRIPT_COMMON},
    {"Inherited", "\\p{sc:Inherited}", "\\p{sc:Inherited}", 0, PM_SCRIPT_INHERITED},
};
_Static_assert(sizeof table / sizeof table[0] == PM_PROPERTIES, "one slot a property");

static pm_status add_range(pm_buf *out, uint32_t first, uint32_t last, pm_error *err) {
    return first == last ? pm_buf_printf(out, err, "\\x{%X}", (unsigned)first)
                         : pm_buf_printf(out, err, "\\x{%X}-\\x{%X}", (unsigned)first, (unsigned)last);
}

/* Ranges of code points as they come in rising order. */
typedef struct ranges {
    pm_buf *out;
    uint32_t first, last;
    bool open;
} ranges;

static pm_status ranges_close(ranges *r, pm_error *err) {
    bool open = r->open;
    r->open = false;
    return open ? add_range(r->out, r->first, r->last, err) : PM_OK;
}

static pm_status ranges_add(ranges *r, uint32_t cp, pm_error *err) {
    if (r->open && cp == r->last + 1) {
        r->last = cp;
        return PM_OK;
    }
    PM_TRY(ranges_close(r, err));
    *r = (ranges){r->out, cp, cp, true};
    return PM_OK;
}

static pm_status spell_out(const property *p, pm_buf *out, pm_error *err) {
    ranges r = {out, 0, 0, false};
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        if (has_property(p, cp) && (cp < 0xD800 || cp >= 0xE000)) {
            PM_TRY(ranges_add(&r, cp, err));
        }
    }
    return ranges_close(&r, err);
}

#ifndef PM_HAVE_PCRE2

void pm_property_engine_version(char version[24]) { version[0] = '\0'; }

pm_status pm_property_known(const char *item, bool *known, pm_error *err) {
    (void)item;
    (void)err;
    *known = true;
    return PM_OK;
}

static pm_status add_difference(pm_properties *properties, const property *p, pm_buf *out, pm_error *err) {
    (void)properties;
    return pm_buf_append(out, p->item, strlen(p->item), err);
}

#else

void pm_property_engine_version(char version[24]) {
    version[0] = '\0';
    int n = pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, NULL);
    if (n > 0 && n <= 24) {
        pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, version);
    }
}

/* A class compiled for anchored matching; NULL in *code when PCRE2 refuses it. */
static pm_status compile_class(pcre2_code **code, const char *pattern, pm_error *err) {
    int error;
    PCRE2_SIZE at;
    pcre2_general_context *general = pm_engine_context();
    pcre2_compile_context *context = general ? pcre2_compile_context_create(general) : NULL;

    *code = NULL;
    error = PCRE2_ERROR_NOMEMORY;
    if (context) {
        *code = pcre2_compile((PCRE2_SPTR)pattern, strlen(pattern),
                              PCRE2_UTF | PCRE2_ANCHORED | PCRE2_NO_START_OPTIMIZE, &error, &at, context);
    }
    pcre2_compile_context_free(context);
    pcre2_general_context_free(general);
    return !*code && pm_engine_out_of_memory(error) ? pm_fail_memory(err) : PM_OK;
}

pm_status pm_property_known(const char *item, bool *known, pm_error *err) {
    pcre2_code *code;
    PM_TRY(compile_class(&code, item, err));
    *known = code != NULL;
    pcre2_code_free(code);
    return PM_OK;
}

/* Planes 4 to 13 are empty, 15 and 16 private. */
static pm_status write_every(pm_buf *every, pm_error *err) {
    if (every->len) {
        return PM_OK;
    }
    PM_TRY(pm_buf_reserve(every, 4 * 0x50000, err));
    for (uint32_t cp = 0; cp < 0xF0000; cp++) {
        if (cp == 0xD800) {
            cp = 0xE000;
        } else if (cp == 0x40000) {
            cp = 0xE0000;
        }
        every->len += pm_utf8_write(cp, every->data + every->len);
    }
    return PM_OK;
}

/* Walks the runs that PCRE2 is in and out of; appends what only our table has, and sets *surplus when PCRE2 has more. */
static pm_status compare_runs(const pm_buf *every, pcre2_code *const code[2], pcre2_match_data *data, const property *p,
                              pm_buf *out, bool *surplus, pm_error *err) {
    ranges r = {out, 0, 0, false};
    size_t pos = 0;

    for (int outside = 0; pos < every->len; outside = !outside) {
        int rc = pcre2_match(code[outside], every->data, every->len, pos, PCRE2_NO_UTF_CHECK, data, NULL);
        if (rc == PCRE2_ERROR_NOMATCH) {
            continue; /* the first character is outside, or none is */
        }
        if (rc < 0) {
            return rc == PCRE2_ERROR_NOMEMORY ? pm_fail_memory(err)
                                              : pm_fail(err, PM_UNSUPPORTED, "PCRE2 failed with %d", rc);
        }
        size_t end = pcre2_get_ovector_pointer(data)[1];
        while (pos < end) {
            unsigned n;
            uint32_t cp = pm_utf8_read(every->data + pos, every->data + end, &n);
            bool has = has_property(p, cp);
            *surplus |= !outside && !has;
            if (outside && has) {
                PM_TRY(ranges_add(&r, cp, err));
            }
            pos += n;
        }
    }
    return ranges_close(&r, err);
}

static pm_status find_difference(const pm_buf *every, const property *p, pm_buf *out, bool *surplus, pm_error *err) {
    pcre2_code *code[2] = {NULL, NULL};
    pcre2_match_data *data = NULL;
    char pattern[64];
    pm_status status = PM_OK;

    for (int outside = 0; outside < 2 && status == PM_OK; outside++) {
        snprintf(pattern, sizeof pattern, "[%s%s]++", outside ? "^" : "", p->compare);
        status = compile_class(&code[outside], pattern, err);
        if (status == PM_OK && !code[outside]) {
            status = pm_fail(err, PM_UNSUPPORTED, "this PCRE2 does not know the property %s", p->item);
        } else if (status == PM_OK) {
            pcre2_jit_compile(code[outside], PCRE2_JIT_COMPLETE); /* where there is no JIT, pcre2_match goes without */
        }
    }
    if (status == PM_OK) {
        data = pcre2_match_data_create_from_pattern(code[0], NULL);
        status = data ? compare_runs(every, code, data, p, out, surplus, err) : pm_fail_memory(err);
    }
    pcre2_match_data_free(data);
    pcre2_code_free(code[0]);
    pcre2_code_free(code[1]);
    return status;
}

static pm_status add_difference(pm_properties *properties, const property *p, pm_buf *out, pm_error *err) {
    char version[24];
    bool surplus = false;

    PM_TRY(pm_buf_append(out, p->item, strlen(p->item), err));
    pm_property_engine_version(version);
    if (strcmp(version, pm_unicode_version) == 0) {
        return PM_OK;
    }
    PM_TRY(write_every(&properties->every, err));
    PM_TRY(find_difference(&properties->every, p, out, &surplus, err));
    if (surplus) {
        out->len = 0;
        return spell_out(p, out, err);
    }
    return PM_OK;
}

#endif

pm_status pm_property_items(pm_properties *properties, const char *name, pm_buf *out, bool *found, pm_error *err) {
    *found = false;
    for (size_t i = 0; i < PM_PROPERTIES; i++) {
        if (strcmp(table[i].name, name) != 0) {
            continue;
        }
        pm_buf *items = &properties->items[i];
        if (!properties->known[i]) {
            items->len = 0;
            PM_TRY(add_difference(properties, &table[i], items, err));
            properties->known[i] = true;
        }
        *found = true;
        return pm_buf_append(out, items->data, items->len, err);
    }
    return PM_OK;
}

/* Whether two names of a property are the same but for case, blanks, '-' and '_'. */
static bool same_name(const char *a, const char *b) {
    for (;; a++, b++) {
        a += strspn(a, " -_");
        b += strspn(b, " -_");
        char c = *a >= 'A' && *a <= 'Z' ? (char)(*a + 32) : *a, d = *b >= 'A' && *b <= 'Z' ? (char)(*b + 32) : *b;
        if (c != d || c == '\0') {
            return c == d;
        }
    }
}

pm_status pm_property_script(pm_properties *properties, const char *name, pm_buf *out, bool *found, pm_error *err) {
    char item[64];
    const char *known;
    unsigned script = PM_SCRIPT_COMMON;

    while ((known = pm_script_name(script)) != NULL && !same_name(known, name)) {
        script++;
    }
    *found = known != NULL;
    if (!known) {
        return PM_OK;
    }
    snprintf(item, sizeof item, "\\p{sc:%s}", known);
    property p = {known, item, item, 0, script};
    PM_TRY(pm_property_known(item, found, err));
    if (*found) {
        return add_difference(properties, &p, out, err);
    }
    *found = true; /* it is newer than this PCRE2 */
    return spell_out(&p, out, err);
}
