/* Cells of table providers: each call adds one value to one column's builder. */
#include "query/provider.h"

void provider_text(struct provider_scan *scan, size_t index, struct slice text)
{
    struct value value = {.type = scan->builders[index].type, .text = text};
    column_builder_add(&scan->builders[index], &value);
}

void provider_cstr(struct provider_scan *scan, size_t index, const char *text)
{
    if (text == NULL)
        provider_null(scan, index);
    else
        provider_text(scan, index, slice_from_cstr(text));
}

void provider_int(struct provider_scan *scan, size_t index, int64_t value)
{
    struct value cell = {.type = scan->builders[index].type, .i = value};
    column_builder_add(&scan->builders[index], &cell);
}

void provider_float(struct provider_scan *scan, size_t index, double value)
{
    struct value cell = {.type = scan->builders[index].type, .f = value};
    column_builder_add(&scan->builders[index], &cell);
}

void provider_bool(struct provider_scan *scan, size_t index, bool value)
{
    struct value cell = {.type = scan->builders[index].type, .b = value};
    column_builder_add(&scan->builders[index], &cell);
}

void provider_null(struct provider_scan *scan, size_t index)
{
    column_builder_add_null(&scan->builders[index]);
}
