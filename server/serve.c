/* freshet serve: the order of starting and stopping.
 *
 *   settings ─▶ ports open, /healthz 200 ─▶ checkpoint read ─▶ log replayed, queries over HTTP
 *   meanwhile ─▶ ready line, /readyz 200 ─▶ topics are read, upkeep …
 *   SIGTERM ─▶ topics are left ─▶ no new connections, requests end ─▶ checkpoint ─▶ store closed
 *   ─▶ exit 0
 *
 * The main thread opens the store and then does upkeep; signals only wake it. While the log is
 * being replayed it looks for one, and for changed users, after each record: then the queries under
 * way end, and the store is left as it is, for replay changes nothing that a second one would not
 * do again. Before there are queries a signal ends the process at once. Stopping has 30 s in all:
 * queries are cancelled after 10 s, and an alarm ends the process at 28 s, which loses nothing
 * since what was acknowledged is durable. */
#include "server/api/api.h"
#include "server/app.h"
#include "server/cli/cli.h"
#include "server/http/route.h"
#include "server/net/tls.h"
#include "server/notify.h"
#include "server/pgwire/port.h"
#include "server/upkeep.h"
#include "query/sql/sql.h"
#include "storage/base/clock.h"
#include "storage/base/datetime.h"
#include "storage/base/logger.h"
#include "storage/base/metrics.h"
#include "storage/base/fault.h"
#include "storage/stock.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define STOP_LIMIT_S 28
#define CANCEL_AFTER_US 10000000
#define GIVE_UP_AFTER_US 20000000
#define DESCRIPTORS_OF_OUR_OWN 512
#define WAITING_PER_QUERY 4 /* queries that wait for one of `queries_max` to end */
/* Dead letters lie in memory: at most this part of it, and never more than their own limit. */
#define DEAD_LETTERS_SHARE 8

static _Atomic bool has_queries; /* may have; a signal waits for them */
static _Atomic bool is_stopping, is_reloading;
static int signal_event = -1;

static void on_stop_signal(int number)
{
    (void)number;
    if (!atomic_load(&has_queries)) {
        _exit(0);
    }
    atomic_store(&is_stopping, true);
    uint64_t one = 1;
    int saved = errno;
    (void)!write(signal_event, &one, sizeof(one));
    errno = saved;
}

static void on_reload_signal(int number)
{
    (void)number;
    atomic_store(&is_reloading, true); /* upkeep looks */
}

static void on_alarm(int number)
{
    (void)number;
    static const char message[] = "level=error msg=\"stopping took too long, ending now\"\n";
    (void)!write(STDERR_FILENO, message, sizeof(message) - 1);
    _exit(0);
}

static void install_signals(void)
{
    signal_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(signal_event >= 0);
    struct sigaction stop = {.sa_handler = on_stop_signal, .sa_flags = SA_RESTART};
    struct sigaction overdue = {.sa_handler = on_alarm};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGALRM, &overdue, NULL);
    struct sigaction reload = {.sa_handler = on_reload_signal, .sa_flags = SA_RESTART};
    sigaction(SIGHUP, &reload, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Room for the connections asked for, or fewer connections, of both ports. */
static void connection_limits(const struct config *config, uint32_t *http, uint32_t *pg)
{
    uint64_t wanted = config->connections_max + config->pg_connections_max;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        limit.rlim_cur = limit.rlim_max = 2 * DESCRIPTORS_OF_OUR_OWN;
    }
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    rlim_t room = limit.rlim_cur > 2 * DESCRIPTORS_OF_OUR_OWN
                      ? limit.rlim_cur - DESCRIPTORS_OF_OUR_OWN
                      : limit.rlim_cur / 2;
    uint64_t given = wanted < room ? wanted : room;
    *http = (uint32_t)(config->connections_max * given / wanted);
    *pg = (uint32_t)(config->pg_connections_max * given / wanted);
    *http = *http == 0 ? 1 : *http;
    *pg = *pg == 0 ? 1 : *pg;
}

struct serving {
    struct app app;
    struct listener http, pg;
    struct pg_port *pg_port;
    struct tls *tls; /* NULL: no certificate */
    bool has_pg;
    int64_t next_look_us; /* at the users, while the log is replayed */
};

static bool leaves_loopback(const struct serving *serving)
{
    return !serving->http.is_loopback || (serving->has_pg && !serving->pg.is_loopback);
}

