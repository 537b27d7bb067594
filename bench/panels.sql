-- Twelve dashboard panels over the event (bench/README.md), as bench/peers and bench/panels read them.
--
-- `-- panel: NAME` begins a panel. What follows is Freshet's SQL; `-- duckdb:`, `-- chdb:` and `-- questdb:` begin the same question as that
-- engine answers it fastest, where its spelling differs. A panel of two statements counts as their sum. Every order is total, so that
-- answers can be compared row by row. The events are those of bench/peers: 200 minutes from 2026-05-01 00:00 UTC whatever their number,
-- so the last ten minutes are the newest 5 %.

-- panel: per minute
SELECT date_trunc('minute', ts) AS minute, count(*) FROM events GROUP BY 1 ORDER BY 1;
-- chdb:
SELECT toStartOfMinute(ts) AS minute, count() FROM events GROUP BY minute ORDER BY minute;

-- panel: per minute and country, with avg
SELECT date_trunc('minute', ts) AS minute, country, count(*), avg(latency_ms) FROM events GROUP BY 1, 2 ORDER BY 1, 2;
-- chdb:
SELECT toStartOfMinute(ts) AS minute, country, count(), avg(latency_ms) FROM events GROUP BY minute, country ORDER BY minute, country;

-- panel: sum per minute, country and event fixed
SELECT date_trunc('minute', ts) AS minute, count(*), sum(amount) FROM events
WHERE country = 'AA' AND event = 'purchase' GROUP BY 1 ORDER BY 1;
-- chdb:
SELECT toStartOfMinute(ts) AS minute, count(), sum(amount) FROM events
WHERE country = 'AA' AND event = 'purchase' GROUP BY minute ORDER BY minute;

-- panel: top 10 of 50,000 pages
SELECT page, count(*) AS views FROM events GROUP BY page ORDER BY views DESC, page LIMIT 10;

-- panel: distinct users
SELECT count(DISTINCT user_id) FROM events;
-- chdb:
SELECT uniqExact(user_id) FROM events;

-- panel: p95 per minute
SELECT date_trunc('minute', ts) AS minute, percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms) FROM events GROUP BY 1 ORDER BY 1;
-- duckdb:
SELECT date_trunc('minute', ts) AS minute, quantile_cont(latency_ms, 0.95) FROM events GROUP BY 1 ORDER BY 1;
-- chdb:
SELECT toStartOfMinute(ts) AS minute, quantileExactInclusive(0.95)(latency_ms) FROM events GROUP BY minute ORDER BY minute;

-- panel: newest 5 % by 10 s and event
SELECT time_bucket(interval '10 seconds', ts) AS slot, event, count(*), avg(latency_ms) FROM events
WHERE ts >= timestamptz '2026-05-01 03:10:00+00' GROUP BY 1, 2 ORDER BY 1, 2;
-- duckdb:
SELECT time_bucket(interval '10 seconds', ts) AS slot, event, count(*), avg(latency_ms) FROM events
WHERE ts >= TIMESTAMP '2026-05-01 03:10:00' GROUP BY 1, 2 ORDER BY 1, 2;
-- chdb:
SELECT toStartOfInterval(ts, INTERVAL 10 SECOND) AS slot, event, count(), avg(latency_ms) FROM events
WHERE ts >= toDateTime64('2026-05-01 03:10:00', 3, 'UTC') GROUP BY slot, event ORDER BY slot, event;

-- panel: max and min under a range
SELECT max(latency_ms), min(latency_ms), count(*) FROM events WHERE bytes BETWEEN 20000 AND 39999;

-- panel: one of 2,000, and its 20 newest rows
SELECT count(*), avg(latency_ms) FROM events WHERE referrer = 'https://nufivam.example/gefaco/1200';
SELECT ts, event_id, event, page, status, latency_ms, amount FROM events
WHERE referrer = 'https://nufivam.example/gefaco/1200' ORDER BY ts DESC, event_id LIMIT 20;
-- chdb:
SELECT count(), avg(latency_ms) FROM events WHERE referrer = 'https://nufivam.example/gefaco/1200';
SELECT ts, event_id, event, page, status, latency_ms, amount FROM events
WHERE referrer = 'https://nufivam.example/gefaco/1200' ORDER BY ts DESC, toString(event_id) LIMIT 20;

-- panel: error ratio per page
SELECT page, count(*) AS views, count(*) FILTER (WHERE status >= 500)::double precision / count(*) AS ratio FROM events
GROUP BY page HAVING count(*) >= 100 ORDER BY ratio DESC, page LIMIT 20;
-- duckdb:
SELECT page, count(*) AS views, count(*) FILTER (WHERE status >= 500)::double / count(*) AS ratio FROM events
GROUP BY page HAVING views >= 100 ORDER BY ratio DESC, page LIMIT 20;
-- chdb:
SELECT page, count() AS views, countIf(status >= 500) / count() AS ratio FROM events
GROUP BY page HAVING views >= 100 ORDER BY ratio DESC, page LIMIT 20;

-- panel: hop of 1 minute by 30 s
SELECT window_start, count(*), sum(amount) FROM hop(events, ts, interval '30 seconds', interval '1 minute') GROUP BY 1 ORDER BY 1;
-- duckdb:
WITH half AS (SELECT time_bucket(interval '30 seconds', ts) AS slot, count(*) AS n, sum(amount) AS s FROM events GROUP BY 1)
SELECT window_start, sum(n)::bigint, sum(s) FROM
    (SELECT slot AS window_start, n, s FROM half UNION ALL SELECT slot - interval '30 seconds', n, s FROM half)
GROUP BY 1 ORDER BY 1;
-- chdb:
WITH half AS (SELECT toStartOfInterval(ts, INTERVAL 30 SECOND) AS slot, count() AS n, sum(amount) AS s FROM events GROUP BY slot)
SELECT window_start, sum(n), sum(s) FROM
    (SELECT arrayJoin([slot, slot - INTERVAL 30 SECOND]) AS window_start, n, s FROM half)
GROUP BY window_start ORDER BY window_start;

-- panel: totals
SELECT count(*), sum(amount), avg(latency_ms), max(ts) FROM events;
-- chdb:
SELECT count(), sum(amount), avg(latency_ms), max(ts) FROM events;
