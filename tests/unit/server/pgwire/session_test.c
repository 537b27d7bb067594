/* A session from bytes: what it answers to each, and that pieces make no difference. */
#include "tests/unit/server/pgwire/memory_session.h"

#include "server/pgwire/inside.h"
#include "storage/base/clock.h"
#include "storage/base/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct memory_server server;

/* The types of the messages in `out` from `*at` on. */
static void read_types(const struct memory_client *client, size_t *at, char *types, size_t capacity)
{
    size_t count = 0;
    struct message message;
    while (message_next(slice_of(client->out.data + *at, client->out.size - *at), 1 << 20,
                        &message) == MESSAGE_WHOLE) {
        assert_true(count + 1 < capacity);
        types[count++] = message.type;
        *at += message.size;
    }
    types[count] = 0;
    assert_true(*at == client->out.size);
}

static void log_in(struct memory_client *client)
{
    char types[64];
    size_t at = 0;
    memory_client_open(client, &server);
    memory_client_feed(client, slice_of(MEMORY_STARTUP, sizeof(MEMORY_STARTUP) - 1));
    read_types(client, &at, types, sizeof(types));
    assert_string_equal(types, "RSSSSSSSSSSSSSKZ");
    writer_reset(&client->out);
}

static void put(struct writer *out, char type, const char *body, size_t size)
{
    size_t begin = message_begin(out, type);
    writer_bytes(out, body, size);
    message_end(out, begin);
}
#define PUT(out, type, body) put(out, type, body, sizeof(body) - 1)

static const struct {
    const char *name;
    const char *messages; /* letter, then its query for Q or the name of a canned body */
    const char *want;
} cases[] = {
    {"a query", "Qselect 1", "TDCZ"},
    {"several", "Qselect 1; select 2; ", "TDCTDCZ"},
    {"several, an error between", "Qselect 1; select nope; select 2", "TDCEZ"},
    {"a syntax error in the last", "Qselect 1; selec", "EZ"},
    {"nothing", "Q", "IZ"},
    {"semicolons", "Q ; ;", "IZ"},
    {"a comment", "Q-- ping", "IZ"},
    {"begin", "Qbegin; select 1; commit", "CTDCCZ"},
    {"failed", "Qbegin|Qselect nope|Qselect 1|Qrollback", "CZEZEZCZ"},
    {"set", "Qset application_name = 'x'", "CSZ"},
    {"set twice", "Qset timezone = 'UTC'", "CZ"},
    {"a notice", "Qcommit", "NCZ"},
    {"extended", "Pselect 1|B|DP|E|S", "12TDCZ"},
    {"described before", "Pselect $1::int8|DS|S", "1tTZ"},
    {"no data", "Pset application_name = 'x'|DS|B|E|S", "1tn2CSZ"},
    {"empty", "P|B|DP|E|S", "12nIZ"},
    {"skipped to Sync", "Pselect nope|B|DP|E|H|S|Qselect 1", "EZTDCZ"},
    {"limited", "Qbegin|Pselect * from (values (1), (2), (3)) v|B|F2|F2|F2|S|Qrollback",
     "CZ12DDsDCCZCZ"},
    {"a portal ends at Sync", "Pselect 1|B|S|E|S", "12ZEZ"},
    {"a name twice", "Nselect 1|Nselect 1|S", "1EZ"},
    {"closed", "Nselect 1|C|Nselect 1|S", "131Z"},
    {"cursor",
     "Qbegin|Qdeclare c cursor for values (1), (2)|Qfetch 1 c|Qfetch all c|Qfetch 1 c|"
     "Qcommit|Qfetch 1 c",
     "CZCZTDCZTDCZTCZCZEZ"},
    {"prepared", "Qprepare p (int8) as select $1 + 1|Qexecute p(41)|Qdeallocate p|Qexecute p(1)",
     "CZTDCZCZEZ"},
    {"EXECUTE of an empty statement", "N|Qexecute n|Qselect 1", "1EZTDCZ"},
    {"FETCH from an empty portal", "Qbegin|N|O|Qfetch 1 o|Qrollback", "CZ12EZCZ"},
    {"as many rows as arguments",
     "Qprepare p (int8) as select $1|Qexecute p(generate_series(1, 3))|"
     "Qexecute p(generate_series(1, 0))|Qexecute p(7)",
     "CZTEZTEZTDCZ"},
    {"savepoints", "Qbegin|Qsavepoint a|Qselect nope|Qrollback to a|Qselect 1|Qrelease a|Qcommit",
     "CZCZEZCZTDCZCZCZ"},
    {"a cursor that failed",
     "Qbegin|Qdeclare c cursor for select 1 / (2 - x) from (values (1), (2)) v (x)|Qsavepoint a|"
     "Qfetch all c|Qrollback to a|Qfetch 1 c|Qrollback",
     "CZCZCZTDEZCZTEZCZ"},
    {"a cursor that has what it wants before the row that raises",
     "Qbegin|Qdeclare c cursor for select 1 / (4 - x) from generate_series(1, 9) v (x)|"
     "Qfetch 3 c|Qfetch 1 c|Qrollback",
     "CZCZTDDDCZTEZCZ"},
    {"a portal in a failed transaction", "Qbegin|Nselect 1|O|S|Qselect nope|X|S|Qrollback",
     "CZ12ZEZEZCZ"},
    {"a binary COPY that fails before its first row",
     "Qcopy (select 1 / (g - 1) from generate_series(1, 1) g) to stdout (format binary)|Qselect 1",
     "HEZTDCZ"},
    {"unsupported", "Qlisten x", "EZ"},
};