static enum err check_privacy(const struct serving *serving, struct error *error)
{
    const struct config *config = serving->app.config;
    if (!config->ssl_required || config->ssl_cert_file[0] != 0 || !leaves_loopback(serving) ||
        !access_has_users(serving->app.access))
        return OK;
    enum err err = error_set(error, ERR_INPUT, "28000",
                             "an address that is not loopback wants TLS: there is no certificate");
    error_hint(error, "Say --ssl-cert-file and --ssl-key-file, listen on 127.0.0.1, or say "
                      "--ssl-required off if nobody can listen on the way.");
    return err;
}

static enum err open_tls(struct serving *serving, struct error *error)
{
    const struct config *config = serving->app.config;
    return config->ssl_cert_file[0] == 0
               ? OK
               : tls_open(config->ssl_cert_file, config->ssl_key_file, &serving->tls, error);
}

static enum err open_ports(struct serving *serving, struct error *error)
{
    const struct config *config = serving->app.config;
    bool may_leave_loopback = config->insecure || access_has_users(serving->app.access);
    enum err result = listener_open(config->http, may_leave_loopback, &serving->http, error);
    if (result != OK) {
        return result;
    }
    serving->has_pg = strcmp(config->pg, "off") != 0;
    if (serving->has_pg) {
        result = listener_open(config->pg, may_leave_loopback, &serving->pg, error);
    }
    if (result == OK) {
        result = check_privacy(serving, error);
    }
    return result == OK ? open_tls(serving, error) : result;
}

static struct ingest *ingest_of(void *context)
{
    return ((struct app *)context)->ingest;
}

static struct query_engine *engine_when_ready(void *context)
{
    struct app *app = context;
    return app_state(app) == APP_READY ? app->engine : NULL;
}

static void start_ports(struct serving *serving)
{
    const struct config *config = serving->app.config;
    uint32_t http_connections, pg_connections;
    connection_limits(config, &http_connections, &pg_connections);
    struct http_server_options options = {
        .listener = &serving->http,
        .safety = {.bind_host = serving->http.host, .allowed_origins = config->cors_origins},
        .body_max = config->body_max,
        .bodies_max =
            config->memory / 10 > config->body_max ? config->memory / 10 : config->body_max,
        .connections_max = http_connections,
        .request_timeout_us = config->request_timeout_us,
        .login_timeout_us = config->login_timeout_us,
        .tls = serving->tls,
        .has_ring = strcmp(config->ring, "auto") == 0 && strcmp(config->io, "plain") != 0,
        .dispatch = route_dispatch,
        .cancelled = route_cancelled,
        .context = &serving->app,
    };
    serving->app.http = http_server_start(&options);
    api_register_metrics(&serving->app);
    if (serving->has_pg) {
        serving->pg_port = pg_port_start(&(struct pg_port_options){
            .listener = &serving->pg,
            .workers = serving->app.workers,
            .is_plain = strcmp(config->io, "plain") == 0,
            .connections_max = pg_connections,
            .message_max = config->body_max,
            .messages_max = config->memory / 10,
            .login_timeout_us = config->login_timeout_us,
            .idle_timeout_us = config->pg_idle_timeout_us,
            .context = &serving->app,
            .engine = engine_when_ready,
            .access = serving->app.access,
            .tls = serving->tls,
            .is_tls_required = config->ssl_required,
            .ingest = ingest_of,
        });
        metrics_register(pg_port_metrics, serving->pg_port);
    }
    if (serving->tls != NULL) {
        metrics_register(tls_metrics, serving->tls);
    }
    logger_write(LOG_INFO, "listening http=%s pg=%s", serving->http.address,
                 serving->has_pg ? serving->pg.address : "off");
}

static bool is_recovering(void *context)
{
    struct app *app = context;
    return !atomic_load_explicit(&app->is_replayed, memory_order_acquire);
}

/* The folder of secrets, by its whole name: in the data directory unless the settings say where.
 * False: the name is too long. */
static bool find_secrets(const struct config *config, char folder[PATH_MAX])
{
    char data[PATH_MAX];
    bool is_given = config->secrets[0] != 0;
    if (!is_given && realpath(config->data, data) == NULL) {
        return false;
    }
    int size = snprintf(folder, PATH_MAX, "%s%s", is_given ? config->secrets : data,
                        is_given ? "" : "/secrets");
    while (size > 1 && size < PATH_MAX && folder[size - 1] == '/') {
        folder[--size] = 0;
    }
    return size < PATH_MAX;
}

