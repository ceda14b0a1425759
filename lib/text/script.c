/* script.c - how many bytes of a text belong to which script of Unicode.
 *
 * The script of a character is two look-ups in a generated table. Two kinds of text, which most corpora are made of, do
 * not come there: eight bytes of ASCII at a time are letters (Latin) or not (Common), told by arithmetic on the whole
 * word, and three bytes that begin with E5 to E9 are a character of U+5000 to U+9FFF, all of them Han. Runs of one
 * script are added up before they are written down.
 *
 *     "a 中"    61 20 E4 B8 AD    Latin 1, Common 1, Han 3
 *
 * Cost, measured at 2.1 GHz: see docs/LOG.md. */
#include "text/script.h"

#include "text/script_table.h"
#include "text/utf8.h"

enum { SHIFT = 8, NOT_UTF8 = 0, COMMON = 1, N_SCRIPTS = sizeof script_names / sizeof *script_names };

_Static_assert(sizeof script_blocks == 0x110000 >> SHIFT, "the table was made for another block size");
_Static_assert(N_SCRIPTS <= PM_SCRIPTS_MAX, "a script's number is a byte");

const char *pm_script_name(unsigned script) { return script < N_SCRIPTS ? script_names[script] : NULL; }

unsigned pm_script(uint32_t cp) {
    return script_codes[(size_t)script_blocks[cp >> SHIFT] << SHIFT | (cp & ((1u << SHIFT) - 1))];
}

/* How many of the eight bytes, all ASCII, are letters. Lower case first; then the top bit of a byte + (0x80 - 'a') is
 * "from a on", and that of a byte + (0x7F - 'z') "behind z": no sum carries into the next byte. */
static inline unsigned letters(uint64_t word) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t low = word | ones * 0x20;
    uint64_t is = (low + ones * (0x80 - 'a')) & ~(low + ones * (0x7F - 'z')) & ones * 0x80;
    return (unsigned)((is >> 7) * ones >> 56);
}

/* Counts ASCII from p on; where it ends. */
static const uint8_t *count_ascii(const uint8_t *p, const uint8_t *end, unsigned latin, uint64_t *bytes) {
    const uint8_t *start = p;
    uint64_t word, n = 0;
    while (end - p >= 8 && (memcpy(&word, p, 8), (word & UINT64_C(0x8080808080808080)) == 0)) {
        n += letters(word);
        p += 8;
    }
    for (; p < end && *p < 0x80; p++) {
        n += (uint8_t)((*p | 0x20) - 'a') < 26;
    }
    bytes[latin] += n;
    bytes[COMMON] += (uint64_t)(p - start) - n;
    return p;
}

/* The same for the characters from U+5000 to U+9FFF. */
static const uint8_t *count_han(const uint8_t *p, const uint8_t *end, unsigned han, uint64_t *bytes) {
    const uint8_t *start = p;
    while (end - p >= 3 && (uint8_t)(p[0] - 0xE5) <= 4 && (p[1] & 0xC0) == 0x80 && (p[2] & 0xC0) == 0x80) {
        p += 3;
    }
    bytes[han] += (uint64_t)(p - start);
    return p;
}

void pm_text_scripts(pm_bytes text, uint64_t bytes[PM_SCRIPTS_MAX]) {
    const uint8_t *p = text.data, *end = text.len ? p + text.len : p;
    unsigned latin = pm_script('a'), han = pm_script(0x5000);
    while (p < end) {
        p = count_ascii(p, end, latin, bytes);
        p = count_han(p, end, han, bytes);
        if (p < end && *p >= 0x80) {
            unsigned len;
            uint32_t cp = pm_utf8_read(p, end, &len);
            bytes[cp == PM_BAD_BYTE && len == 1 ? NOT_UTF8 : pm_script(cp)] += len;
            p += len;
        }
    }
}
