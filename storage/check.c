/* Checking a store's directory: the manifest first, which says what there is to be; then each
 * checkpoint, segment and log file it names, and what lies there besides.
 *
 *   manifest ─▶ checkpoints: whole      ─▶ segments: every value, against the manifest's figures
 *            ─▶ log: every record from the first that a checkpoint needs, up to the durable end
 *            ─▶ names in the directories: files that nobody has are notes
 *
 * Nothing is written, not even the file that is locked, which is left alone where it is missing.
 * The parts are the readers of recovery and of queries themselves, opened to look: there is no
 * second opinion on the formats. Where the manifest cannot be read the segments are checked by
 * their own headers, and the log is left alone: where it begins to count is not known then. */
#include "storage/check.h"

#include "storage/base/bytes.h"
#include "storage/log/checkpoint.h"
#include "storage/log/format.h"
#include "storage/log/log.h"
#include "storage/log/record.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PATH_SIZE 256

struct store_check {
    const struct store_check_options *options;
    struct store_check_result *result;
    struct manifest *manifest; /* NULL: cannot be read */
    struct arena arena;        /* of one record */
    bool has_log, has_any;     /* files of a store */
};

static void say(struct store_check *check, bool is_problem, const char *format, ...)
    PRINTF_LIKE(3, 4);
static void say(struct store_check *check, bool is_problem, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (is_problem) {
        check->result->problems++;
        check->options->problem(check->options->context, text);
    } else {
        check->result->notes++;
        check->options->note(check->options->context, text);
    }
}

/* --- segments --- */

static void check_segment(struct store_check *check, uint64_t number,
                          const struct sealed_info *info)
{
    uint64_t rows;
    struct error error = {0};
    if (sealed_check(check->options->io, check->options->directory, number, info, &rows, &error) !=
        OK) {
        say(check, true, "%s", error.text);
        return;
    }
    check->result->segments++;
    check->result->segment_rows += rows;
    check->result->segment_bytes += info != NULL ? info->bytes : 0;
}

/* 0: not the name of a segment. */
static uint64_t segment_number(const char *name)
{
    char *end;
    char expected[SEALED_PATH_SIZE];
    uint64_t number = strtoull(name, &end, 16);
    snprintf(expected, sizeof(expected), "%016llx.fseg", (unsigned long long)number);
    return strcmp(name, expected) == 0 ? number : 0;
}

static bool is_named(const struct manifest *manifest, uint64_t number)
{
    size_t count;
    const struct sealed_info *segments = manifest_segments(manifest, &count);
    for (size_t i = 0; i < count; i++) {
        if (segments[i].number == number)
            return true;
    }
    return false;
}

static void look_at_segment_name(void *context, const char *name)
{
    struct store_check *check = context;
    uint64_t number = segment_number(name);
    if (check->manifest == NULL && number != 0)
        check_segment(check, number, NULL);
    else if (check->manifest == NULL || !is_named(check->manifest, number))
        say(check, false, SEALED_DIRECTORY "/%s: nobody has it, the next start removes it", name);
}

static enum err check_segments(struct store_check *check, struct error *error)
{
    char path[PATH_SIZE];
    const char *directory = check->options->directory;
    size_t count = 0;
    if (check->manifest != NULL) {
        const struct sealed_info *segments = manifest_segments(check->manifest, &count);
        for (size_t i = 0; i < count; i++)
            check_segment(check, segments[i].number, &segments[i]);
    }
    int length = snprintf(path, sizeof(path), "%s%s" SEALED_DIRECTORY, directory,
                          directory[0] == 0 ? "" : "/");
    assert(length > 0 && (size_t)length < sizeof(path));
    struct io *io = check->options->io;
    enum err err = io->ops->list(io, path, look_at_segment_name, check, error);
    return err == ERR_NOT_FOUND ? OK : err; /* none was ever sealed, or its loss was told above */
}

/* --- manifest and checkpoints --- */

static void look_at_name(void *context, const char *name)
{
    struct store_check *check = context;
    size_t size = strlen(name);
    bool is_temporary = size > 4 && strcmp(name + size - 4, ".tmp") == 0;
    if (is_temporary) {
        say(check, false, "%s: left by a crash, the next start removes it", name);
        return;
    }
    if (strncmp(name, "checkpoint-", 11) != 0 || check->manifest == NULL)
        return;
    for (size_t i = 0; i < MANIFEST_CHECKPOINT_COUNT; i++) {
        struct manifest_checkpoint live;
        char expected[PATH_SIZE];
        if (!manifest_checkpoint(check->manifest, i, &live))
            continue;
        snprintf(expected, sizeof(expected), "checkpoint-%016llx.fckp",
                 (unsigned long long)live.number);
        if (strcmp(name, expected) == 0)
            return;
    }
    say(check, false, "%s: the manifest does not name it, the next start removes it", name);
}

