/* Counters of the two ways in. Each request, body and connection counts once, whoever carries it,
 * and a connection that changes hands stays counted. */
#include "server/http/tally.h"

#include "storage/base/metrics.h"

#include <assert.h>
#include <stdio.h>

#define PROBLEM                                                                                    \
    "{\"type\":\"about:blank\",\"title\":\"Too Many Requests\",\"status\":429,\"detail\":\"the "   \
    "bodies of the "                                                                               \
    "requests under way fill their "                                                               \
    "memory\",\"sqlstate\":\"53200\",\"text_position\":null,\"hint\":null,"                        \
    "\"query_id\":null,\"errors\":[]}\n"

void http_tally_response(struct http_tally *tally, int status)
{
    assert(status > 0 && status < STATUS_COUNT);
    atomic_fetch_add_explicit(&tally->responses[status], 1, memory_order_relaxed);
    metric_add(&metrics.http_requests, 1);
}

uint32_t http_tally_connection(struct http_tally *tally, bool is_new)
{
    uint32_t before = atomic_fetch_add_explicit(&tally->connections, is_new ? 1 : UINT32_MAX,
                                                memory_order_relaxed);
    assert(is_new || before > 0);
    uint32_t count = is_new ? before + 1 : before - 1;
    metric_set(&metrics.http_connections, count);
    return count;
}

void http_tally_begin(struct http_tally *tally, size_t body_size)
{
    atomic_fetch_add_explicit(&tally->in_flight, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&tally->bodies, (int64_t)body_size, memory_order_relaxed);
}

bool http_tally_has_room(struct http_tally *tally, size_t bodies_max, struct exchange *exchange)
{
    if (atomic_load_explicit(&tally->bodies, memory_order_relaxed) <= (int64_t)bodies_max) {
        return true;
    }
    metric_add(&metrics.ingest_backpressure, 1);
    metric_mark(&metrics.backpressure_at);
    exchange_answer_problem(exchange, 429, "53200",
                            "the bodies of the requests under way fill their memory");
    return false;
}

size_t http_tally_excess(size_t own, size_t others, size_t bodies_max)
{
    return own + others > bodies_max && own >= others ? own + others - bodies_max : 0;
}

struct slice http_tally_crowded(char text[static HTTP_CROWDED_SIZE])
{
    int size = snprintf(text, HTTP_CROWDED_SIZE,
                        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: "
                        "application/problem+json\r\nRetry-After: 1\r\n"
                        "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
                        sizeof(PROBLEM) - 1, PROBLEM);
    assert(size > 0 && size < HTTP_CROWDED_SIZE);
    return slice_of(text, (size_t)size);
}

void http_tally_metrics(struct http_tally *tally, struct writer *out)
{
    metrics_print_family(out, "freshet_http_responses_total", "counter",
                         "HTTP responses by status.");
    for (int status = 100; status < STATUS_COUNT; status++) {
        uint64_t count = atomic_load_explicit(&tally->responses[status], memory_order_relaxed);
        if (count > 0) {
            char label[32];
            snprintf(label, sizeof(label), "code=\"%d\"", status);
            metrics_print_sample(out, "freshet_http_responses_total", label, (double)count);
        }
    }
    metrics_print_figure(out, "freshet_http_ring_requests_total", "counter",
                         "Requests that the ring received; h2o received all others.",
                         (double)atomic_load_explicit(&tally->ring_requests, memory_order_relaxed));
    metrics_print_figure(out, "freshet_http_ring_handed_total", "counter",
                         "Connections that the ring has handed over to h2o.",
                         (double)atomic_load_explicit(&tally->ring_handed, memory_order_relaxed));
    metrics_print_figure(out, "freshet_http_bodies_bytes", "gauge",
                         "Bytes of request bodies under way.",
                         (double)atomic_load_explicit(&tally->bodies, memory_order_relaxed));
}
