/* COPY on PostgreSQL's wire: what stands in its messages, and the way in. A COPY … FROM that has
 * begun is an `ingest_copy` (ingest/ingest.h): CopyData is fed to it, CopyDone ends it, CopyFail
 * and a lost connection destroy it. Rows of COPY … TO are a `copy_writer` (query/format/format.h),
 * one CopyData a row. */
#ifndef FRESHET_SERVER_PGWIRE_COPY_H
#define FRESHET_SERVER_PGWIRE_COPY_H

#include "ingest/ingest.h"
#include "query/setting.h"
#include "query/sql/command.h"

/* What follows the length in CopyInResponse (G) and CopyOutResponse (H). */
void copy_print_response(enum copy_format format, size_t column_count, struct writer *out);
/* Begins a COMMAND_COPY by the session's settings; what it needs of the command is copied. `held`:
 * of ingest_copy_options. 22023: freshet.producer and freshet.sequence that are not both there, or
 * no number; 0A000: both and held. */
MUST_CHECK enum err copy_begin_in(struct ingest *ingest, const struct command *command,
                                  const struct settings *settings, const _Atomic bool *is_cancelled,
                                  struct budget *held, struct ingest_copy **out,
                                  struct error *error);
/* The text of a WARNING (01000) about what was not stored; false: there is nothing to tell.
 * `is_held`: until COMMIT. */
bool copy_print_warning(const struct ingest_copy_answer *answer, bool is_held, struct writer *out);

#endif