static void check_checkpoints(struct store_check *check)
{
    for (size_t i = 0; i < MANIFEST_CHECKPOINT_COUNT; i++) {
        struct manifest_checkpoint checkpoint;
        struct error error = {0};
        if (!manifest_checkpoint(check->manifest, i, &checkpoint))
            break;
        if (checkpoint_check(check->manifest, &checkpoint, &error) == OK)
            check->result->checkpoints++;
        else
            say(check, true, "%s", error.text);
    }
}

static void look_for_log(void *context, const char *name)
{
    struct store_check *check = context;
    check->has_log |= log_file_number(name) != 0;
    check->has_any |= check->has_log || strcmp(name, "manifest") == 0 ||
                      strcmp(name, SEALED_DIRECTORY) == 0 || strncmp(name, "checkpoint-", 11) == 0;
}

static void open_manifest(struct store_check *check)
{
    struct error error = {0};
    bool is_there = false;
    struct manifest *manifest;
    enum err err = manifest_open_to_look(check->options->io, check->options->directory, &is_there,
                                         &manifest, &error);
    if (err != OK) {
        say(check, true, "manifest: %s", error.text);
        return;
    }
    check->manifest = manifest;
    if (!is_there && check->has_log)
        say(check, true, "manifest: there is no such file, but there is a log");
}

/* --- the log --- */

static enum err check_record(void *context, uint64_t position, struct slice payload,
                             struct error *error)
{
    struct store_check *check = context;
    struct record record;
    struct error cause = {0};
    check->result->records++;
    arena_reset(&check->arena);
    if (record_decode(payload, &check->arena, &record, &cause) != OK)
        return error_set(error, ERR_CORRUPT, NULL, "the record at position %llu: %s",
                         (unsigned long long)position, cause.text);
    return OK;
}

/* From the first file that any of the checkpoints needs. */
static uint64_t first_log_file(const struct manifest *manifest)
{
    uint64_t file = UINT64_MAX;
    for (size_t i = 0; i < MANIFEST_CHECKPOINT_COUNT; i++) {
        struct manifest_checkpoint checkpoint;
        if (!manifest_checkpoint(manifest, i, &checkpoint))
            return 0;
        file = checkpoint.first_log_file < file ? checkpoint.first_log_file : file;
    }
    return file;
}

/* How far the log has to reach for what the manifest says. */
static uint64_t needed_position(const struct manifest *manifest)
{
    struct manifest_checkpoint newest = {0};
    size_t count;
    (void)manifest_checkpoint(manifest, 0, &newest);
    uint64_t needed = newest.position;
    const struct manifest_sealed *sealed = manifest_sealed_positions(manifest, &count);
    for (size_t i = 0; i < count; i++)
        needed = sealed[i].position > needed ? sealed[i].position : needed;
    return needed;
}

static void check_log(struct store_check *check)
{
    uint64_t first = first_log_file(check->manifest);
    const struct log_options options = {.io = check->options->io,
                                        .directory = check->options->directory,
                                        .first_position = 1,
                                        .first_file = first,
                                        .keep_file = first,
                                        .context = check,
                                        .replay = check_record};
    struct log_status status;
    struct error error = {0};
    enum err err = log_check(&options, &status, &error);
    check->result->log_files = status.file_count;
    check->result->last_position = status.durable_position;
    if (err != OK) {
        say(check, true, "log: %s", error.text);
        return;
    }
    uint64_t needed = needed_position(check->manifest);
    if (status.durable_position < needed)
        say(check, true,
            "log: it ends at position %llu, but checkpoint and sealed segments reach %llu",
            (unsigned long long)status.durable_position, (unsigned long long)needed);
}

enum err store_check(const struct store_check_options *options, struct store_check_result *out,
                     struct error *error)
{
    struct io *io = options->io;
    struct store_check check = {.options = options, .result = out};
    *out = (struct store_check_result){0};
    enum err err = io->ops->lock_to_look(io, error);
    if (err != OK)
        return err;
    arena_init(&check.arena);
    err = io->ops->list(io, options->directory, look_for_log, &check, error);
    if (err == OK && !check.has_any)
        err = error_set(error, ERR_NOT_FOUND, NULL, "no store here: neither a manifest nor a log");
    if (err == OK) {
        open_manifest(&check);
        err = io->ops->list(io, options->directory, look_at_name, &check, error);
    }
    if (err == OK)
        err = check_segments(&check, error);
    if (err == OK && check.manifest != NULL) {
        check_checkpoints(&check);
        check_log(&check);
    }
    if (check.manifest != NULL)
        manifest_close(check.manifest);
    arena_deinit(&check.arena);
    return err;
}
