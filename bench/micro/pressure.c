/* Clients that cost little beside the server they ask: what `bench/peers --serving` drives every
 * engine with. One thread, one epoll, requests prepared, replies only measured.
 *
 *   bench_pressure send HOST:PORT --path P [--line] --events N --seed S --start EPOCH --spread RATE
 *                  [--rate RATE] [--seconds S] [--batch N] [--connections N]
 *   bench_pressure ask HOST:PORT --requests FILE [--connections N] [--seconds S] [--moved MS]
 *
 * send: events of the generator as NDJSON or (--line) as line protocol, in event time RATE a
 * second from EPOCH. With --rate open loop: a request is due when it is due, and what it takes
 * counts from then. Without, as fast as the answers come.
 * ask: closed loop, each connection asks one request after the other. The file holds for each a
 * line of name, size, place and milliseconds since 1970, with tabs between, and then that many
 * bytes. At the place a time of 23 characters stands, "2026-05-01T02:50:00.000"; it moves as the
 * clock does, as a dashboard's window, and so no two texts are the same.
 *
 * Both print one line of JSON, their own CPU time among it. */
#include "bench/loadgen/event.h"
#include "server/client/http_reply.h"
#include "storage/base/arena.h"
#include "storage/base/clock.h"
#include "storage/base/datetime.h"
#include "storage/base/histogram.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define REQUESTS_MAX 64
#define FIELD_COUNT 21
#define TIME_SIZE 23
#define RECEIVE_SIZE 65536
#define LAST_ANSWERS_US 30000000 /* that is how long the last ones are waited for */

static void fail(const char *what)
{
    fprintf(stderr, "bench_pressure: %s: %s\n", what, errno == 0 ? "wrong" : strerror(errno));
    exit(1);
}

struct options {
    bool is_asking, is_line;
    const char *address, *path, *requests;
    uint64_t events, seed, batch, connections;
    double start_s, spread, rate, seconds, moved_ms;
};

/* ---- connections ---- */

enum state { IDLE, SENDING, WAITING };

struct connection {
    int fd;
    enum state state;
    struct writer out;
    size_t sent;
    struct http_reply reply;
    int64_t begin_us; /* what its answer's time counts from */
    uint64_t what;    /* events of a batch; number of a request */
};

struct load {
    const struct options *options;
    int epoll;
    struct connection connections[CONNECTIONS_MAX];
    uint64_t failed;
    int64_t begin_us, end_us; /* no new request after the end */
    /* when a reply is complete */
    void (*on_reply)(struct load *load, struct connection *connection, int64_t now_us);
    void *context;
};

static int connect_to(const char *address)
{
    char host[64];
    const char *colon = strrchr(address, ':');
    struct sockaddr_in to = {.sin_family = AF_INET};
    int one = 1;
    errno = 0;
    if (colon == NULL || (size_t)(colon - address) >= sizeof(host))
        fail("the address is HOST:PORT");
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = '\0';
    to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
        fail("the host is an IPv4 address");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        fail(address);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void watch(struct load *load, struct connection *connection, int how, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(load->epoll, how, connection->fd, &event) != 0)
        fail("epoll_ctl");
}

static void load_init(struct load *load, const struct options *options)
{
    load->options = options;
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (uint64_t index = 0; index < options->connections; index++) {
        struct connection *connection = &load->connections[index];
        connection->fd = connect_to(options->address);
        writer_init(&connection->out);
        http_reply_init(&connection->reply);
        watch(load, connection, EPOLL_CTL_ADD, EPOLLIN);
    }
    load->begin_us = clock_monotonic_us();
    load->end_us = options->seconds > 0 ? load->begin_us + (int64_t)(1e6 * options->seconds)
                                        : INT64_MAX - LAST_ANSWERS_US;
}

