/* number.c - see number.h. strtod and printf write numbers as people do here, with a comma perhaps. */
#include "format/number.h"

#include <locale.h>
#include <stdio.h>

enum { LONGEST = 64 };

static char point_here(void) {
    const struct lconv *here = localeconv();
    return here->decimal_point[0] && !here->decimal_point[1] ? here->decimal_point[0] : '.';
}

bool pm_number_read(pm_bytes text, double *number) {
    char copy[LONGEST];
    if (text.len == 0 || text.len >= sizeof copy) {
        return false;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    char *point = strchr(copy, '.');
    if (point) {
        *point = point_here();
    }
    *number = strtod(copy, NULL);
    return true;
}

/* "1e-07" as "1e-7", a whole number with ".0" behind it. */
static void tidy(char *text) {
    char *point = strchr(text, point_here()), *e = strchr(text, 'e');
    if (point) {
        *point = '.';
    }
    if (!e) {
        if (!point) {
            strcat(text, ".0");
        }
        return;
    }
    char *digits = e + 1 + (e[1] == '-' || e[1] == '+'), *to = e[1] == '-' ? e + 2 : e + 1;
    while (*digits == '0' && digits[1]) {
        digits++;
    }
    memmove(to, digits, strlen(digits) + 1);
}

pm_status pm_number_append(pm_buf *out, double number, pm_error *err) {
    char text[LONGEST];
    double again;
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        again = strtod(text, NULL);
        if (memcmp(&again, &number, sizeof number) == 0) {
            break;
        }
    }
    if (strchr(text, 'e') && number < 1e16 && number > -1e16 && (number >= 1 || number <= -1)) {
        snprintf(text, sizeof text, "%.0f", number);
    }
    tidy(text);
    return pm_buf_append(out, text, strlen(text), err);
}
