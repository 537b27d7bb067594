-- Heavier questions over the event (bench/README.md), as bench/heavy reads them: windows, latest rows, as-of joins, sessions, funnels,
-- grouping sets, joins with small tables. Written as bench/panels.sql is. What has many rows is summed up around the question, so that
-- neither engine is measured by how it writes rows; orders that matter are total, or what is asked for does not depend on ties.

-- setup:
CREATE TABLE IF NOT EXISTS regions (country text, region text);
CREATE TABLE IF NOT EXISTS kinds (event text, kind text, weight bigint);
CREATE TABLE IF NOT EXISTS classes (status smallint, class text);
CREATE TABLE IF NOT EXISTS makers (os text, maker text);
INSERT INTO regions SELECT country, 'region ' || min(length(city)) % 7 FROM events WHERE (SELECT count(*) FROM regions) = 0 GROUP BY country;
INSERT INTO kinds SELECT event, left(event, 1), length(event) FROM events WHERE (SELECT count(*) FROM kinds) = 0 GROUP BY event;
INSERT INTO classes SELECT status, CASE WHEN status < 400 THEN 'fine' ELSE 'bad' END FROM events
WHERE (SELECT count(*) FROM classes) = 0 GROUP BY status;
INSERT INTO makers SELECT os, CASE WHEN os < 'j' THEN 'early' ELSE 'late' END FROM events WHERE (SELECT count(*) FROM makers) = 0 GROUP BY os;

-- panel: row_number, the first three of each user
SELECT place, count(*), sum(amount), avg(latency_ms) FROM
    (SELECT amount, latency_ms, row_number() OVER (PARTITION BY user_id ORDER BY ts, event_id) AS place FROM events) AS numbered
WHERE place <= 3 GROUP BY 1 ORDER BY 1;

-- panel: lag, time between a user's events
SELECT count(before), count(*) FILTER (WHERE ts - before < interval '10 seconds'), max(before) FROM
    (SELECT ts, lag(ts) OVER (PARTITION BY user_id ORDER BY ts) AS before FROM events) AS pairs;

-- panel: sums of a sliding minute per country (RANGE)
SELECT country, max(n), max(total), sum(n) FROM
    (SELECT country, count(*) OVER minute AS n, sum(bytes) OVER minute AS total FROM events
     WINDOW minute AS (PARTITION BY country ORDER BY ts RANGE BETWEEN interval '1 minute' PRECEDING AND CURRENT ROW)) AS sliding
GROUP BY 1 ORDER BY 1;

-- panel: average of 100 rows per city (ROWS)
SELECT max(mean), min(mean), avg(mean) FROM
    (SELECT avg(latency_ms) OVER (PARTITION BY city ORDER BY ts, event_id ROWS BETWEEN 99 PRECEDING AND CURRENT ROW) AS mean
     FROM events) AS sliding;

-- panel: newest row per page by DISTINCT ON
SELECT count(*), sum(latency_ms), sum(status), min(ts) FROM
    (SELECT DISTINCT ON (page) page, ts, latency_ms, status FROM events ORDER BY page, ts DESC, event_id) AS newest;

-- panel: newest row per page by row_number = 1
SELECT count(*), sum(latency_ms), sum(status), min(ts) FROM
    (SELECT ts, latency_ms, status, row_number() OVER (PARTITION BY page ORDER BY ts DESC, event_id) AS place FROM events) AS numbered
WHERE place = 1;

-- panel: newest row per city by LATERAL
SELECT c.city, newest.ts, newest.event, newest.latency_ms FROM (SELECT DISTINCT city FROM events) AS c,
    LATERAL (SELECT ts, event, latency_ms FROM events AS e WHERE e.city = c.city ORDER BY ts DESC, event_id LIMIT 1) AS newest
ORDER BY c.city;

