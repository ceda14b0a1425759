/* fields.h - the members of JSON objects by their names, with errors that name them. */
#ifndef PM_FORMAT_FIELDS_H
#define PM_FORMAT_FIELDS_H

#include "format/json.h"

typedef struct pm_field {
    const char *name;
    const pm_json_value *value; /* found, or NULL */
} pm_field;

/* Finds the members of an object, which errors call `where`; one that is not in the list (PM_UNSUPPORTED), or is there twice (PM_BAD_FORMAT), is an error that names
 * it. */
pm_status pm_fields_get(const pm_json *json, const pm_json_value *object, const char *where, pm_field *fields, size_t n, pm_error *err);

/* The member of an object with a name, whatever else is there; NULL: none, or no object. */
const pm_json_value *pm_field_of(const pm_json *json, const pm_json_value *object, const char *name);

/* "<where><name> is not <so>: that is not supported", where the field is; PM_OK if is_so. */
pm_status pm_field_demand(bool is_so, const pm_field *field, const char *where, const char *so, pm_error *err);

static inline bool pm_field_is_null(const pm_json_value *value) { return !value || value->type == PM_JSON_NULL; }
static inline bool pm_field_is_false(const pm_json_value *value) { return pm_field_is_null(value) || (value->type == PM_JSON_BOOL && !value->truth); }
static inline bool pm_field_is_true(const pm_json_value *value) { return value && value->type == PM_JSON_BOOL && value->truth; }

/* The index of a value, for walks through what it holds: an array's items are first .. next. */
static inline uint32_t pm_json_index(const pm_json *json, const pm_json_value *value) { return (uint32_t)(value - json->values); }

#endif
