/* sql_prepare over the catalogue, on a stack as large as a worker's, and what came of it as one
 * text. */
#ifndef FRESHET_TESTS_PREPARE_H
#define FRESHET_TESTS_PREPARE_H

#include "tests/unit/query/sql/catalogue.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct prepare_job {
    struct catalogue *catalogue;
    struct slice text;
    struct statement *statement;
    struct error error;
    enum err result;
};

static void *prepare_thread(void *context)
{
    struct prepare_job *job = context;
    job->result = sql_prepare(job->text, &job->catalogue->context, &job->statement, &job->error);
    return NULL;
}

static void prepare(struct catalogue *catalogue, struct slice text, struct prepare_job *job)
{
    pthread_attr_t attributes;
    pthread_t thread;
    *job = (struct prepare_job){.catalogue = catalogue, .text = text};
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)64 << 20);
    int failed = pthread_create(&thread, &attributes, prepare_thread, job);
    assert(failed == 0);
    failed = pthread_join(thread, NULL);
    assert(failed == 0);
    (void)failed;
    pthread_attr_destroy(&attributes);
}

/* "42703 @8" for an error, "ok" or the plan's lines. The caller frees. */
__attribute__((unused)) static char *prepare_text(struct catalogue *catalogue, const char *text,
                                                  bool wants_plan)
{
    struct prepare_job job;
    struct writer out;
    prepare(catalogue, slice_from_cstr(text), &job);
    writer_init(&out);
    if (job.result != OK)
        writer_printf(&out, "%s @%lld", job.error.sqlstate, (long long)job.error.text_position);
    else if (wants_plan && job.statement->plan != NULL)
        plan_explain(job.statement, NULL, &out);
    else
        writer_cstr(&out, "ok");
    if (job.result == OK)
        statement_unref(job.statement);
    char *copy = strndup((const char *)out.data, out.size);
    writer_deinit(&out);
    return copy;
}

#endif