-- panel: as-of, a purchase and the user's last view
SELECT count(*), sum(extract(epoch FROM p.ts - v.ts)::double precision), min(v.ts) FROM
    (SELECT user_id, ts FROM events WHERE event = 'purchase') AS p,
    LATERAL (SELECT ts FROM events AS e WHERE e.event = 'view' AND e.user_id = p.user_id AND e.ts <= p.ts ORDER BY ts DESC LIMIT 1) AS v;
-- duckdb:
SELECT count(*), sum(extract(epoch FROM p.ts - v.ts)), min(v.ts) FROM
    (SELECT user_id, ts FROM events WHERE event = 'purchase') AS p
    ASOF JOIN (SELECT user_id, ts FROM events WHERE event = 'view') AS v ON p.user_id = v.user_id AND p.ts >= v.ts;

-- panel: sessions of users by a gap of 30 s
SELECT count(*), max(n), sum(extract(epoch FROM until - since)::double precision) FROM
    (SELECT window_start, user_id, count(*) AS n, min(ts) AS since, max(ts) AS until
     FROM session(events, ts, interval '30 seconds', user_id) GROUP BY 1, 2) AS sessions;
-- duckdb:
SELECT count(*), max(n), sum(extract(epoch FROM until - since)) FROM
    (SELECT user_id, number, count(*) AS n, min(ts) AS since, max(ts) AS until FROM
        (SELECT user_id, ts, sum(is_first) OVER (PARTITION BY user_id ORDER BY ts ROWS UNBOUNDED PRECEDING) AS number FROM
            (SELECT user_id, ts, CASE WHEN ts - lag(ts) OVER (PARTITION BY user_id ORDER BY ts) < INTERVAL 30 SECOND THEN 0 ELSE 1 END
                AS is_first FROM events))
     GROUP BY 1, 2);

-- panel: funnel of three steps within 10 minutes
SELECT step, count(*) FROM
    (SELECT user_id, funnel('10 minutes', ts, event = 'view', event = 'add_to_cart', event = 'purchase') AS step FROM events
     WHERE event IN ('view', 'add_to_cart', 'purchase') GROUP BY user_id) AS steps
WHERE step > 0 GROUP BY 1 ORDER BY 1;
-- duckdb:
WITH view AS (SELECT user_id, ts FROM events WHERE event = 'view'), cart AS (SELECT user_id, ts FROM events WHERE event = 'add_to_cart'),
    purchase AS (SELECT user_id, ts FROM events WHERE event = 'purchase'),
    two AS (SELECT view.user_id, view.ts AS first, cart.ts AS second FROM view
            ASOF LEFT JOIN cart ON view.user_id = cart.user_id AND view.ts <= cart.ts),
    three AS (SELECT two.user_id, first, second, purchase.ts AS third FROM two
              ASOF LEFT JOIN purchase ON two.user_id = purchase.user_id AND two.second <= purchase.ts)
SELECT step, count(*) FROM
    (SELECT user_id, max(CASE WHEN third <= first + INTERVAL 10 MINUTE THEN 3 WHEN second <= first + INTERVAL 10 MINUTE THEN 2 ELSE 1 END) AS step
     FROM three GROUP BY user_id)
GROUP BY 1 ORDER BY 1;

-- panel: sequence, a view then a purchase within 30 s and no error between
SELECT count(*), count(*) FILTER (WHERE found) FROM
    (SELECT user_id, sequence_match('(?1)(?t<=30)(?2)', ts, event = 'view', event = 'purchase', event = 'error') AS found FROM events
     WHERE event IN ('view', 'purchase', 'error') GROUP BY user_id) AS users;
-- duckdb:
SELECT count(*), count(*) FILTER (WHERE found) FROM
    (SELECT user_id, bool_or(coalesce(code = 2 AND before = 1 AND ts <= since + INTERVAL 30 SECOND, false)) AS found FROM
        (SELECT user_id, ts, code, lag(code) OVER w AS before, lag(ts) OVER w AS since FROM
            (SELECT user_id, ts, CASE event WHEN 'view' THEN 1 WHEN 'purchase' THEN 2 ELSE 3 END AS code FROM events
             WHERE event IN ('view', 'purchase', 'error'))
         WINDOW w AS (PARTITION BY user_id ORDER BY ts, code))
     GROUP BY user_id);