static void write_message(struct writer *out, const char *text, size_t size)
{
    struct writer body;
    writer_init(&body);
    switch (text[0]) {
    case 'Q':
        writer_bytes(&body, text + 1, size - 1);
        writer_u8(&body, 0);
        put(out, 'Q', (const char *)body.data, body.size);
        break;
    case 'P':
    case 'N':
        writer_cstr(&body, text[0] == 'N' ? "n" : "");
        writer_u8(&body, 0);
        writer_bytes(&body, text + 1, size - 1);
        writer_bytes(&body, "\0\0\0", 3);
        put(out, 'P', (const char *)body.data, body.size);
        break;
    case 'B': /* Bn: of the statement n */
        if (size > 1)
            PUT(out, 'B', "\0n\0\0\0\0\0\0\0");
        else
            PUT(out, 'B', "\0\0\0\0\0\0\0\0");
        break;
    case 'O': /* the portal o of the statement n */
        PUT(out, 'B', "o\0n\0\0\0\0\0\0\0");
        break;
    case 'X':
        PUT(out, 'D', "Po\0");
        break;
    case 'D':
        put(out, 'D', text[1] == 'P' ? "P\0" : "S\0", 2);
        break;
    case 'E':
        PUT(out, 'E', "\0\0\0\0\0");
        break;
    case 'F':
        PUT(out, 'E', "\0\0\0\0\2");
        break;
    case 'C':
        PUT(out, 'C', "Sn\0");
        break;
    default:
        put(out, text[0], "", 0);
    }
    writer_deinit(&body);
}

static void write_case(struct writer *out, const char *messages)
{
    for (;;) {
        const char *bar = strchr(messages, '|');
        write_message(out, messages, bar == NULL ? strlen(messages) : (size_t)(bar - messages));
        if (bar == NULL)
            return;
        messages = bar + 1;
    }
}

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_count(cases); i++) {
        struct memory_client client;
        struct writer in;
        char types[128];
        size_t at = 0;
        writer_init(&in);
        write_case(&in, cases[i].messages);
        log_in(&client);
        memory_client_feed(&client, writer_as_slice(&in));
        read_types(&client, &at, types, sizeof(types));
        if (strcmp(types, cases[i].want) != 0)
            fail_msg("%s: %s instead of %s", cases[i].name, types, cases[i].want);
        assert_int_equal(client.left.size, 0);
        memory_client_close(&client);
        writer_deinit(&in);
    }
}