static struct ingest *create_ingest(const struct config *config)
{
    char secrets[PATH_MAX];
    struct ingest_options options = {
        .limits = ingest_limits_default,
        .source_idle_us = config->source_idle_us,
        .secrets = find_secrets(config, secrets) ? secrets : NULL,
        .bind_default = sql_bind_default,
    };
    options.limits.body_max = config->body_max;
    options.limits.producers_max = config->producers_max;
    options.limits.keys_window = config->keys_window;
    if (options.limits.dead_letter_bytes_max > config->memory / DEAD_LETTERS_SHARE) {
        options.limits.dead_letter_bytes_max = config->memory / DEAD_LETTERS_SHARE;
    }
    return ingest_create(&options);
}

/* Queries can do without: what does not fit their memory fails then. */
static void create_temp(struct app *app)
{
    struct error error;
    struct temp_options options = {
        .io = app->io,
        .limit_name = "spill_limit",
        .limit = app->config->spill_limit,
        .low_mark = upkeep_disk_mark(
            app->config->disk_low,
            (uint64_t)atomic_load_explicit(&app->disk_total_bytes, memory_order_relaxed)),
    };
    if (temp_space_create(&options, &app->temp, &error) != OK) {
        logger_write(LOG_WARN, "queries cannot spill to disk reason=\"%s\"", error.text);
        app->temp = NULL;
    }
}

static void create_engine(struct app *app)
{
    const struct config *config = app->config;
    size_t query_memory = config->memory / 4;
    app->query_memory = (struct budget){.limit = query_memory,
                                        .reserve = query_memory / 8,
                                        .small = query_memory / 64,
                                        .name = "queries"};
    create_temp(app);
    app->engine = query_engine_create(&(struct query_engine_options){
        .store = app->store,
        .memory = &app->query_memory,
        .query_memory_limit = config->query_memory,
        .partial_memory = config->partial_cache,
        .workers = app->workers,
        .temp = app->temp,
        .statement_timeout_us = config->statement_timeout_us,
        .max_rows = config->max_rows,
        .context = app,
        .completeness = api_completeness,
        .command = api_command,
        .find_view = api_find_view,
        .view_version = api_view_version,
        .list_views = api_list_views,
        .list_roles = api_list_roles,
        .is_recovering = is_recovering,
    });
    size_t count;
    const struct table_provider *const *providers = ingest_providers(app->ingest, &count);
    for (size_t i = 0; i < count; i++) {
        query_engine_register(app->engine, providers[i]);
    }
}

/* What the two ways of stopping begin with: nothing is under way afterwards. */
static void stop_serving(struct serving *serving)
{
    struct app *app = &serving->app;
    int64_t begin_us = clock_monotonic_us();
    alarm(STOP_LIMIT_S);
    logger_write(LOG_INFO, "stopping");
    notify_manager("STOPPING=1");
    atomic_store_explicit(&app->state, APP_STOPPING, memory_order_release);
    ingest_stop_subscriptions(app->ingest);
    http_server_drain(app->http);
    if (serving->has_pg)
        pg_port_drain(serving->pg_port);
    if (!http_server_wait(app->http, CANCEL_AFTER_US, GIVE_UP_AFTER_US)) {
        logger_write(LOG_WARN, "some requests did not end in time");
    }
    int64_t waited_us = clock_monotonic_us() - begin_us;
    int64_t cancel_us = waited_us < CANCEL_AFTER_US ? CANCEL_AFTER_US - waited_us : 0;
    if (serving->has_pg &&
        !pg_port_wait(serving->pg_port, cancel_us, GIVE_UP_AFTER_US + 5000000 - waited_us)) {
        logger_write(LOG_WARN, "some sessions did not end in time");
        fflush(NULL);
        _exit(0); /* their jobs hold what would be freed now; what was acknowledged is durable */
    }
    pg_port_stop(serving->pg_port);
    http_server_stop(app->http);
}

/* Between two records of the replay: what upkeep and the poll do afterwards. Who was dropped must
 * not ask until it is over. */