-- panel: rollup of country, device and event
SELECT country, device, event, count(*), sum(amount), avg(latency_ms) FROM events
GROUP BY ROLLUP (country, device, event) ORDER BY country NULLS LAST, device NULLS LAST, event NULLS LAST;

-- panel: grouping sets of minute, os and browser
SELECT date_trunc('minute', ts) AS minute, os, browser, count(*), sum(bytes) FROM events
GROUP BY GROUPING SETS ((1, os), (1, browser), (os, browser)) ORDER BY 1 NULLS LAST, 2 NULLS LAST, 3 NULLS LAST;

-- panel: five-way join with small tables
SELECT r.region, k.kind, c.class, m.maker, count(*), sum(e.amount), sum(k.weight) FROM events AS e
    JOIN regions AS r ON r.country = e.country JOIN kinds AS k ON k.event = e.event
    JOIN classes AS c ON c.status = e.status JOIN makers AS m ON m.os = e.os
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;

-- panel: distinct users and sessions per country
SELECT country, count(DISTINCT user_id), count(DISTINCT session_id) FROM events GROUP BY 1 ORDER BY 1;

-- panel: three percentiles per city
SELECT city, percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms), percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms),
    percentile_cont(0.99) WITHIN GROUP (ORDER BY latency_ms) FROM events GROUP BY 1 ORDER BY 1;
-- duckdb:
SELECT city, quantile_cont(latency_ms, 0.5), quantile_cont(latency_ms, 0.95), quantile_cont(latency_ms, 0.99) FROM events GROUP BY 1 ORDER BY 1;

-- panel: addresses by regular expression
SELECT regexp_replace(ip, '\.[0-9]+\.[0-9]+$', '') AS net, count(*) AS n, sum(bytes) FROM events GROUP BY 1 ORDER BY n DESC, net LIMIT 20;

-- panel: words of messages and parts of pages
SELECT split_part(message, ' ', 2) AS word, count(*) AS n FROM events GROUP BY 1 ORDER BY n DESC, word LIMIT 20;
SELECT split_part(page, '/', 2) AS part, upper(left(agent, 12)) AS agent, count(*) AS n FROM events GROUP BY 1, 2 ORDER BY n DESC, 1, 2 LIMIT 20;

-- panel: purchases of users who met an error (EXISTS)
SELECT country, count(*), sum(amount) FROM events AS e
WHERE event = 'purchase' AND EXISTS (SELECT 1 FROM events AS x WHERE x.user_id = e.user_id AND x.status = 500)
    AND NOT EXISTS (SELECT 1 FROM events AS x WHERE x.user_id = e.user_id AND x.status = 429)
GROUP BY 1 ORDER BY 1;

-- panel: five most seen pages of each country
SELECT country, page, n FROM
    (SELECT country, page, count(*) AS n, row_number() OVER (PARTITION BY country ORDER BY count(*) DESC, page) AS place
     FROM events GROUP BY 1, 2) AS ranked
WHERE place <= 5 ORDER BY country, place;

-- panel: union of aggregates
SELECT 'country' AS what, country AS which, count(*), avg(latency_ms) FROM events GROUP BY 2
UNION ALL SELECT 'browser', browser, count(*), avg(latency_ms) FROM events GROUP BY 2
UNION ALL SELECT 'campaign', campaign, count(*), avg(latency_ms) FROM events WHERE is_new GROUP BY 2
UNION ALL SELECT 'referrer', referrer, count(*), avg(latency_ms) FROM events WHERE status >= 400 GROUP BY 2
ORDER BY 1, 2;

-- panel: gaps of 10 s filled per country, last value carried
WITH filled AS (SELECT country, time_bucket(interval '10 seconds', ts) AS slot, max(latency_ms) AS value FROM events WHERE status = 500 GROUP BY 1, 2),
    grid AS (SELECT country, slot FROM (SELECT DISTINCT country FROM events) AS c,
             generate_series(timestamptz '2026-05-01 00:00:00+00', timestamptz '2026-05-01 03:19:50+00', interval '10 seconds') AS s(slot))