/* Byte by byte, and in two pieces at every place: the same answers. */
static void test_pieces(void **state)
{
    (void)state;
    struct writer in, whole;
    struct memory_client client;
    writer_init(&in);
    writer_init(&whole);
    write_case(&in, "Pselect $1::int8, 'é'|DS|H|S|Qselect 1; select 'x' as y|Qnope|Qselect 2");
    log_in(&client);
    memory_client_feed(&client, writer_as_slice(&in));
    writer_slice(&whole, writer_as_slice(&client.out));
    memory_client_close(&client);
    for (size_t split = 0; split <= in.size; split++) {
        log_in(&client);
        size_t step = split == 0 ? 1 : split;
        for (size_t at = 0; at < in.size; at += step) {
            step = at > 0 && split > 0 ? in.size : step;
            size_t size = in.size - at < step ? in.size - at : step;
            memory_client_feed(&client, slice_of(in.data + at, size));
        }
        assert_int_equal(client.out.size, whole.size);
        assert_memory_equal(client.out.data, whole.data, whole.size);
        memory_client_close(&client);
    }
    writer_deinit(&in);
    writer_deinit(&whole);
}

/* Small messages that ask for much: no more is answered than the reader takes. */
static void test_slow_reader(void **state)
{
    (void)state;
    struct memory_client client;
    struct writer in;
    size_t count = 0, rounds = 0;
    writer_init(&in);
    for (size_t i = 0; i < 2000; i++)
        write_case(&in, i == 0 ? "Pselect 1 as a, 2 as b, 3 as c, 4 as d, 5 as e, 6 as f" : "DS");
    write_case(&in, "S");
    log_in(&client);
    client.behind_at = 1000;
    memory_client_feed(&client, writer_as_slice(&in));
    for (; client.left.size > 0; rounds++) {
        assert_true(client.out.size < (2u << 16));
        writer_reset(&client.out);
        memory_client_feed(&client, SLICE(""));
        count += client.out.size;
    }
    assert_true(rounds > 1 && count > 0);
    assert_int_equal(client.out.data[client.out.size - 1], 'I'); /* of ReadyForQuery */
    client.behind_at = 0;
    writer_reset(&client.out);
    pg_session_cancel(client.session); /* the server stops: nothing more is begun */
    memory_client_feed(&client, writer_as_slice(&in));
    assert_int_equal(client.out.size, 0);
    assert_int_equal(client.left.size, in.size);
    memory_client_close(&client);
    writer_deinit(&in);
}

/* A clock that moves by so much at each look. */
struct slow_clock {
    int64_t now_us, step_us;
};

static int64_t look_at_clock(void *context)
{
    struct slow_clock *clock = context;
    return clock->now_us += clock->step_us;
}

/* The types of what each call answers, one behind the other. */
static void feed_cut(struct memory_client *client, char *types)
{
    for (size_t at = client->out.size;;) {
        memory_client_feed(client, SLICE(""));
        read_types(client, &at, types, 64);
        assert_true(pg_session_is_cut(client->session) || client->left.size == 0);
        if (client->left.size == 0)
            return;
        types += strlen(types);
        *types++ = ' ';
    }
}

/* What befalls messages while they wait for queries of others to end. */
enum fate { GOES_ON, IS_CANCELLED, IS_LATE, IS_NEARLY_LATE, HAS_NOT_WAITED };

