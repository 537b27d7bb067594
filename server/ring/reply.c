/* Heads of answers, byte for byte as h2o 2.2.5 writes them in this server (tests/e2e/test_ring.py
 * compares): its own three headers with capitals, then ours. */
#include "server/ring/reply.h"

#include "query/query.h"
#include "storage/base/number.h"

#include <assert.h>
#include <time.h>

static void print_date(int64_t second, struct ring_date *date)
{
    time_t seconds = (time_t)second;
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t size = strftime(date->text, sizeof(date->text), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    assert(size > 0);
    date->second = second;
}

static void print_header(struct slice name, struct slice value, struct writer *out)
{
    writer_slice(out, name);
    writer_slice(out, SLICE(": "));
    writer_slice(out, value);
    writer_slice(out, SLICE("\r\n"));
}

void ring_reply_head(const struct exchange *exchange, bool is_closing, int64_t wall_us,
                     struct ring_date *date, struct writer *out)
{
    if (date->second != wall_us / 1000000 || date->text[0] == 0)
        print_date(wall_us / 1000000, date);
    writer_slice(out, SLICE("HTTP/1.1 "));
    uint_print((uint64_t)exchange->status, out);
    writer_u8(out, ' ');
    writer_cstr(out, http_status_title(exchange->status));
    writer_slice(out, SLICE("\r\n"));
    print_header(SLICE("Date"), slice_from_cstr(date->text), out);
    print_header(SLICE("Connection"), is_closing ? SLICE("close") : SLICE("keep-alive"), out);
    writer_slice(out, SLICE("Content-Length: "));
    uint_print(exchange->content.size, out);
    writer_slice(out, SLICE("\r\n"));
    if (exchange->content_type.size > 0)
        print_header(SLICE("content-type"), exchange->content_type, out);
    print_header(SLICE("x-content-type-options"), SLICE("nosniff"), out);
    for (size_t i = 0; i < exchange->header_count; i++)
        print_header(exchange->headers[i].name, exchange->headers[i].value, out);
    writer_slice(out, SLICE("\r\n"));
}