static void look_around(void *context, struct store *store)
{
    struct serving *serving = context;
    int64_t now_us = clock_monotonic_us();
    (void)store;
    if (now_us >= serving->next_look_us) {
        serving->next_look_us = now_us + UPKEEP_PERIOD_MS * 1000;
        access_refresh(serving->app.access);
    }
    if (atomic_load_explicit(&is_stopping, memory_order_relaxed)) {
        stop_serving(context);
        logger_write(LOG_INFO, "stopped before the log was replayed");
        _exit(0);
    }
}

static enum err open_store(struct serving *serving, struct error *error)
{
    struct app *app = &serving->app;
    const struct config *config = app->config;
    enum err result = io_open(config->io, config->data, &app->io, error);
    if (result != OK) {
        return result;
    }
    timezone_set_loader(io_load_timezone);
    app->ingest = create_ingest(config);
    upkeep_look_at_disk(app); /* subscriptions begin with its answer */
    struct store_options options = {
        .io = app->io,
        .directory = config->data,
        .log_file_size = config->log_file,
        .rows_memory_limit = config->memory * 4 / 10,
        .cache_size = config->memory * 2 / 10,
        .workers = app->workers,
        .extension = ingest_extension(app->ingest),
        .is_threaded = true,
        .replayed = look_around,
        .replayed_context = serving,
    };
    result = store_open_begin(&options, &app->store, error);
    if (result != OK) {
        return result;
    }
    store_stock(app->store, config->rows_ready); /* replay has use for it too */
    ingest_attach(app->ingest, app->store);
    create_engine(app);
    atomic_store(&has_queries, true);
    atomic_store_explicit(&app->state, APP_RECOVERING, memory_order_release);
    result = store_open_end(app->store, error);
    atomic_store_explicit(&app->is_replayed, result == OK, memory_order_release);
    return result;
}

static void print_ready(const struct serving *serving, int64_t elapsed_us)
{
    const struct app *app = &serving->app;
    /* Who waits for the line on the standard output may read the log then. */
    logger_write(LOG_INFO, "ready position=%llu start_ms=%lld io=%s",
                 (unsigned long long)store_position(app->store), (long long)(elapsed_us / 1000),
                 app->io->name);
    printf("freshet ready http=%s pg=%s data=%s io=%s pid=%d\n", serving->http.address,
           serving->has_pg ? serving->pg.address : "off", app->config->data, app->io->name,
           (int)getpid());
    fflush(stdout);
    notify_manager("READY=1\nSTATUS=serving");
}

static void stop(struct serving *serving)
{
    struct app *app = &serving->app;
    stop_serving(serving);
    store_upkeep_stop(app->store);
    query_engine_stop_upkeep(app->engine);
    worker_pool_destroy(app->workers);
    entrance_deinit(&app->entrance);
    metrics_unregister_all();
    query_engine_destroy(app->engine);
    temp_space_destroy(app->temp);
    store_close(app->store);
    ingest_destroy(app->ingest);
    app->io->ops->destroy(app->io);
    access_close(app->access);
    logger_write(LOG_INFO, "stopped");
}