static void wait_for_others(struct memory_client *client, enum fate fate, struct slow_clock *clock)
{
    struct slice in = writer_as_slice(&client->left);
    struct query_session *query = client->session->query;
    int64_t limit_us = session_settings(query)->statement_timeout_us;
    if (fate != HAS_NOT_WAITED) {
        size_t half = in.size / 2;
        int64_t due_us = pg_session_wait(client->session, slice_of(in.data, half),
                                         slice_of(in.data + half, in.size - half));
        assert_int_equal(due_us, clock->now_us + limit_us);
        assert_int_equal(pg_session_wait(client->session, SLICE(""), in), due_us);
        assert_true(session_is_waiting(query));
        assert_false(pg_session_is_over(client->session));
    }
    if (fate == IS_CANCELLED || fate == HAS_NOT_WAITED)
        session_cancel_statement(client->session);
    clock->now_us += fate == IS_LATE ? limit_us : fate == IS_NEARLY_LATE ? limit_us - 1 : 0;
    assert_true(pg_session_is_over(client->session) == (fate == IS_CANCELLED || fate == IS_LATE));
}

static void check_waiting(const char *fault, const char *before, const char *messages,
                          enum fate fate, const char *wanted)
{
    struct memory_client client;
    struct writer in;
    char types[256];
    struct slow_clock clock = {.now_us = clock_monotonic_us()};
    const struct clock_source source = {
        .wall_us = look_at_clock, .monotonic_us = look_at_clock, .context = &clock};
    clock_install(&source);
    writer_init(&in);
    log_in(&client);
    if (before != NULL) {
        write_case(&in, before);
        memory_client_feed(&client, writer_as_slice(&in));
    }
    write_case(&client.left, messages);
    wait_for_others(&client, fate, &clock);
    if (fault != NULL)
        fault_plant(fault);
    feed_cut(&client, types);
    fault_clear();
    assert_string_equal(types, wanted);
    assert_false(session_is_waiting(client.session->query));
    if (strchr(wanted, 'E') != NULL && strncmp(messages, "Bn", 2) != 0)
        assert_non_null(memmem(client.out.data, client.out.size, "57014", 5));
    memory_client_close(&client);
    clock_install(NULL);
    writer_deinit(&in);
}

/* The first ends, up to its Sync, and what comes behind it waits as ever. */
static void test_ends_while_it_waits(void **state)
{
    (void)state;
    static const char simple[] = "Qselect 1|Qselect 2";
    static const char extended[] = "Pselect 1|B|DP|E|S|Pselect 2|B|E|S";
    static const char bound[] = "B|E|S|Qselect 2", opened[] = "E|S|Qselect 2";
    for (enum fate fate = IS_CANCELLED; fate <= IS_LATE; fate++) {
        check_waiting(NULL, NULL, simple, fate, "EZ TDCZ");
        check_waiting(NULL, NULL, extended, fate, "EZ 12DCZ");
        check_waiting(NULL, "Pselect 1|S", bound, fate, "2EZ TDCZ");
        check_waiting(NULL, "Pselect 1|B|DP|H", opened, fate, "EZ TDCZ");
        check_waiting(NULL, NULL, "Q|Qselect 1", fate, "IZ TDCZ"); /* it had nothing to do */
        check_waiting("pgwire.others_go_on", NULL, simple, fate, "EZTDCZ");
        check_waiting("pgwire.sync_waits", NULL, extended, fate, "E Z12DCZ");
    }
    for (enum fate fate = GOES_ON; fate <= HAS_NOT_WAITED; fate++) {
        if (fate == IS_CANCELLED || fate == IS_LATE)
            continue;
        check_waiting(NULL, NULL, simple, fate, "TDCZTDCZ");
        check_waiting(NULL, NULL, extended, fate, "12TDCZ12DCZ");
        check_waiting(NULL, "Pselect 1|S", bound, fate, "2DCZTDCZ");
        check_waiting(NULL, "Pselect 1|B|DP|H", opened, fate, "DCZTDCZ");
    }
    check_waiting("session.prepared_though_cancelled", NULL, extended, IS_CANCELLED,
                  "1 2TDCZ12DCZ");
    check_waiting("session.time_begins_late", NULL, "Qselect 1|Qselect 2", IS_LATE, "TDCZ TDCZ");
}

