/* Dead letters and drift of a batch under construction, or of the part of it behind a mark: a batch
 * of messages holds rows of several sources, and each gets its own section. */
#include "ingest/outcome.h"

#include <string.h>

#define KINDS_MAX 64 /* of rejections told apart by column and kind */

void outcome_take_mark(const struct rows *rows, struct outcome_mark *mark)
{
    *mark = (struct outcome_mark){
        .received = rows->received,
        .stored = rows->sectioned + rows->count,
        .rejection_count = rows->rejection_count,
        .unknown_count = rows->unknown_count,
        .unknown_other = rows->unknown_other,
    };
    if (rows->unknown_count == 0)
        return;
    uint64_t *counts = arena_alloc_array(rows->arena, rows->unknown_count, sizeof(*counts));
    for (size_t i = 0; i < rows->unknown_count; i++)
        counts[i] = rows->unknown[i].count;
    mark->unknown = counts;
}

struct section_dead outcome_dead(const struct rows_rejection *rejection)
{
    struct section_dead dead = {.row = rejection->row,
                                .column = rejection->column,
                                .reason = rejection->reason,
                                .raw = rejection->raw};
    memcpy(dead.sqlstate, rejection->sqlstate, sizeof(dead.sqlstate));
    return dead;
}

/* Did the value not fit the column's type? (Data exceptions but the ones with a row of their own.)
 */
static bool is_type_mismatch(const struct rows_rejection *rejection)
{
    return rejection->column.size > 0 && memcmp(rejection->sqlstate, "22", 2) == 0 &&
           memcmp(rejection->sqlstate, "22008", 5) != 0;
}

static enum drift_kind rejection_drift(const struct rows_rejection *rejection)
{
    if (memcmp(rejection->sqlstate, "23502", 5) == 0)
        return DRIFT_NULL;
    if (is_type_mismatch(rejection))
        return DRIFT_TYPE_MISMATCH;
    return DRIFT_OTHER;
}

/* Rejections by column and kind: few kinds, so a short list is searched. */
static size_t count_rejections(const struct rows *rows, size_t begin,
                               struct section_drift out[KINDS_MAX])
{
    size_t count = 0;
    for (size_t i = begin; i < rows->rejection_count; i++) {
        const struct rows_rejection *rejection = &rows->rejections[i];
        enum drift_kind kind = rejection_drift(rejection);
        size_t at = 0;
        while (at < count &&
               (out[at].kind != kind || !slice_equal(out[at].path, rejection->column)))
            at++;
        if (at == KINDS_MAX)
            continue;
        if (at == count)
            out[count++] = (struct section_drift){
                .kind = kind, .path = rejection->column, .example = rejection->reason};
        out[at].count++;
    }
    return count;
}

static uint64_t unknown_since(const struct rows *rows, const struct outcome_mark *mark, size_t at)
{
    return rows->unknown[at].count - (at < mark->unknown_count ? mark->unknown[at] : 0);
}

void outcome_write_drift(const struct rows *rows, const struct outcome_mark *mark,
                         struct writer *out)
{
    struct section_drift rejected[KINDS_MAX];
    size_t rejected_count = count_rejections(rows, mark->rejection_count, rejected);
    uint64_t other = rows->unknown_other - mark->unknown_other;
    size_t unknown_count = 0;
    for (size_t i = 0; i < rows->unknown_count; i++)
        unknown_count += unknown_since(rows, mark, i) > 0;
    section_begin_drift(out, unknown_count + (other > 0) + rejected_count);
    for (size_t i = 0; i < rows->unknown_count; i++) {
        struct section_drift drift = {.kind = DRIFT_UNKNOWN_FIELD,
                                      .path = rows->unknown[i].path,
                                      .example = rows->unknown[i].example,
                                      .count = unknown_since(rows, mark, i)};
        if (drift.count > 0)
            section_add_drift(out, &drift);
    }
    if (other > 0)
        section_add_drift(out, &(struct section_drift){.kind = DRIFT_TOTAL, .count = other});
    for (size_t i = 0; i < rejected_count; i++)
        section_add_drift(out, &rejected[i]);
}
