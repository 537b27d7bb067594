-- Questions over columns of very many values (bench/README.md), as bench/cardinality reads them: groups and distinct values by the
-- million. Written as bench/panels.sql is; every order is total.

-- panel: top 10 of a million users
SELECT user_id, count(*) AS n FROM events GROUP BY user_id ORDER BY n DESC, user_id LIMIT 10;

-- panel: top 10 of a million users by sum
SELECT user_id, count(*) AS n, sum(bytes) AS total FROM events GROUP BY user_id ORDER BY total DESC, user_id LIMIT 10;

-- panel: distinct users
SELECT count(DISTINCT user_id) FROM events;
-- chdb:
SELECT uniqExact(user_id) FROM events;

-- panel: distinct users by country
SELECT country, count(DISTINCT user_id) AS users FROM events GROUP BY country ORDER BY country;
-- chdb:
SELECT country, uniqExact(user_id) AS users FROM events GROUP BY country ORDER BY country;

-- panel: distinct sessions, a text a row
SELECT count(DISTINCT session_id) FROM events;
-- chdb:
SELECT uniqExact(session_id) FROM events;

-- panel: distinct pages
SELECT count(DISTINCT page) FROM events;
-- chdb:
SELECT uniqExact(page) FROM events;

-- panel: users by country, top 10 pairs
SELECT user_id, country, count(*) AS n FROM events GROUP BY user_id, country ORDER BY n DESC, user_id, country LIMIT 10;

-- panel: pages by city, top 10 pairs of texts
SELECT page, city, count(*) AS n FROM events GROUP BY page, city ORDER BY n DESC, page, city LIMIT 10;

-- panel: about how many users
SELECT approx_count_distinct(user_id) > 1000 AS are_many FROM events;
-- chdb:
SELECT uniqCombined(user_id) > 1000 AS are_many FROM events;

-- panel: about how many sessions by country
SELECT country, approx_count_distinct(session_id) > 1 AS are_many FROM events GROUP BY country ORDER BY country;
-- chdb:
SELECT country, uniqCombined(session_id) > 1 AS are_many FROM events GROUP BY country ORDER BY country;