SELECT country, count(*), count(value), sum(value) FROM
    (SELECT grid.country, grid.slot, locf(value) OVER (PARTITION BY grid.country ORDER BY grid.slot) AS value
     FROM grid LEFT JOIN filled ON filled.country = grid.country AND filled.slot = grid.slot) AS carried
GROUP BY 1 ORDER BY 1;
-- duckdb:
WITH filled AS (SELECT country, time_bucket(interval '10 seconds', ts) AS slot, max(latency_ms) AS value FROM events WHERE status = 500 GROUP BY 1, 2),
    grid AS (SELECT country, slot FROM (SELECT DISTINCT country FROM events) AS c,
             generate_series(TIMESTAMP '2026-05-01 00:00:00', TIMESTAMP '2026-05-01 03:19:50', interval '10 seconds') AS s(slot))
SELECT country, count(*), count(value), sum(value) FROM
    (SELECT grid.country, grid.slot, last_value(value IGNORE NULLS) OVER (PARTITION BY grid.country ORDER BY grid.slot) AS value
     FROM grid LEFT JOIN filled ON filled.country = grid.country AND filled.slot = grid.slot) AS carried
GROUP BY 1 ORDER BY 1;

-- panel: hop of 5 minutes by 1 minute, per event
SELECT window_start, event, count(*), sum(bytes) FROM hop(events, ts, interval '1 minute', interval '5 minutes') GROUP BY 1, 2 ORDER BY 1, 2;
-- duckdb:
WITH one AS (SELECT date_trunc('minute', ts) AS slot, event, count(*) AS n, sum(bytes) AS s FROM events GROUP BY 1, 2)
SELECT slot - to_minutes(k) AS window_start, event, sum(n)::bigint, sum(s) FROM one, (SELECT unnest([0, 1, 2, 3, 4]) AS k)
GROUP BY 1, 2 ORDER BY 1, 2;

-- panel: retention of users in four steps of time
SELECT sum(kept[1]), sum(kept[2]), sum(kept[3]), sum(kept[4]) FROM
    (SELECT retention(ts < timestamptz '2026-05-01 00:50:00+00',
                      ts >= timestamptz '2026-05-01 00:50:00+00' AND ts < timestamptz '2026-05-01 01:40:00+00',
                      ts >= timestamptz '2026-05-01 01:40:00+00' AND ts < timestamptz '2026-05-01 02:30:00+00',
                      ts >= timestamptz '2026-05-01 02:30:00+00') AS kept FROM events GROUP BY user_id) AS users;
-- duckdb:
SELECT sum(a::int), sum((a AND b)::int), sum((a AND c)::int), sum((a AND d)::int) FROM
    (SELECT bool_or(ts < TIMESTAMP '2026-05-01 00:50:00') AS a,
            bool_or(ts >= TIMESTAMP '2026-05-01 00:50:00' AND ts < TIMESTAMP '2026-05-01 01:40:00') AS b,
            bool_or(ts >= TIMESTAMP '2026-05-01 01:40:00' AND ts < TIMESTAMP '2026-05-01 02:30:00') AS c,
            bool_or(ts >= TIMESTAMP '2026-05-01 02:30:00') AS d FROM events GROUP BY user_id);

-- panel: histogram of latencies per device
SELECT device, floor(latency_ms / 5)::bigint AS slot, count(*) FROM events WHERE latency_ms < 1000 GROUP BY 1, 2 ORDER BY 1, 2;

-- panel: self-join on minutes, each minute beside the one before
WITH slots AS (SELECT date_trunc('minute', ts) AS minute, city, count(*) AS n FROM events GROUP BY 1, 2)
SELECT count(*), sum(a.n - b.n), max(a.n - b.n), sum(a.n * b.n) FROM slots AS a JOIN slots AS b
    ON b.city = a.city AND a.minute = b.minute + interval '1 minute';
