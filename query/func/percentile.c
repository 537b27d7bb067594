/* One fraction or an array of them: percentile_cont(0.5), percentile_disc(ARRAY[0.5, 0.99]).
 *
 * The fractions are constants of the call; a NULL among them is a NULL in the result, and an array
 * gives an array of as many values as it has. */
#include "query/func/percentile.h"

static enum err check(const struct value *fraction, struct error *error)
{
    if (fraction->is_null || (fraction->f >= 0 && fraction->f <= 1))
        return OK;
    return error_set(error, ERR_INPUT, "22003", "percentile value %g is not between 0 and 1",
                     fraction->f);
}

static enum err begin_array(const struct aggregate_call *call, struct array_reader *reader,
                            struct error *error)
{
    const struct value *direct = &call->direct[0];
    return array_begin(reader, (enum type_id)direct->type.id, direct->text)
               ? OK
               : error_set(error, ERR_CORRUPT, NULL, "an array value is malformed");
}

enum err percentile_begin(const struct aggregate_call *call, size_t row_count, struct value *out,
                          bool *is_done, struct error *error)
{
    const struct value *direct = &call->direct[0];
    *out = (struct value){.type = call->type, .is_null = row_count == 0 || direct->is_null};
    *is_done = out->is_null;
    if (direct->is_null || direct->type.id == TYPE_FLOAT8)
        return check(direct, error);
    struct array_reader reader;
    enum err err = begin_array(call, &reader, error);
    for (struct value fraction; err == OK && array_next(&reader, &fraction);)
        err = check(&fraction, error);
    return err;
}

enum err percentile_each(const struct aggregate_call *call, percentile_at *at, void *context,
                         struct aggregate_memory *memory, struct value *out, struct error *error)
{
    if (call->direct[0].type.id == TYPE_FLOAT8)
        return at(context, call->direct[0].f, out, error);
    struct array_reader reader;
    enum err err = begin_array(call, &reader, error);
    if (err != OK)
        return err;
    struct value *values =
        arena_alloc_array(memory->arena, (size_t)reader.count + 1, sizeof(*values));
    size_t count = 0;
    for (struct value fraction; err == OK && array_next(&reader, &fraction); count++) {
        values[count] = (struct value){.type = type_of(type_element((enum type_id)call->type.id)),
                                       .is_null = fraction.is_null};
        if (!fraction.is_null)
            err = at(context, fraction.f, &values[count], error);
    }
    if (err == OK)
        out->text = array_build((enum type_id)call->type.id, values, count, memory->arena);
    return err;
}
