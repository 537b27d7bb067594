/* Kept answers: 40 bytes each, and the text of what was rejected or unknown only where there is
 * any. */
#include "ingest/state/answers.h"

void kept_answer_init(struct kept_answer *answer, const struct section_request *request,
                      uint64_t position, int64_t at_us)
{
    *answer = (struct kept_answer){
        .position = position,
        .at_us = at_us,
        .rows = (uint32_t)request->counts[FATE_STORED],
        .duplicates = (uint32_t)request->counts[FATE_DUPLICATE],
        .rejected = (uint32_t)request->counts[FATE_DEAD],
    };
    struct writer detail;
    writer_init(&detail);
    section_write_detail(request, &detail);
    if (detail.size > 0) {
        answer->detail = memory_alloc(detail.size);
        memcpy(answer->detail, detail.data, detail.size);
        answer->detail_size = (uint32_t)detail.size;
    }
    writer_deinit(&detail);
}

void kept_answer_deinit(struct kept_answer *answer)
{
    memory_free(answer->detail);
    answer->detail = NULL;
}

void kept_answer_print(const struct kept_answer *answer, struct writer *out)
{
    answer_write(out, answer->position, answer->rows, answer->duplicates, answer->rejected,
                 slice_of(answer->detail, answer->detail_size));
}

void kept_answer_write(const struct kept_answer *answer, struct writer *out)
{
    writer_u64(out, answer->position);
    writer_i64(out, answer->at_us);
    writer_varint(out, answer->rows);
    writer_varint(out, answer->duplicates);
    writer_varint(out, answer->rejected);
    writer_text(out, slice_of(answer->detail, answer->detail_size));
}

bool kept_answer_read(struct reader *reader, struct kept_answer *answer)
{
    *answer = (struct kept_answer){.position = reader_u64(reader), .at_us = reader_i64(reader)};
    answer->rows = (uint32_t)reader_varint(reader);
    answer->duplicates = (uint32_t)reader_varint(reader);
    answer->rejected = (uint32_t)reader_varint(reader);
    struct slice detail = reader_text(reader);
    if (reader->failed)
        return false;
    if (detail.size > 0) {
        answer->detail = memory_alloc(detail.size);
        memcpy(answer->detail, detail.data, detail.size);
        answer->detail_size = (uint32_t)detail.size;
    }
    return true;
}
