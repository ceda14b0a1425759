/* sha256.h - SHA-256 (FIPS 180-4) of bytes that come in parts: the identity of tokenizers, which manifests compare. */
#ifndef PM_BASE_SHA256_H
#define PM_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { PM_SHA256_BYTES = 32, PM_SHA256_HEX = 2 * PM_SHA256_BYTES + 1 };

typedef struct pm_sha256 {
    uint32_t state[8];
    uint64_t len; /* of all bytes so far */
    uint8_t block[64];
} pm_sha256;

void pm_sha256_init(pm_sha256 *s);
void pm_sha256_update(pm_sha256 *s, const void *data, size_t len);
/* The digest as 64 lower-case hexadecimal digits and a NUL. *s is used up. */
void pm_sha256_hex(pm_sha256 *s, char hex[PM_SHA256_HEX]);

#endif