/* What does not come to run ends nothing behind it. */
static void test_ends_what_waited_only(void **state)
{
    (void)state;
    static const char unknown[] = "Bn|E|S|Qselect 1";
    for (enum fate fate = IS_CANCELLED; fate <= IS_LATE; fate++) {
        check_waiting(NULL, NULL, unknown, fate, "EZ TDCZ");
        check_waiting("pgwire.waits_on", NULL, unknown, fate, "EZEZ");
    }
}

/* Up to a Sync there is nothing to wait for; what comes behind it waits. */
static void check_sync(const char *fault, bool is_query, const char *wanted)
{
    struct memory_client client;
    char types[64];
    log_in(&client);
    write_case(&client.left, "Pselect nope|B");
    feed_cut(&client, types);
    assert_string_equal(types, "E");
    if (fault != NULL)
        fault_plant(fault);
    assert_true(pg_session_is_query(client.session) == is_query);
    write_case(&client.left, "B|S|Qselect 1|Qselect 2");
    feed_cut(&client, types);
    fault_clear();
    assert_true(pg_session_is_query(client.session));
    assert_string_equal(types, wanted);
    memory_client_close(&client);
}

static void test_sync_does_not_wait(void **state)
{
    (void)state;
    check_sync(NULL, false, "Z TDCZTDCZ");
    check_sync("pgwire.sync_waits", true, "ZTDCZTDCZ");
}

/* Whoever asks sees it, with as much of its text as is looked at. */
static void check_shown(const char *messages, const char *text, size_t size)
{
    static const char asked[] = "Qselect query from freshet.queries where state = 'queued' and "
                                "query <> ''";
    struct memory_client client, other;
    log_in(&client);
    log_in(&other);
    write_case(&client.left, messages);
    for (size_t cut = 0; cut <= client.left.size; cut++) {
        struct slice in = writer_as_slice(&client.left);
        pg_session_wait(client.session, slice_of(in.data, cut),
                        slice_of(in.data + cut, in.size - cut));
        if (cut % 512 == 0) {
            writer_reset(&other.out);
            write_case(&other.left, asked);
            memory_client_feed(&other, SLICE(""));
            print_message("%zu %.*s\n", cut, (int)other.out.size, (char *)other.out.data);
            if (size > 0)
                assert_non_null(memmem(other.out.data, other.out.size, text, size));
            else
                assert_non_null(memmem(other.out.data, other.out.size, "SELECT 0", 8));
        }
        session_end_waiting(client.session->query);
        pg_session_wait(client.session, SLICE(""), slice_of(in.data, cut)); /* half of it */
        session_end_waiting(client.session->query);
    }
    writer_reset(&client.left);
    memory_client_close(&client);
    memory_client_close(&other);
}

static void test_what_waits_is_shown(void **state)
{
    (void)state;
    char text[6000] = "Qselect '", *at = text + strlen(text);
    check_shown("Qselect 'here'", "select 'here'", 13);
    check_shown("H|Pselect 'here'|B|E|S", "select 'here'", 13);
    check_shown("S|H", "", 0);
    while (at < text + sizeof(text) - 8) { /* cut at a whole character */
        memcpy(at, "€", 3);
        at += 3;
    }
    memcpy(at, "'", 2);
    check_shown(text, text + 1, 4000);
}

/* Types of what comes when a statement is cancelled whose reader has been behind, in two calls. */
static void test_cancelled_once(void **state)
{
    (void)state;
    struct memory_client client;
    struct writer in;
    char types[128];
    writer_init(&in);
    write_case(&in, "Qselect g, repeat('x', 1000) from generate_series(1, 400) g|Qselect 1");
    log_in(&client);
    client.behind_at = 100000;
    memory_client_feed(&client, writer_as_slice(&in));
    assert_true(client.left.size > 0);
    client.behind_at = 0;
    writer_reset(&client.out);
    struct slice left = writer_as_slice(&client.left);
    assert_int_equal(pg_session_wait(client.session, left, SLICE("")),
                     pg_session_due(client.session, 0));
    assert_false(session_is_waiting(client.session->query));
    session_cancel_statement(client.session);
    assert_true(pg_session_is_over(client.session));
    feed_cut(&client, types);
    assert_string_equal(types, "EZ TDCZ");
    memory_client_close(&client);
    writer_deinit(&in);
}

