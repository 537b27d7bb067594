/* The gate: which tables there will be once everything submitted so far is in.
 *
 * Checks a commit before it gets a position, so that no record in the log needs to be refused
 * later. All calls under the store's submit lock. */
#ifndef FRESHET_STORAGE_TABLE_GATE_H
#define FRESHET_STORAGE_TABLE_GATE_H

#include "storage/table/catalog.h"

struct gate {
    const struct schema **tables; /* by id */
    uint32_t table_count, table_capacity;
};

struct gate_part {               /* what a commit has for one table */
    const struct schema *schema; /* as its maker knew it */
    const uint32_t *column_ids;
    size_t column_count;
};

void gate_init(struct gate *gate);
void gate_deinit(struct gate *gate);
void gate_reset(struct gate *gate, const struct catalog *catalog);
/* EXISTS 42P07, NOT_FOUND 42P01, BUSY 40001 (another ALTER came first). `schema` as
 * commit_set_change has it. */
MUST_CHECK enum err gate_check_change(const struct gate *gate, enum change_kind kind,
                                      uint32_t table_id, const struct schema *schema,
                                      struct error *error);
/* NOT_FOUND 42P01: the table is gone, or its definition no longer has what the rows need. `changed`
 * is what the same commit creates or alters, NULL if nothing. */
MUST_CHECK enum err gate_check_rows(const struct gate *gate, const struct gate_part *part,
                                    const struct schema *changed, struct error *error);
/* After the commit has its position. */
void gate_change(struct gate *gate, enum change_kind kind, uint32_t table_id,
                 const struct schema *schema);

#endif
