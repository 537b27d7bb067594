/* WITH (…) of a subscription: what its texts mean. */
#ifndef FRESHET_INGEST_KAFKA_SETTINGS_H
#define FRESHET_INGEST_KAFKA_SETTINGS_H

#include "ingest/ingest.h"
#include "ingest/state/subscriptions.h"

/* start = 'earliest' | 'latest' | '0:1500,3:1490' (partition:offset of the first message wanted;
 * partitions that are not named begin at their earliest). */
struct subscription_start {
    enum { START_EARLIEST, START_LATEST, START_POSITIONS } kind;
    size_t count;
    struct subscription_position *positions; /* by partition */
};
MUST_CHECK enum err settings_parse_start(struct slice text, struct arena *arena,
                                         struct subscription_start *out, struct error *error);
/* partitions = '0-5,7': ascending, none twice; empty: all, by the group's assignment. */
MUST_CHECK enum err settings_parse_partitions(struct slice text, struct arena *arena, int32_t **out,
                                              size_t *count, struct error *error);
/* Puts options into a definition whose texts live as long as theirs. CREATE gives defaults first
 * (definition->name is set); `is_alter`: `table` cannot be changed. 22023 names what is unknown or
 * wrong, at its place. *has_start: `start` was among them. */
MUST_CHECK enum err settings_apply(struct subscription_definition *definition,
                                   const struct ingest_option *options, size_t count, bool is_alter,
                                   bool *has_start, struct error *error);

#endif
