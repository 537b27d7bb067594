/* What is kept of an answer so that a retry gets it again. */
#ifndef FRESHET_INGEST_STATE_ANSWERS_H
#define FRESHET_INGEST_STATE_ANSWERS_H

#include "ingest/section.h"
#include "storage/base/arena.h"

struct kept_answer {
    uint64_t position;
    int64_t at_us;
    uint32_t rows, duplicates, rejected, detail_size;
    char *detail; /* JSON, owned; NULL: nothing rejected or unknown */
};

/* From a record's request. */
void kept_answer_init(struct kept_answer *answer, const struct section_request *request,
                      uint64_t position, int64_t at_us);
void kept_answer_deinit(struct kept_answer *answer);
/* The body of the 200. */
void kept_answer_print(const struct kept_answer *answer, struct writer *out);
void kept_answer_write(const struct kept_answer *answer, struct writer *out);
bool kept_answer_read(struct reader *reader, struct kept_answer *answer);

#endif
