/* From a text's literals to the values of its shape's plan.
 *
 * A string is read by the input function of the type that the planned text's literal became there,
 * a number is of a type of its own, which must be the same. What cannot be read so, or means a time
 * that moves ('now'), is no error here: the text is planned by itself. */
#include "query/lifted.h"

#include "query/expr/eval.h"
#include "query/sql/shape.h"
#include "storage/base/fault.h"

#define FORMULA_BYTES_MAX ((size_t)1 << 20)

bool lifted_fits(const struct lifted_list *lifted, const struct text_shape *shape)
{
    const struct text_shape *planned = &lifted->shape;
    if (!shape_equal(planned, shape))
        return false;
    for (size_t i = 0; i < shape->count; i++) {
        bool is_same = lifted->is_lifted[i]
                           ? planned->literals[i].type == shape->literals[i].type ||
                                 fault_is("cache.shape_ignores_type")
                           : slice_equal(shape_literal(planned, i), shape_literal(shape, i));
        if (!is_same)
            return false;
    }
    return true;
}

bool lifted_read(const struct lifted_list *lifted, const struct text_shape *shape,
                 const struct timezone *zone, struct arena *arena, struct value *out)
{
    struct error ignored;
    struct builder builder = {.arena = arena, .zone = zone, .error = &ignored};
    struct budget budget = {.limit = FORMULA_BYTES_MAX, .name = "a constant"};
    struct eval_context context = {.zone = zone, .budget = &budget, .bound = out};
    for (size_t i = 0; i < lifted->count; i++) {
        const struct lifted *item = &lifted->items[i];
        if (item->formula != NULL) {
            if (expr_evaluate_constant(item->formula, &context, arena, &out[i], &ignored) != OK)
                return false;
            out[i].type = item->type;
            continue;
        }
        struct slice text = shape_literal(shape, item->literal);
        bool is_string = shape->literals[item->literal].is_string;
        if (is_string)
            text = shape_unquote(text, arena);
        if (!build_literal_value(&builder, text, is_string, item->type, &out[i]))
            return false;
    }
    return true;
}
