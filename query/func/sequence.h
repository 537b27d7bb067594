/* Patterns over events in time: what sequence_match() looks for. For query/func only. */
#ifndef FRESHET_QUERY_FUNC_SEQUENCE_H
#define FRESHET_QUERY_FUNC_SEQUENCE_H

#include "storage/base/error.h"
#include "storage/base/slice.h"

#define SEQUENCE_STEPS_MAX 32
#define SEQUENCE_PATTERN_SIZE_MAX 1024

/* An event: when, and which conditions hold (bit 0: the first). */
struct event {
    int64_t time_us;
    uint32_t conditions;
};

struct sequence_step {
    uint32_t conditions;       /* one of these must hold; all bits: any event */
    bool has_gap;              /* anything may lie before it */
    int64_t least_us, most_us; /* after the step before */
};
struct sequence {
    size_t step_count;
    struct sequence_step steps[SEQUENCE_STEPS_MAX];
};

/* (?1) an event of the first condition, . any event, .* any number of them, (?t<=30) at most 30
 * seconds after the step before (also < > >= ==). 22023 with the place for anything else. */
MUST_CHECK enum err sequence_parse(struct slice pattern, size_t condition_count,
                                   struct sequence *out, struct error *error);
/* How often the steps follow each other in events that are in order of time; matches do not
 * overlap. most: stop after so many. Time is that of steps * events * log(events), memory one list
 * of times a step, which `times` (step_count * event_count) has room for. */
size_t sequence_count(const struct sequence *sequence, const struct event *events, size_t count,
                      int64_t *times, size_t most);

#endif
