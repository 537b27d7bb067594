-- The first rows of an order (bench/README.md), as bench/topn reads them: few rows of many columns out of all there are. Written as
-- bench/panels.sql is; every order is total.

-- panel: slowest 10
SELECT ts, event_id, event, user_id, country, page, referrer, status, latency_ms, amount, bytes FROM events
ORDER BY latency_ms DESC, event_id LIMIT 10;
-- chdb:
SELECT ts, event_id, event, user_id, country, page, referrer, status, latency_ms, amount, bytes FROM events
ORDER BY latency_ms DESC, toString(event_id) LIMIT 10;

-- panel: largest 100
SELECT ts, event_id, event, user_id, country, page, referrer, status, latency_ms, amount, bytes FROM events
ORDER BY bytes DESC, event_id LIMIT 100;
-- chdb:
SELECT ts, event_id, event, user_id, country, page, referrer, status, latency_ms, amount, bytes FROM events
ORDER BY bytes DESC, toString(event_id) LIMIT 100;

-- panel: newest 100
SELECT ts, event_id, event, user_id, country, page, referrer, status, latency_ms, amount, bytes FROM events
ORDER BY ts DESC, event_id LIMIT 100;
-- chdb:
SELECT ts, event_id, event, user_id, country, page, referrer, status, latency_ms, amount, bytes FROM events
ORDER BY ts DESC, toString(event_id) LIMIT 100;

-- panel: slowest 20 errors
SELECT ts, event_id, event, user_id, country, page, status, latency_ms FROM events WHERE status >= 500
ORDER BY latency_ms DESC, event_id LIMIT 20;
-- chdb:
SELECT ts, event_id, event, user_id, country, page, status, latency_ms FROM events WHERE status >= 500
ORDER BY latency_ms DESC, toString(event_id) LIMIT 20;

-- panel: dearest 50 of a country, from the 20th on
SELECT ts, event_id, user_id, page, referrer, amount, bytes FROM events WHERE country = 'AA' AND event = 'purchase'
ORDER BY amount DESC, ts, event_id LIMIT 50 OFFSET 20;
-- chdb:
SELECT ts, event_id, user_id, page, referrer, amount, bytes FROM events WHERE country = 'AA' AND event = 'purchase'
ORDER BY amount DESC, ts, toString(event_id) LIMIT 50 OFFSET 20;

-- panel: first 10 by page and user
SELECT page, user_id, ts, event_id, country, status, latency_ms FROM events ORDER BY page, user_id, ts, event_id LIMIT 10;
-- chdb:
SELECT page, user_id, ts, event_id, country, status, latency_ms FROM events ORDER BY page, user_id, ts, toString(event_id) LIMIT 10;
