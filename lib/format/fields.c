/* fields.c - see fields.h. */
#include "format/fields.h"

static uint32_t first_key(const pm_json *json, const pm_json_value *object) { return pm_json_index(json, object) + 1; }

pm_status pm_fields_get(const pm_json *json, const pm_json_value *object, const char *where, pm_field *fields, size_t n, pm_error *err) {
    if (!object || object->type != PM_JSON_OBJECT) {
        return pm_fail_at(err, PM_BAD_FORMAT, object ? object->offset : PM_NO_OFFSET, "expected an object: %s", where);
    }
    for (uint32_t i = first_key(json, object); i < object->next; i = json->values[i + 1].next) {
        const pm_json_value *key = &json->values[i];
        size_t f = 0;
        while (f < n && !pm_json_is(key, fields[f].name)) {
            f++;
        }
        if (f == n) {
            int len = key->text.len < 64 ? (int)key->text.len : 64;
            return pm_fail_at(err, PM_UNSUPPORTED, key->offset, "field '%.*s' of %s is not known", len, (const char *)key->text.data, where);
        }
        if (fields[f].value) {
            return pm_fail_at(err, PM_BAD_FORMAT, key->offset, "field '%s' of %s is there twice", fields[f].name, where);
        }
        fields[f].value = key + 1;
    }
    return PM_OK;
}

const pm_json_value *pm_field_of(const pm_json *json, const pm_json_value *object, const char *name) {
    if (pm_field_is_null(object) || object->type != PM_JSON_OBJECT) {
        return NULL;
    }
    for (uint32_t i = first_key(json, object); i < object->next; i = json->values[i + 1].next) {
        if (pm_json_is(&json->values[i], name)) {
            return &json->values[i + 1];
        }
    }
    return NULL;
}

pm_status pm_field_demand(bool is_so, const pm_field *field, const char *where, const char *so, pm_error *err) {
    return is_so ? PM_OK
                 : pm_fail_at(err, PM_UNSUPPORTED, field->value ? field->value->offset : PM_NO_OFFSET, "%s%s is not %s: that is not supported", where,
                              field->name, so);
}