/* Rows wait for their reader without a job: each is given once, however often it stops. */
static void test_stops(void **state)
{
    (void)state;
    static const char *const asked[] = {
        "Qselect g, repeat('x', 1000) from generate_series(1, 400) g",
        "Qselect 1; select g, repeat('x', 1000) from generate_series(1, 400) g; select 2; select "
        "nope",
        "Pselect g, repeat('x', 1000) from generate_series(1, 400) g|B|DP|E|S|Qselect 1",
        "Qcopy (select g, repeat('x', 1000) from generate_series(1, 400) g) to stdout",
        "Qcopy (select g, repeat('x', 1000) from generate_series(1, 400) g) to stdout (format "
        "binary)",
        "Pcopy (select g, repeat('x', 1000) from generate_series(1, 400) g) to stdout|B|E|S",
        "Qselect repeat('x', 100), 1 / (2500 - g) from generate_series(1, 4000) g|Qselect 1",
        "Qbegin|Qdeclare c cursor for select repeat('x', 1000) from generate_series(1, 400)|"
        "Qfetch all c|Qcommit",
    };
    for (size_t i = 0; i < array_count(asked); i++) {
        struct memory_client client;
        struct writer in, want, got;
        size_t rounds = 0;
        writer_init(&in);
        writer_init(&want);
        writer_init(&got);
        write_case(&in, asked[i]);
        log_in(&client);
        memory_client_feed(&client, writer_as_slice(&in));
        writer_slice(&want, writer_as_slice(&client.out));
        memory_client_close(&client);
        log_in(&client);
        client.behind_at = 100000;
        memory_client_feed(&client, writer_as_slice(&in));
        for (; client.left.size > 0; rounds++) {
            assert_true(rounds < 20);
            writer_slice(&got, writer_as_slice(&client.out));
            writer_reset(&client.out);
            memory_client_feed(&client, SLICE(""));
        }
        writer_slice(&got, writer_as_slice(&client.out));
        assert_int_equal(got.size, want.size);
        assert_memory_equal(got.data, want.data, want.size);
        if (rounds == 0)
            fail_msg("%s", asked[i]);
        memory_client_close(&client);

        log_in(&client); /* it is closed while it waits */
        client.behind_at = 100000;
        memory_client_feed(&client, writer_as_slice(&in));
        assert_true(client.left.size > 0);
        memory_client_close(&client);

        log_in(&client); /* its time is over */
        client.behind_at = 100000;
        memory_client_feed(&client, writer_as_slice(&in));
        const struct slow_clock late = {.now_us = clock_monotonic_us() + 3600 * INT64_C(1000000)};
        const struct clock_source source = {.wall_us = look_at_clock,
                                            .monotonic_us = look_at_clock,
                                            .context = (void *)(uintptr_t)&late};
        bool is_fetch = strstr(asked[i], "fetch") != NULL; /* it has come to its end */
        assert_true(is_fetch || pg_session_due(client.session, 0) > 0);
        writer_reset(&client.out);
        clock_install(&source);
        pg_session_hurry(client.session);
        client.behind_at = 1;
        memory_client_feed(&client, SLICE(""));
        clock_install(NULL);
        assert_true(is_fetch || memmem(client.out.data, client.out.size, "57014", 5) != NULL);
        memory_client_close(&client);
        writer_deinit(&in);
        writer_deinit(&want);
        writer_deinit(&got);
    }
}