static void reload_if_asked(const struct serving *serving)
{
    struct error error;
    char lines[64];
    if (!atomic_exchange(&is_reloading, false))
        return;
    snprintf(lines, sizeof(lines), "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)clock_monotonic_us());
    notify_manager(lines);
    if (serving->tls == NULL)
        logger_write(LOG_INFO, "there is no certificate to be read anew");
    else if (tls_reload(serving->tls, &error) == OK)
        logger_write(LOG_INFO, "the certificate was read anew");
    else
        logger_write(LOG_ERROR, "the old certificate stays reason=\"%s\"", error.text);
    notify_manager("READY=1");
}

static int serve(const struct config *config)
{
    struct serving *serving = memory_alloc_zero(sizeof(*serving));
    struct app *app = &serving->app;
    struct error error;
    app->config = config;
    app->begin_us = clock_monotonic_us();
    install_signals();
    if (access_open(config->data, &app->access, &error) != OK ||
        open_ports(serving, &error) != OK) {
        cli_complain("%s%s%s", error.text, error.hint[0] != 0 ? " " : "", error.hint);
        access_close(app->access);
        memory_free(serving);
        return 1;
    }
    app->workers = worker_pool_create(&(struct worker_options){
        .core_count = (int)config->threads,
        .query_count_max = config->queries_max,
        .query_queue_max = config->queries_max * WAITING_PER_QUERY,
    });
    entrance_init(&app->entrance, app->workers);
    start_ports(serving);
    notify_manager("STATUS=replaying the log: queries are answered over HTTP as soon as can be");
    if (open_store(serving, &error) != OK) {
        logger_write(LOG_ERROR, "cannot open the store sqlstate=%s reason=\"%s\"", error.sqlstate,
                     error.text);
        cli_complain("cannot open %s: %s%s%s", config->data, error.text,
                     error.hint[0] != 0 ? " " : "", error.hint);
        fflush(NULL);
        _exit(1); /* the reactor and its requests live: there is nothing to save */
    }
    atomic_store_explicit(&app->state, APP_READY, memory_order_release);
    print_ready(serving, clock_monotonic_us() - app->begin_us);
    ingest_start_subscriptions(app->ingest);
    struct upkeep upkeep = {0};
    struct pollfd wait = {.fd = signal_event, .events = POLLIN};
    while (poll(&wait, 1, UPKEEP_PERIOD_MS) <= 0) {
        reload_if_asked(serving);
        upkeep_run(&upkeep, app);
    }
    stop(serving);
    memory_free(serving);
    return 0;
}

static void print_help(void)
{
    printf("freshet serve [--config FILE] [--KEY VALUE]…\n\nKeys, with their defaults:\n");
    for (size_t i = 0; i < config_key_count; i++) {
        printf("  --%-18s %-16s %s\n", config_keys[i].name, config_keys[i].default_text,
               config_keys[i].doc);
    }
}

static bool is_bool_key(const char *name)
{
    for (size_t i = 0; i < config_key_count; i++) {
        if (config_keys[i].kind == CONFIG_BOOL && strcmp(config_keys[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* One --key value, --key=value or --switch; *index moves to the last word used. */
static enum err read_flag(struct config *config, int argc, char **argv, int *index,
                          struct arena *arena, struct error *error)
{
    const char *word = argv[*index];
    if (strncmp(word, "--", 2) != 0) {
        return error_set(error, ERR_INPUT, NULL, "serve takes only flags, not \"%.100s\"", word);
    }
    const char *equals = strchr(word, '=');
    struct slice name = equals == NULL ? slice_from_cstr(word + 2)
                                       : slice_of(word + 2, (size_t)(equals - word) - 2);
    const char *value = equals == NULL ? NULL : equals + 1;
    if (value == NULL && is_bool_key(word + 2)) {
        value = "on";
    } else if (value == NULL && *index + 1 < argc) {
        value = argv[++*index];
    } else if (value == NULL) {
        return error_set(error, ERR_INPUT, NULL, "%.100s needs a value", word);
    }
    if (slice_equal(name, SLICE("config"))) {
        return OK; /* read before all others */
    }
    return config_set(config, name, slice_from_cstr(value), arena, error);
}

static enum err read_flags(struct config *config, int argc, char **argv, struct arena *arena,
                           struct error *error)
{
    enum err result = OK;
    for (int i = 1; i < argc && result == OK; i++) {
        const char *path = cli_option("config", argc, argv, &i);
        if (path != NULL) {
            result = config_load(config, path, arena, error);
        }
    }
    for (int i = 1; i < argc && result == OK; i++) {
        result = read_flag(config, argc, argv, &i, arena, error);
    }
    return result != OK ? result : config_complete(config, error);
}

int cli_serve(int argc, char **argv)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    struct arena arena;
    struct config config;
    struct error error;
#ifdef FRESHET_CHECK /* builds with checks take a planted fault by name: tests/README.md */
    if (getenv("FRESHET_FAULT") != NULL)
        fault_plant(getenv("FRESHET_FAULT"));
#endif
    arena_init(&arena);
    config_init(&config, &arena);
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
        print_help();
        arena_deinit(&arena);
        return 0;
    }
    int status = EXIT_USAGE;
    if (read_flags(&config, argc, argv, &arena, &error) != OK) {
        cli_complain("%s", error.text);
    } else {
        for (size_t i = 0; i < array_count(levels); i++) {
            if (strcmp(levels[i], config.log_level) == 0) {
                logger_set_level((enum log_level)i);
            }
        }
        status = serve(&config);
    }
    arena_deinit(&arena);
    return status;
}
