/* category.h - the general category of a character, of the Unicode version that text/unicode.h names. */
#ifndef PM_TEXT_CATEGORY_H
#define PM_TEXT_CATEGORY_H

#include <stdint.h>

/* In the order of the generated table. */
typedef enum pm_category {
    PM_CATEGORY_LU, PM_CATEGORY_LL, PM_CATEGORY_LT, PM_CATEGORY_LM, PM_CATEGORY_LO,
    PM_CATEGORY_MN, PM_CATEGORY_MC, PM_CATEGORY_ME,
    PM_CATEGORY_ND, PM_CATEGORY_NL, PM_CATEGORY_NO,
    PM_CATEGORY_PC, PM_CATEGORY_PD, PM_CATEGORY_PS, PM_CATEGORY_PE, PM_CATEGORY_PI, PM_CATEGORY_PF, PM_CATEGORY_PO,
    PM_CATEGORY_SM, PM_CATEGORY_SC, PM_CATEGORY_SK, PM_CATEGORY_SO,
    PM_CATEGORY_ZS, PM_CATEGORY_ZL, PM_CATEGORY_ZP,
    PM_CATEGORY_CC, PM_CATEGORY_CF, PM_CATEGORY_CS, PM_CATEGORY_CO, PM_CATEGORY_CN
} pm_category;

/* Of a code point up to 0x10FFFF. */
pm_category pm_category_of(uint32_t cp);

#endif
