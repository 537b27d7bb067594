/* What became of rows, as sections say it: dead letters and drift. */
#ifndef FRESHET_INGEST_OUTCOME_H
#define FRESHET_INGEST_OUTCOME_H

#include "ingest/rows/rows.h"
#include "ingest/section.h"

/* Rows up to here belong to somebody before: the counts as they stood. Zeroed: the beginning. */
struct outcome_mark {
    size_t received, stored, rejection_count;
    size_t unknown_count;
    const uint64_t *unknown; /* counts, in the rows' arena */
    uint64_t unknown_other;
};
void outcome_take_mark(const struct rows *rows, struct outcome_mark *mark);

struct section_dead outcome_dead(const struct rows_rejection *rejection);
/* The list of drift since the mark, with its count before it. */
void outcome_write_drift(const struct rows *rows, const struct outcome_mark *mark,
                         struct writer *out);

#endif