/* What a session keeps between messages is charged: many large texts are refused. */
static void test_kept_memory(void **state)
{
    (void)state;
    struct memory_client client;
    struct writer in, body;
    char types[128];
    size_t at = 0, used = atomic_load(&server.memory.used);
    writer_init(&in);
    writer_init(&body);
    log_in(&client);
    for (size_t i = 0; i < 30; i++) {
        writer_reset(&body);
        writer_printf(&body, "name%zu%c-- %0500000d%c%c%c", i, 0, 0, 0, 0, 0);
        put(&in, 'P', (const char *)body.data, body.size);
        memory_client_feed(&client, writer_as_slice(&in));
        writer_reset(&in);
    }
    read_types(&client, &at, types, sizeof(types));
    size_t taken = strspn(types, "1");
    assert_true(taken > 2 && taken < 20);
    assert_string_equal(types + taken, "E");
    assert_true(atomic_load(&server.memory.used) > used);
    write_case(&in, "S|Qdeallocate all|Nselect 1|S");
    memory_client_feed(&client, writer_as_slice(&in));
    memory_client_feed(&client, SLICE("")); /* what comes behind a Sync that did not wait */
    assert_int_equal(atomic_load(&server.memory.used), used);
    read_types(&client, &at, types, sizeof(types));
    assert_string_equal(types, "ZCZ1Z");
    memory_client_close(&client);
    assert_int_equal(atomic_load(&server.memory.used), used);
    writer_deinit(&in);
    writer_deinit(&body);
}

static void test_golden(void **state)
{
    (void)state;
    static const char want[] = "T\0\0\0\x1a\0\1n\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"
                               "D\0\0\0\x0c\0\1\0\0\0\x02"
                               "-7"
                               "C\0\0\0\x0dSELECT 1\0"
                               "Z\0\0\0\5I";
    static const char binary[] = "2\0\0\0\4"
                                 "D\0\0\0\x12\0\1\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xfe"
                                 "C\0\0\0\x0dSELECT 1\0"
                                 "Z\0\0\0\5I";
    struct memory_client client;
    struct writer in;
    writer_init(&in);
    log_in(&client);
    write_case(&in, "Qselect -7 as n");
    memory_client_feed(&client, writer_as_slice(&in));
    assert_int_equal(client.out.size, sizeof(want) - 1);
    assert_memory_equal(client.out.data, want, sizeof(want) - 1);
    writer_reset(&in);
    write_case(&in, "Nselect $1::int8 - 1|S");
    memory_client_feed(&client, writer_as_slice(&in));
    writer_reset(&in);
    writer_reset(&client.out);
    PUT(&in, 'B', "\0n\0\0\1\0\1\0\1\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xff\0\1\0\1");
    write_case(&in, "E|S");
    memory_client_feed(&client, writer_as_slice(&in));
    assert_int_equal(client.out.size, sizeof(binary) - 1);
    assert_memory_equal(client.out.data, binary, sizeof(binary) - 1);
    memory_client_close(&client);
    writer_deinit(&in);
}

static void test_startup(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *want; /* types, or what the answer holds */
    } starts[] = {
        {"\0\0\0\x08\x04\xd2\x16\x2f", 8, "N"},
        {"\0\0\0\x08\x04\xd2\x16\x30", 8, "N"},
        {"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\0\0\0\1", 16, ""},
        {"\0\0\0\x09\0\3\0\0\0", 9, "28000"},
        {"\0\0\0\x10\0\2\0\0user\0u\0\0", 16, "0A000"},
        {"\0\0\0\x0f\0\3\0\0user\0u\0", 15, "08P01"},
        {"\0\0\0\x25\0\3\0\0user\0u\0client_encoding\0LATIN1\0\0", 39, "08P01"},
        {"\0\0\0\x27\0\3\0\0user\0u\0client_encoding\0LATIN1\0\0", 39, "22023"},
        {"\0\0\0\x07\0\0\0", 7, "08P01"},
    };
    for (size_t i = 0; i < array_count(starts); i++) {
        struct memory_client client;
        memory_client_open(&client, &server);
        memory_client_feed(&client, slice_of(starts[i].bytes, starts[i].size));
        bool is_same = client.out.size == 0
                           ? starts[i].want[0] == 0
                           : memmem(client.out.data, client.out.size, starts[i].want,
                                    strlen(starts[i].want)) != NULL;
        if (!is_same)
            fail_msg("start %zu: no %s", i, starts[i].want);
        assert_true(pg_session_has_ended(client.session) == (starts[i].want[0] != 'N'));
        memory_client_close(&client);
    }
}

