/* The panels that run beside the load, by profile: what a dashboard asks, and what people who watch
 * for fraud ask each second. All over the last moments of the stream. */
#include "bench/loadgen/loadgen.h"

#include <string.h>

struct panel {
    const char *name, *sql; /* %s: the table */
};

static const struct panel dashboard[] = {
    {"events per second",
     "SELECT date_trunc('second', ts), count(*) FROM %s WHERE ts > now() - interval '1 minute' "
     "GROUP BY 1 ORDER BY 1"},
    {"latency by country",
     "SELECT date_trunc('minute', ts), country, count(*), avg(latency_ms) FROM %s "
     "WHERE ts > now() - interval '15 minutes' GROUP BY 1, 2 ORDER BY 1, 2"},
    {"top pages",
     "SELECT page, count(*) FROM %s WHERE ts > now() - interval '5 minutes' GROUP BY 1 "
     "ORDER BY 2 DESC, 1 LIMIT 10"},
    {"errors by page",
     "SELECT page, count(*) FILTER (WHERE status >= 500) AS errors, count(*) FROM %s "
     "WHERE ts > now() - interval '5 minutes' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20"},
    {"revenue by event",
     "SELECT event, sum(amount), count(*) FROM %s WHERE ts > now() - interval '15 minutes' "
     "GROUP BY 1 ORDER BY 2 DESC"},
    {"users now", "SELECT count(DISTINCT user_id) FROM %s WHERE ts > now() - interval '1 minute'"},
};

static const struct panel fraud[] = {
    {"payments a second",
     "SELECT date_trunc('second', ts), count(*), sum(amount) FROM %s WHERE event = 'purchase' "
     "AND ts > now() - interval '1 minute' GROUP BY 1 ORDER BY 1"},
    {"spending users",
     "SELECT user_id, count(*), sum(amount) FROM %s WHERE event = 'purchase' "
     "AND ts > now() - interval '1 minute' GROUP BY 1 HAVING count(*) >= 5 ORDER BY 3 DESC, 1 "
     "LIMIT 20"},
    {"users in many countries",
     "SELECT user_id, count(DISTINCT country) FROM %s WHERE event = 'login' "
     "AND ts > now() - interval '10 seconds' GROUP BY 1 HAVING count(DISTINCT country) >= 3 "
     "ORDER BY 2 DESC, 1 LIMIT 20"},
    {"refusals by country",
     "SELECT country, count(*), count(*) FILTER (WHERE status >= 400)::double precision / count(*) "
     "FROM %s WHERE ts > now() - interval '10 seconds' GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT 20"},
    {"largest amounts",
     "SELECT ts, user_id, amount, country, ip FROM %s WHERE amount >= 499 "
     "AND ts > now() - interval '10 seconds' ORDER BY amount DESC, ts DESC LIMIT 20"},
    {"answer times",
     "SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms), max(latency_ms) FROM %s "
     "WHERE ts > now() - interval '10 seconds'"},
    {"trail of one user", "SELECT ts, event, country, amount FROM %s WHERE user_id = 4711 "
                          "AND ts > now() - interval '1 minute' ORDER BY ts DESC LIMIT 20"},
    {"agents of bots",
     "SELECT agent, count(*) FROM %s WHERE device = 'bot' AND ts > now() - interval '10 seconds' "
     "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10"},
};

static const struct {
    const char *name;
    const struct panel *panels;
    size_t count;
} profiles[] = {
    [PROFILE_DASHBOARD] = {"dashboard", dashboard, array_count(dashboard)},
    [PROFILE_FRAUD] = {"fraud", fraud, array_count(fraud)},
};

bool profile_find(const char *name, enum profile *out)
{
    for (size_t index = 0; index < array_count(profiles); index++)
        if (strcmp(profiles[index].name, name) == 0) {
            *out = (enum profile)index;
            return true;
        }
    return false;
}

const char *profile_name(enum profile profile)
{
    return profiles[profile].name;
}

size_t panel_count(const struct loadgen *loadgen)
{
    return profiles[loadgen->options.profile].count;
}

const char *panel_name(const struct loadgen *loadgen, size_t index)
{
    return profiles[loadgen->options.profile].panels[index].name;
}

void panel_sql(const struct loadgen *loadgen, size_t index, char *out, size_t size)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(out, size, profiles[loadgen->options.profile].panels[index].sql,
             loadgen->options.table); /* the formats are the tables above */
#pragma GCC diagnostic pop
}
