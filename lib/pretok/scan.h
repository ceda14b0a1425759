/* scan.h - the scanners of the named patterns; their type and contract are in names.h. */
#ifndef PM_PRETOK_SCAN_H
#define PM_PRETOK_SCAN_H

#include <stddef.h>
#include <stdint.h>

size_t pm_scan_gpt2(const uint8_t *text, size_t len, size_t pos);
size_t pm_scan_cl100k(const uint8_t *text, size_t len, size_t pos); /* llama3 too */
size_t pm_scan_qwen2(const uint8_t *text, size_t len, size_t pos);
size_t pm_scan_o200k(const uint8_t *text, size_t len, size_t pos);
size_t pm_scan_tekken(const uint8_t *text, size_t len, size_t pos);
size_t pm_scan_kimi_k2(const uint8_t *text, size_t len, size_t pos);
size_t pm_scan_deepseek_v3(const uint8_t *text, size_t len, size_t pos);

#endif