/* As the loop does it: on its thread if that is enough, and the rest in a job. */
static bool feed_short(struct memory_client *client, const char *messages)
{
    struct writer in;
    bool is_put_off = false;
    writer_init(&in);
    write_case(&in, messages);
    writer_reset(&client->out);
    bool is_short = pg_session_is_short(client->session, writer_as_slice(&in));
    size_t used =
        is_short ? pg_session_feed_short(client->session, writer_as_slice(&in), &is_put_off) : 0;
    assert_true(used == in.size || is_put_off || !is_short);
    memory_client_feed(client, slice_of(in.data + used, in.size - used));
    assert_int_equal(client->left.size, 0);
    writer_deinit(&in);
    return is_short && !is_put_off;
}

/* A prepared statement is expected to be short when it has been, and what is not is done anew. */
static void test_short(void **state)
{
    (void)state;
    struct slow_clock moving = {.now_us = 1000000};
    const struct clock_source source = {
        .wall_us = look_at_clock, .monotonic_us = look_at_clock, .context = &moving};
    static const char run[] = "Bn|DP|E|S";
    struct memory_client client;
    struct writer want;
    char types[128];
    clock_install(&source);
    writer_init(&want);
    log_in(&client);
    assert_false(feed_short(&client, "Nselect 1 as a, 'b' as b|S"));
    for (int i = 0; i < 4; i++)
        assert_false(feed_short(&client, run));
    writer_slice(&want, writer_as_slice(&client.out));
    assert_true(feed_short(&client, run));
    assert_int_equal(client.out.size, want.size);
    assert_memory_equal(client.out.data, want.data, want.size);
    assert_true(feed_short(&client, "Bn|E|H|Bn|DP|E|S"));
    assert_false(feed_short(&client, "Bn|E|E|S")); /* a portal is run on in a job */
    assert_false(feed_short(&client, "Bn|DS|E|S"));
    assert_false(feed_short(&client, "DP|S"));
    assert_false(feed_short(&client, "Qselect 1"));

    moving.step_us = 600; /* no longer than what is put off may take, but longer than that */
    assert_false(feed_short(&client, run));
    assert_int_equal(client.out.size, want.size);
    assert_memory_equal(client.out.data, want.data, want.size);
    moving.step_us = 0;
    for (int i = 0; i < 8; i++) /* twice as many as before */
        assert_false(feed_short(&client, run));
    assert_true(feed_short(&client, run));

    /* Rows past what may be kept are for a job, which gives each once. */
    assert_false(feed_short(&client, "C|Nselect repeat('x', 1000) from generate_series(1, 100)|S"));
    for (int i = 0; i < 8; i++)
        assert_false(feed_short(&client, run));
    size_t at = 0;
    read_types(&client, &at, types, sizeof(types));
    assert_int_equal(strspn(types + 2, "D"), 100);
    clock_install(NULL);
    memory_client_close(&client);
    writer_deinit(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_kept_memory),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_startup),
        cmocka_unit_test(test_short),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_ends_while_it_waits),
        cmocka_unit_test(test_ends_what_waited_only),
        cmocka_unit_test(test_sync_does_not_wait),
        cmocka_unit_test(test_what_waits_is_shown),
        cmocka_unit_test(test_cancelled_once),
    };
    memory_server_open(&server);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    memory_server_close(&server);
    return failed;
}
