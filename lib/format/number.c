/* number.c - see number.h. strtod and printf write numbers as people do here, with a comma perhaps. */
#include "format/number.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>

enum { LONGEST = 64, EXACT_POWERS = 22 /* powers of ten that a double holds exactly */, LARGEST_POWER = 308 };

static char point_here(void) {
    const struct lconv *here = localeconv();
    return here->decimal_point[0] && !here->decimal_point[1] ? here->decimal_point[0] : '.';
}

/* ---------------------------------------------------------------- serde_json ----
 *
 * It gathers the digits in 64 bits (those that have no room are dropped), makes that a double, and multiplies or divides by a power of ten: each step rounds. */

static double power_of_ten(unsigned k) {
    static const double exact[EXACT_POWERS + 1] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    char text[8];
    if (k <= EXACT_POWERS) {
        return exact[k];
    }
    snprintf(text, sizeof text, "1e%u", k);
    return strtod(text, NULL);
}

static double scale(double f, long exponent) {
    for (; exponent < -LARGEST_POWER && f != 0; exponent += LARGEST_POWER) {
        f /= 1e308;
    }
    return f == 0 || exponent < -LARGEST_POWER ? 0 : exponent < 0 ? f / power_of_ten((unsigned)-exponent) : exponent > LARGEST_POWER ? INFINITY : f * power_of_ten((unsigned)exponent);
}

bool pm_number_read(pm_bytes text, double *number) {
    uint64_t digits = 0;
    long exponent = 0, written = 0;
    bool minus = text.len > 0 && text.data[0] == '-', point = false, full = false;
    size_t i = minus;
    if (text.len == 0 || text.len >= LONGEST) {
        return false;
    }
    for (; i < text.len && (text.data[i] == '.' || (text.data[i] >= '0' && text.data[i] <= '9')); i++) {
        unsigned digit = text.data[i] - (unsigned)'0';
        if (text.data[i] == '.') {
            point = true;
            continue;
        }
        full = full || digits > (UINT64_MAX - digit) / 10;
        digits = full ? digits : digits * 10 + digit;
        exponent += full && !point ? 1 : !full && point ? -1 : 0;
    }
    if (i < text.len && (text.data[i] | 0x20) == 'e') {
        bool down = ++i < text.len && text.data[i] == '-';
        i += i < text.len && (text.data[i] == '-' || text.data[i] == '+');
        for (; i < text.len && text.data[i] >= '0' && text.data[i] <= '9' && written < 100000; i++) {
            written = written * 10 + (text.data[i] - '0');
        }
        exponent += down ? -written : written;
    }
    double f = scale((double)digits, exponent);
    *number = minus ? -f : f;
    return true;
}

/* The digits and the number k of them behind the point, of a text that any reader takes for this positive number: digits that a double holds, divided by a power of ten
 * that one holds too, are rounded once. */
static bool find_digits(double number, uint64_t *digits, unsigned *k) {
    for (*k = 0; *k <= EXACT_POWERS; ++*k) {
        double power = power_of_ten(*k), near = nearbyint(number * power);
        for (int step = 0; step < 3 && near < 1.8e19; step++) {
            double f = step == 0 ? near : nextafter(near, step == 1 ? 0 : INFINITY);
            if (f == nearbyint(f) && f / power == number) {
                *digits = (uint64_t)f;
                return true;
            }
        }
    }
    return false;
}

static bool reads_alike(const char *text, double number) {
    double f;
    return pm_number_read((pm_bytes){(const uint8_t *)text, strlen(text)}, &f) && f == number;
}

/* Writes digits with a point before the last k of them. */
static void spell_digits(char text[LONGEST], bool minus, uint64_t digits, unsigned k) {
    char all[LONGEST / 2];
    int n = snprintf(all, sizeof all, "%0*llu", (int)k + 1, (unsigned long long)digits), whole = n - (int)k;
    snprintf(text, LONGEST, "%s%.*s.%s", minus ? "-" : "", whole, all, k ? all + whole : "0");
}

/* ---------------------------------------------------------------- writing ---- */

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
    uint64_t whole;
    unsigned k;
    if (!reads_alike(text, number) && find_digits(fabs(number), &whole, &k)) {
        spell_digits(text, number < 0, whole, k);
    }
    return pm_buf_append(out, text, strlen(text), err);
}