static void push(struct load *load, struct connection *connection)
{
    const struct writer *out = &connection->out;
    while (connection->sent < out->size) {
        ssize_t size = send(connection->fd, out->data + connection->sent,
                            out->size - connection->sent, MSG_NOSIGNAL);
        if (size < 0 && errno == EAGAIN) {
            if (connection->state != SENDING)
                watch(load, connection, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            connection->state = SENDING;
            return;
        }
        if (size < 0)
            fail("send");
        connection->sent += (size_t)size;
    }
    if (connection->state == SENDING)
        watch(load, connection, EPOLL_CTL_MOD, EPOLLIN);
    connection->state = WAITING;
}

/* What stands in `out` is one request. */
static void begin(struct load *load, struct connection *connection, int64_t begin_us)
{
    connection->begin_us = begin_us;
    connection->sent = 0;
    http_reply_reset(&connection->reply);
    push(load, connection);
}

static void pull(struct load *load, struct connection *connection)
{
    static char bytes[RECEIVE_SIZE];
    ssize_t size = recv(connection->fd, bytes, sizeof(bytes), 0);
    if (size < 0 && errno == EAGAIN)
        return;
    errno = size < 0 ? errno : 0;
    if (size <= 0 || connection->state == IDLE)
        fail("the server ended a connection");
    http_reply_feed(&connection->reply, slice_of(bytes, (size_t)size));
    if (connection->reply.state == HTTP_REPLY_BROKEN)
        fail("a reply that is none");
    if (connection->reply.state != HTTP_REPLY_COMPLETE)
        return;
    if (connection->reply.status != 200 && connection->reply.status != 204) {
        if (load->failed++ == 0)
            fprintf(stderr, "bench_pressure: HTTP %d: %.*s\n", connection->reply.status,
                    (int)(connection->reply.body.size < 500 ? connection->reply.body.size : 500),
                    (const char *)connection->reply.body.data);
    }
    connection->state = IDLE;
    load->on_reply(load, connection, clock_monotonic_us());
}

static void wait_for_events(struct load *load, int64_t until_us)
{
    struct epoll_event events[64];
    int64_t left_us = until_us - clock_monotonic_us();
    left_us = left_us < 0 ? 0 : left_us > 1000000 ? 1000000 : left_us;
    struct timespec timeout = {.tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000};
    int count = epoll_pwait2(load->epoll, events, array_count(events), &timeout, NULL);
    if (count < 0 && errno != EINTR)
        fail("epoll_pwait2");
    for (int index = 0; index < count; index++) {
        struct connection *connection = events[index].data.ptr;
        if ((events[index].events & EPOLLOUT) != 0)
            push(load, connection);
        if ((events[index].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0)
            pull(load, connection);
    }
}

static bool is_busy(const struct load *load)
{
    for (uint64_t index = 0; index < load->options->connections; index++)
        if (load->connections[index].state != IDLE)
            return true;
    return false;
}

static void wait_for_last(struct load *load)
{
    int64_t until_us = clock_monotonic_us() + LAST_ANSWERS_US;
    while (is_busy(load) && clock_monotonic_us() < until_us)
        wait_for_events(load, until_us);
}

/* ---- send ---- */

/* By the order of event.h's line: what is a tag (QuestDB's symbols), and how a value is written. */
enum form { TAG, TEXT, INTEGER, PLAIN, TIME };

static const struct {
    const char *name;
    enum form form;
} fields[FIELD_COUNT] = {
    {"ts", TIME},         {"event_id", TEXT},  {"event", TAG},        {"user_id", INTEGER},
    {"session_id", TEXT}, {"country", TAG},    {"city", TAG},         {"device", TAG},
    {"os", TAG},          {"browser", TAG},    {"page", TAG},         {"referrer", TAG},
    {"campaign", TAG},    {"status", INTEGER}, {"latency_ms", PLAIN}, {"amount", PLAIN},
    {"bytes", INTEGER},   {"is_new", PLAIN},   {"ip", TEXT},          {"agent", TAG},
    {"message", TEXT},
};

/* The values of a line of the generator, whose texts need no escapes. */
static void read_values(const char *line, struct slice values[FIELD_COUNT])
{
    const char *at = line + 1;
    for (size_t index = 0; index < FIELD_COUNT; index++) {
        at += strlen(fields[index].name) + 3;
        bool is_text = *at == '"';
        at += is_text;
        const char *end = at + strcspn(at, is_text ? "\"" : ",}");
        values[index] = slice_of(at, (size_t)(end - at));
        at = end + is_text + 1;
    }
}

static void write_tag(struct writer *out, struct slice value)
{
    for (size_t index = 0; index < value.size; index++) {
        char letter = value.data[index];
        if (letter == ',' || letter == '=' || letter == ' ')
            writer_u8(out, '\\');
        writer_u8(out, (uint8_t)letter);
    }
}

static void write_field(struct writer *out, size_t index, struct slice value)
{
    enum form form = fields[index].form;
    writer_cstr(out, fields[index].name);
    writer_cstr(out, form == TEXT ? "=\"" : "=");
    writer_bytes(out, value.data, value.size);
    if (form == TEXT || form == INTEGER)
        writer_u8(out, form == TEXT ? '"' : 'i');
}

static void write_line(struct writer *out, const char *line, int64_t ts_us)
{
    struct slice values[FIELD_COUNT];
    char separator = ' ';
    read_values(line, values);
    writer_cstr(out, "events");
    for (size_t index = 0; index < FIELD_COUNT; index++)
        if (fields[index].form == TAG) {
            writer_u8(out, ',');
            writer_cstr(out, fields[index].name);
            writer_u8(out, '=');
            write_tag(out, values[index]);
        }
    for (size_t index = 0; index < FIELD_COUNT; index++)
        if (fields[index].form != TAG && fields[index].form != TIME) {
            writer_u8(out, (uint8_t)separator);
            write_field(out, index, values[index]);
            separator = ',';
        }
    writer_printf(out, " %" PRId64 "000\n", ts_us);
}

struct sender {
    struct event_generator *generator;
    struct writer body;
    uint64_t begun, answered; /* events */
    int64_t late_us;
    struct histogram answer_us;
};

static void sender_on_reply(struct load *load, struct connection *connection, int64_t now_us)
{
    struct sender *sender = load->context;
    sender->answered += connection->reply.status < 300 ? connection->what : 0;
    histogram_record(&sender->answer_us, (uint64_t)(now_us - connection->begin_us));
}

/* Whole milliseconds, one in twenty up to two seconds behind: as `freshet-bench --print`. */
static int64_t event_time(struct sender *sender, const struct options *options, uint64_t index)
{
    struct random_stream *random = event_generator_random(sender->generator);
    int64_t ts_us = (int64_t)(1e6 * (options->start_s + (double)index / options->spread));
    if (random_unit(random) < 0.05)
        ts_us -= (int64_t)random_below(random, 2000000);
    return ts_us - ts_us % 1000;
}

static void send_batch(struct load *load, struct connection *connection, int64_t due_us)
{
    const struct options *options = load->options;
    struct sender *sender = load->context;
    uint64_t left = options->events - sender->begun;
    connection->what = left < options->batch ? left : options->batch;
    writer_reset(&sender->body);
    for (uint64_t row = 0; row < connection->what; row++) {
        char line[EVENT_LINE_MAX];
        int64_t ts_us = event_time(sender, options, sender->begun + row);
        size_t size = event_write(sender->generator, ts_us, line);
        if (options->is_line)
            write_line(&sender->body, line, ts_us);
        else
            writer_bytes(&sender->body, line, size);
    }
    sender->begun += connection->what;
    writer_reset(&connection->out);
    writer_printf(&connection->out,
                  "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                  options->path, options->address,
                  options->is_line ? "text/plain" : "application/x-ndjson", sender->body.size);
    writer_bytes(&connection->out, sender->body.data, sender->body.size);
    begin(load, connection, due_us);
}

static struct connection *find_idle(struct load *load)
{
    for (uint64_t index = 0; index < load->options->connections; index++)
        if (load->connections[index].state == IDLE)
            return &load->connections[index];
    return NULL;
}

static void send_all(struct load *load, struct sender *sender)
{
    const struct options *options = load->options;
    while (sender->begun < options->events && clock_monotonic_us() < load->end_us) {
        int64_t now_us = clock_monotonic_us(), due_us = now_us;
        struct connection *connection = find_idle(load);
        if (options->rate > 0)
            due_us = load->begin_us + (int64_t)(1e6 * (double)sender->begun / options->rate);
        if (now_us - due_us > sender->late_us)
            sender->late_us = now_us - due_us;
        if (connection != NULL && due_us <= now_us)
            send_batch(load, connection, due_us);
        else
            wait_for_events(load, connection == NULL ? load->end_us : due_us);
    }
    wait_for_last(load);
}

static void run_sender(struct load *load, const struct options *options)
{
    struct sender *sender = memory_alloc_zero(sizeof(*sender));
    sender->generator = event_generator_create(options->seed, EVENT_LINE_MAX);
    histogram_reset(&sender->answer_us);
    writer_init(&sender->body);
    load->on_reply = sender_on_reply;
    load->context = sender;
    load_init(load, options);
    int64_t cpu_us = clock_process_cpu_us(); /* the generator's tables are not the load's cost */
    send_all(load, sender);
    printf("{\"sent\": %" PRIu64 ", \"answered\": %" PRIu64 ", \"failed\": %" PRIu64
           ", \"seconds\": %.6f, \"cpu_s\": %.6f, \"behind_s\": %.6f, \"p50_ms\": %.3f, "
           "\"p99_ms\": %.3f}\n",
           sender->begun, sender->answered, load->failed,
           (double)(clock_monotonic_us() - load->begin_us) / 1e6,
           (double)(clock_process_cpu_us() - cpu_us) / 1e6, (double)sender->late_us / 1e6,
           (double)histogram_quantile(&sender->answer_us, 0.5) / 1e3,
           (double)histogram_quantile(&sender->answer_us, 0.99) / 1e3);
    event_generator_destroy(sender->generator);
    writer_deinit(&sender->body);
    memory_free(sender);
}

/* ---- ask ---- */

struct request {
    struct slice name, bytes;
    size_t place;
    int64_t from_us;
    struct histogram answer_us;
};

struct asker {
    struct writer file;
    struct request requests[REQUESTS_MAX];
    uint64_t count, bytes;
};

static void read_file(const char *path, struct writer *out)
{
    FILE *file = fopen(path, "rb");
    size_t size;
    if (file == NULL)
        fail(path);
    while ((size = fread(writer_reserve(out, RECEIVE_SIZE), 1, RECEIVE_SIZE, file)) > 0)
        out->size += size;
    fclose(file);
    *(char *)writer_reserve(out, 1) = '\0';
}

static void read_requests(struct asker *asker, const char *path)
{
    writer_init(&asker->file);
    read_file(path, &asker->file);
    char *at = (char *)asker->file.data, *end = at + asker->file.size;
    errno = 0;
    while (at < end && asker->count < REQUESTS_MAX) {
        struct request *request = &asker->requests[asker->count++];
        char *tab = strchr(at, '\t');
        if (tab == NULL)
            fail(path);
        request->name = slice_of(at, (size_t)(tab - at));
        size_t size = strtoull(tab + 1, &at, 10);
        request->place = strtoull(at + 1, &at, 10);
        request->from_us = strtoll(at + 1, &at, 10) * 1000;
        if (*at++ != '\n' || size > (size_t)(end - at) || request->place + TIME_SIZE > size)
            fail(path);
        request->bytes = slice_of(at, size);
        histogram_reset(&request->answer_us);
        at += size;
    }
    if (asker->count == 0)
        fail(path);
}

/* "2026-05-01T02:50:00.000", with whatever stands in the middle. */
static void print_time(int64_t time_us, char *out)
{
    struct civil civil;
    char text[64];
    civil_from_time(time_us, &civil);
    snprintf(text, sizeof(text), "%04d-%02d-%02d%c%02d:%02d:%02d.%03d", (int)civil.year,
             civil.month, civil.day, out[10], civil.hour, civil.minute, civil.second,
             civil.microsecond / 1000);
    memcpy(out, text, TIME_SIZE);
}

static void ask(struct load *load, struct connection *connection, int64_t now_us)
{
    const struct asker *asker = load->context;
    const struct request *request = &asker->requests[connection->what];
    int64_t moved_us = now_us - load->begin_us + (int64_t)(1e3 * load->options->moved_ms);
    writer_reset(&connection->out);
    writer_bytes(&connection->out, request->bytes.data, request->bytes.size);
    print_time(request->from_us + moved_us, (char *)connection->out.data + request->place);
    begin(load, connection, now_us);
}

static void asker_on_reply(struct load *load, struct connection *connection, int64_t now_us)
{
    struct asker *asker = load->context;
    struct request *request = &asker->requests[connection->what];
    if (now_us > load->end_us) /* not within the time: neither its answer counts */
        return;
    histogram_record(&request->answer_us, (uint64_t)(now_us - connection->begin_us));
    asker->bytes += connection->reply.body.size;
    connection->what = (connection->what + 1) % asker->count;
    ask(load, connection, now_us);
}

static void print_quantiles(const struct histogram *histogram)
{
    printf("\"count\": %" PRIu64 ", \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f",
           histogram_count(histogram), (double)histogram_quantile(histogram, 0.5) / 1e3,
           (double)histogram_quantile(histogram, 0.99) / 1e3,
           (double)histogram_max(histogram) / 1e3);
}

static void print_answers(const struct load *load, const struct asker *asker, double cpu_s)
{
    struct histogram *every = memory_alloc_zero(sizeof(*every));
    histogram_reset(every);
    printf("{\"panels\": {");
    for (uint64_t index = 0; index < asker->count; index++) {
        const struct request *request = &asker->requests[index];
        histogram_merge(every, &request->answer_us);
        printf("%s\"%.*s\": {", index == 0 ? "" : ", ", (int)request->name.size,
               request->name.data);
        print_quantiles(&request->answer_us);
        printf("}");
    }
    printf("}, ");
    print_quantiles(every);
    printf(", \"failed\": %" PRIu64 ", \"bytes\": %" PRIu64
           ", \"seconds\": %.6f, \"cpu_s\": %.6f}\n",
           load->failed, asker->bytes, load->options->seconds, cpu_s);
    memory_free(every);
}

static void run_asker(struct load *load, const struct options *options)
{
    struct asker *asker = memory_alloc_zero(sizeof(*asker));
    read_requests(asker, options->requests);
    load->on_reply = asker_on_reply;
    load->context = asker;
    load_init(load, options);
    int64_t cpu_us = clock_process_cpu_us();
    for (uint64_t index = 0; index < options->connections; index++) {
        load->connections[index].what = index % asker->count;
        ask(load, &load->connections[index], clock_monotonic_us());
    }
    while (clock_monotonic_us() < load->end_us)
        wait_for_events(load, load->end_us);
    cpu_us = clock_process_cpu_us() - cpu_us;
    wait_for_last(load);
    print_answers(load, asker, (double)cpu_us / 1e6);
    writer_deinit(&asker->file);
    memory_free(asker);
}

/* ---- the command line ---- */

static void set_option(struct options *options, int letter, const char *text)
{
    switch (letter) {
    case 'p':
        options->path = text;
        return;
    case 'l':
        options->is_line = true;
        return;
    case 'f':
        options->requests = text;
        return;
    case 'e':
        options->events = strtoull(text, NULL, 10);
        return;
    case 'S':
        options->seed = strtoull(text, NULL, 10);
        return;
    case 'b':
        options->batch = strtoull(text, NULL, 10);
        return;
    case 'c':
        options->connections = strtoull(text, NULL, 10);
        return;
    case 'B':
        options->start_s = strtod(text, NULL);
        return;
    case 'd':
        options->spread = strtod(text, NULL);
        return;
    case 'r':
        options->rate = strtod(text, NULL);
        return;
    case 's':
        options->seconds = strtod(text, NULL);
        return;
    case 'm':
        options->moved_ms = strtod(text, NULL);
        return;
    default:
        exit(2); /* getopt has said why */
    }
}

static void read_options(int count, char **arguments, struct options *out)
{
    static const struct option known[] = {
        {"path", required_argument, NULL, 'p'},
        {"line", no_argument, NULL, 'l'},
        {"requests", required_argument, NULL, 'f'},
        {"events", required_argument, NULL, 'e'},
        {"seed", required_argument, NULL, 'S'},
        {"batch", required_argument, NULL, 'b'},
        {"connections", required_argument, NULL, 'c'},
        {"start", required_argument, NULL, 'B'},
        {"spread", required_argument, NULL, 'd'},
        {"rate", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'},
        {"moved", required_argument, NULL, 'm'},
        {NULL, 0, NULL, 0},
    };
    *out = (struct options){.batch = 500, .connections = 8, .spread = 1000, .path = "/"};
    int letter;
    while ((letter = getopt_long(count, arguments, "", known, NULL)) != -1)
        set_option(out, letter, optarg);
    errno = 0;
    if (count - optind != 2 || out->batch == 0 || out->connections == 0 ||
        out->connections > CONNECTIONS_MAX || !(out->spread > 0))
        fail("arguments");
    out->is_asking = strcmp(arguments[optind], "ask") == 0;
    out->address = arguments[optind + 1];
    if (out->is_asking ? out->requests == NULL || !(out->seconds > 0)
                       : strcmp(arguments[optind], "send") != 0 || out->events == 0)
        fail("arguments");
}

int main(int count, char **arguments)
{
    static struct load load;
    struct options options;
    read_options(count, arguments, &options);
    if (options.is_asking)
        run_asker(&load, &options);
    else
        run_sender(&load, &options);
    for (uint64_t index = 0; index < options.connections; index++) {
        close(load.connections[index].fd);
        writer_deinit(&load.connections[index].out);
        http_reply_deinit(&load.connections[index].reply);
    }
    close(load.epoll);
    return 0;
}
