CREATE TABLE clicks (ts timestamptz NOT NULL, country text DEFAULT 'x', page varchar(100), user_id bigint NOT NULL, ok boolean, day date, latency_ms double precision, amount numeric(18,3), tags text[], attrs jsonb, small smallint, n integer DEFAULT 7);
CREATE TABLE plain (a integer, b text);
