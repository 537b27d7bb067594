/* The list of aggregates, found by name; build_aggregate.c chooses among those of one name by
 * argument type. */
#include "query/func/aggregate.h"

static const struct aggregate_group *const groups[] = {
    &aggregates_sum,  &aggregates_bool,  &aggregates_extreme,  &aggregates_spread,
    &aggregates_list, &aggregates_pair,  &aggregates_rank,     &aggregates_place,
    &aggregates_one,  &aggregates_count, &aggregates_distinct, &aggregates_percentile,
    &aggregates_event};

const struct aggregate_group *aggregate_table(size_t index)
{
    return index < array_count(groups) ? groups[index] : NULL;
}

bool aggregate_is_of(const struct aggregate *aggregate, const struct aggregate_group *group)
{
    return aggregate >= group->aggregates && aggregate < group->aggregates + group->count;
}

const struct aggregate *aggregate_next(struct slice name, const struct aggregate *last)
{
    bool is_past = last == NULL;
    for (size_t g = 0; g < array_count(groups); g++) {
        const struct aggregate *aggregates = groups[g]->aggregates;
        size_t first = 0;
        if (!is_past) {
            if (last < aggregates || last >= aggregates + groups[g]->count)
                continue;
            first = (size_t)(last - aggregates) + 1;
            is_past = true;
        }
        for (size_t i = first; i < groups[g]->count; i++) {
            if (slice_equal(slice_from_cstr(aggregates[i].name), name))
                return &aggregates[i];
        }
    }
    return NULL;
}
