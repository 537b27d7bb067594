/* COPY on the wire, apart from the messages' frames. */
#include "server/pgwire/copy.h"

#include "storage/base/number.h"

void copy_print_response(enum copy_format format, size_t column_count, struct writer *out)
{
    bool is_binary = format == COPY_BINARY;
    writer_u8(out, is_binary);
    writer_be16(out, (uint16_t)column_count);
    for (size_t index = 0; index < column_count; index++)
        writer_be16(out, is_binary);
}

enum err copy_begin_in(struct ingest *ingest, const struct command *command,
                       const struct settings *settings, const _Atomic bool *is_cancelled,
                       struct budget *held, struct ingest_copy **out, struct error *error)
{
    struct slice producer = slice_from_cstr(settings->producer);
    struct slice sequence = slice_from_cstr(settings->sequence);
    int64_t number = 0;
    if ((producer.size > 0) != (sequence.size > 0))
        return error_set(error, ERR_INPUT, "22023",
                         "freshet.producer and freshet.sequence come together");
    if (sequence.size > 0 && int_parse(sequence, 0, INT64_MAX, "bigint", &number, NULL) != OK)
        return error_set(error, ERR_INPUT, "22023", "freshet.sequence is not a number: \"%.*s\"",
                         SLICE_ARGS(sequence));
    if (held != NULL && producer.size > 0)
        return error_set(error, ERR_UNSUPPORTED, "0A000",
                         "COPY with freshet.sequence in a transaction block is not supported");
    struct ingest_copy_options options = {.table = command->table,
                                          .table_id = command->schema->table_id,
                                          .column_ids = command->column_ids,
                                          .column_count = command->column_id_count,
                                          .format = command->copy,
                                          .producer = producer,
                                          .has_sequence = sequence.size > 0,
                                          .sequence = (uint64_t)number,
                                          .is_strict = settings->is_copy_strict,
                                          .is_cancelled = is_cancelled,
                                          .held = held};
    *out = ingest_copy_begin(ingest, &options);
    return OK;
}

bool copy_print_warning(const struct ingest_copy_answer *answer, bool is_held, struct writer *out)
{
    bool is_one = answer->rejected == 1;
    if (answer->rejected > 0 && is_held)
        writer_printf(out,
                      "%llu %s not stored but will be kept in freshet.dead_letters at COMMIT; %s",
                      (unsigned long long)answer->rejected, is_one ? "row is" : "rows are",
                      answer->reason.text);
    else if (answer->rejected > 0)
        writer_printf(out, "%llu %s not stored but kept in freshet.dead_letters; %s",
                      (unsigned long long)answer->rejected, is_one ? "row was" : "rows were",
                      answer->reason.text);
    else if (answer->is_repeated)
        writer_printf(out, "this sequence was stored before: %llu rows then, none now",
                      (unsigned long long)answer->rows);
    return answer->rejected > 0 || answer->is_repeated;
}
