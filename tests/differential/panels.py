"""Panels of a dashboard asked again and again while rows come, late ones too, are sealed and go: answers from kept partial results, rollups, plans of other
literals, code sets, offsets of integers and top-N bounds must be PostgreSQL's, each time.

A round is a table of its own, a few panels, and steps: rows, late rows, CHECKPOINT, TRUNCATE, a rollup made or dropped. After each step every panel is asked with
its window of time moved on, by two settings. Times are unique, doubles are eighths (or not finite), so that there is one answer."""

import random
import time

from differential import harness

STEPS = (4, 9)
PANELS = 7
START = 1_772_323_200_000_000  # 2026-03-01 00:00 UTC
SETTINGS = ({}, {}, {"freshet.threads": "2"}, {"freshet.bitmaps": "off"}, {"freshet.optimizer": "off"}, {"freshet.partial_cache": "off"},
            {"freshet.rollups": "off"}, {"freshet.spill": "off"}, {"freshet.plan_cache": "off"})
COLUMNS = {"id": "bigint NOT NULL", "ts": "timestamptz NOT NULL", "a": "integer", "b": "bigint", "c": "smallint", "few": "text", "path": "text", "edge": "text",
           "many": "text", "user_id": "text", "d": "double precision", "r": "real", "n": "numeric(12,2)", "ok": "boolean"}
TEXTS = ("few", "path", "edge", "many", "user_id")
NUMBERS = ("a", "b", "c", "d", "r", "n")
LIMITS = {"a": (-(1 << 31), (1 << 31) - 1), "b": (-(1 << 63), (1 << 63) - 1), "c": (-(1 << 15), (1 << 15) - 1)}
BASES = {"a": (0, -7, 1_000_000_000, *LIMITS["a"]), "b": (0, 65_536, 1 << 40, *LIMITS["b"]), "c": (0, *LIMITS["c"])}
SPANS = (2, 7, 90, 255, 256, 257, 700)
NOT_FINITE = ("NaN", "Infinity", "-Infinity")
BUCKETS = {"minute": 60, "hour": 3600, "day": 86400}


def stamp(us):
    seconds, part = divmod(us, 1_000_000)
    days, second = divmod(seconds - START // 1_000_000, 86_400)
    month, day = (3, days) if days < 31 else (4, days - 31)
    if days < 0:
        month, day = 2, 28 + days
    return f"2026-{month:02d}-{day + 1:02d} {second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{part:06d}+00"


class Round:
    def __init__(self, seed):
        self.rng = rng = random.Random(seed)
        self.name = f"p{seed}"
        self.base = {name: rng.choice(bases) for name, bases in BASES.items()}
        self.is_huge = rng.random() < 0.15  # rows enough for parts of them to be kept
        self.is_big = rng.random() < 0.2    # values enough for offsets in place of numbers
        self.span = {name: 20_000 if self.is_big and name != "c" else rng.choice(SPANS) for name in BASES}
        self.base = {name: min(base, LIMITS[name][1] - self.span[name] + 1) for name, base in self.base.items()}
        self.nulls = {name: rng.choice([0, 0, 0, 0.1, 0.9]) for name in COLUMNS}
        self.has_odd = rng.random() < 0.4
        self.counts = {"few": rng.choice([1, 2, 3, 5]), "path": rng.choice([20, 90, 127, 128]), "edge": rng.choice([15, 16, 17, 254, 255, 256, 257, 258]),
                       "many": rng.choice([600, 4_000])}
        heads = ["", "GET /api/", "GET /", "é", "日本", "a", "aa", "%", "z_"]
        self.words = {name: [f"{rng.choice(heads)}{index * 7919 % 9973:x}" for index in range(count)] for name, count in self.counts.items()}
        for words in self.words.values():
            words[0] = rng.choice(["", words[0]])
        self.now, self.seen, self.rows = START + rng.randrange(86_400) * 1_000_000, set(), 0
        self.pace = rng.choice([50_000, 300_000, 2_000_000])  # microseconds between rows, twice that
        self.has_rollup = False
        self.panels = [self.panel(6 if self.is_huge and index < 2 else None) for index in range(PANELS)]

    def pick(self, *choices):
        return self.rng.choice(choices)

    # --- rows ---
    def cell(self, name, is_late):
        rng = self.rng
        if name == "id":
            return str(self.rows)
        if name == "ts":
            while True:
                us = self.now - rng.randrange(20 * 86_400_000_000) if is_late else self.now + rng.randrange(self.pace)
                self.now = max(self.now, us) if not is_late else self.now
                if us not in self.seen:
                    break
                self.now += 1
            self.seen.add(us)
            return f"'{stamp(us)}'"
        if rng.random() < self.nulls[name]:
            return "NULL"
        if name in BASES:
            return str(self.base[name] + rng.randrange(self.span[name]))
        if name == "user_id":
            return f"'{rng.choice(['user-', 'session:', ''])}{rng.getrandbits(34):x}'" if rng.random() < 0.8 else f"'user-{rng.randrange(50)}'"
        if name in TEXTS:
            words = self.words[name]
            return "'" + words[min(rng.randrange(len(words)), rng.randrange(len(words)))] + "'"
        if name == "ok":
            return self.pick("true", "false")
        if name == "n":
            return f"{rng.randrange(-50_000, 900_000) / 100:.2f}"
        if self.has_odd and rng.random() < 0.02:
            return f"'{self.pick(*NOT_FINITE)}'"
        return repr(rng.randrange(-800, 4_000) / 8 + 0.0)

    def make_rows(self, count, is_late):
        rows = []
        for _ in range(count):
            rows.append("(" + ", ".join(self.cell(name, is_late) for name in COLUMNS) + ")")
            self.rows += 1
        return rows

    def bulk(self):
        """Many rows by one statement, of both servers' own making, times going on from now."""
        first, count = self.rows, self.pick(70_000, 140_000)
        words = {name: f"(ARRAY[{', '.join(repr(word) for word in self.words[name][:500])}])[1 + g * {self.pick(7919, 104_729)} % {min(500, self.counts[name])}]"
                 for name in ("few", "path", "edge", "many")}
        numbers = {name: f"'{self.base[name]}'::bigint + g * {self.pick(31, 7907)} % {self.span[name]}" for name in BASES}
        odd = "CASE WHEN g % 997 = 5 THEN 'NaN'::float8 WHEN g % 1499 = 7 THEN '-Infinity' ELSE (g * 7919 % 4800 - 800) / 8.0 END" if self.has_odd else "(g * 7919 % 4800 - 800) / 8.0"
        cells = {"id": "g", "ts": f"timestamptz '{stamp(self.now + 1_000_000)}' + (g - {first}) * interval '{self.pace // 2} microseconds'", **words, **numbers,
                 "user_id": "'user-' || g * 104729 % 99991", "d": odd, "r": "(g * 31 % 4800 - 800) / 8.0", "n": "g % 95000 / 100.0", "ok": "g % 3 = 0"}
        listed = ", ".join(f"CASE WHEN g % 10 {'<>' if self.nulls[name] > 0.5 else '='} 3 THEN NULL ELSE {cells[name]} END" if self.nulls[name] else cells[name]
                           for name in COLUMNS if name not in ("id", "ts"))
        self.rows += count
        self.now += 2_000_000 + count * (self.pace // 2)
        return f"INSERT INTO {self.name} SELECT {cells['id']}, {cells['ts']}, {listed} FROM generate_series({first}::bigint, {first + count - 1}) g"

    # --- panels: texts with places for the window of time ---
    def literal(self, name):
        rng = self.rng
        if name in BASES:
            low, high = LIMITS[name]
            return f"'{min(max(self.base[name] + rng.randrange(-2, self.span[name] + 2), low), high)}'"
        if name == "user_id":
            return f"'user-{rng.randrange(60)}'"
        if name in TEXTS:
            return "'" + (rng.choice(self.words[name]) if rng.random() < 0.9 else self.pick("", "nobody", "zzz", "GET /")) + "'"
        if name == "n":
            return f"{rng.randrange(-1_000, 9_000)}.{self.pick('0', '50', '005')}"
        if rng.random() < 0.1:
            return f"'{self.pick(*NOT_FINITE)}'::float8"
        return repr(rng.randrange(-800, 4_000) / 8)

    def test(self):
        name = self.pick(*TEXTS, *TEXTS, *NUMBERS)
        form = self.rng.randrange(9)
        if form == 0:
            return f"{name} IS {self.pick('', 'NOT ')}NULL"
        if form == 1:
            return self.pick("ok", "NOT ok", "ok IS NOT TRUE")
        if form in (2, 3):
            listed = ", ".join(self.literal(name) for _ in range(self.pick(1, 2, 3, 8, 9, 40, 130)))
            return f"{name} {self.pick('', '', 'NOT ')}IN ({listed})"
        if form == 4 and name in TEXTS:
            head = self.literal(name)[1:-1][:self.pick(1, 2, 5, 9)].replace("%", "\\%").replace("_", "\\_")
            return f"{name} {self.pick('LIKE', 'LIKE', 'NOT LIKE', 'ILIKE')} '{head}{self.pick('%', '%', '_%', '%1%')}'"
        if form == 5:
            low, high = sorted((self.literal(name), self.literal(name)))
            return f"{name} {self.pick('', 'NOT ')}BETWEEN {low} AND {high}"
        return f"{name} {self.pick('=', '<>', '<', '<=', '>', '>=')} {self.literal(name)}"

    def where(self):
        tests = [self.pick("ts >= '{begin}' AND ts < '{end}'", "ts >= '{begin}' AND ts < '{end}'", "ts BETWEEN '{begin}' AND '{end}'", "ts > '{begin}'", "true")]
        tests += [self.test() for _ in range(self.pick(0, 0, 1, 1, 2))]
        if self.rng.random() < 0.15:
            tests.append(f"({self.test()} OR {self.test()})")
        return " AND ".join(tests)

    def bucket(self):
        unit = self.pick(*BUCKETS)
        seconds = self.pick(60, 300, 3_600, 21_600)
        return self.pick(f"date_trunc('{unit}', ts)", f"time_bucket('{seconds} seconds', ts)", f"floor(extract(epoch FROM ts) / {seconds}) * {seconds}")

    def keys(self):
        form = self.rng.randrange(8)
        if form == 0:
            return []
        if form <= 2:
            return [self.bucket()] + ([self.pick(*TEXTS[:4], "a", "ok")] if form == 2 else [])
        if form == 3:
            return self.pick(["a", "b"], ["b", "a"], ["a", "c"], ["c", "b"], ["a", "b", "c"])
        if form == 4:
            return self.rng.sample(TEXTS[:4], self.pick(2, 2, 3))
        return [self.pick(*TEXTS, *NUMBERS, "ok", "a % 7", "lower(path)", "left(many, 3)", "a - 1", "path IS NULL", "length(edge)")]

    def call(self):
        name, number = self.pick(*TEXTS, *NUMBERS, "ts", "id"), self.pick(*NUMBERS)
        added = self.pick("a", "b", "c", "d", "n")  # not r: sum(real) adds in double
        text = self.pick("count(*)", "count(*)", f"count({name})", f"sum({added})", f"sum({added})", f"avg({number})", f"min({name})", f"max({name})",
                         f"min({number})", f"max({number})", f"count(DISTINCT {self.pick(*TEXTS, 'a', 'b', 'c')})", "bool_and(ok)", "bool_or(ok)",
                         "percentile_cont(0.9) WITHIN GROUP (ORDER BY r)", f"first({number}, ts)", f"last({name}, ts)")
        is_filtered = self.rng.random() < 0.15 and not text.startswith(("first", "last"))
        return text + (f" FILTER (WHERE {self.test()})" if is_filtered else "")

    def panel(self, form=None):
        """(text, whether its order is total)"""
        form = self.rng.randrange(12) if form is None else form
        if form == 0:
            columns = ", ".join(self.rng.sample(list(COLUMNS)[2:], self.pick(1, 3, 12)))
            key = self.pick("ts", "ts DESC", "ts, id", f"{self.pick(*NUMBERS, *TEXTS)}{self.pick('', ' DESC')}{self.pick('', ' NULLS FIRST', ' NULLS LAST')}, id")
            return f"SELECT id, {columns} FROM {{table}} WHERE {self.where()} ORDER BY {key} LIMIT {self.pick(1, 10, 100, 3_000)}", True
        if form == 1:
            name = self.pick(*NUMBERS, *TEXTS[:4])
            order = f"ORDER BY {name}{self.pick('', ' DESC')}{self.pick('', ' NULLS FIRST', ' NULLS LAST')}"
            ranks = self.pick("rank()", "dense_rank()", "count(*)", "first_value(d)", "lag(a)", "sum(c)")
            inner = f"SELECT id, {name} AS x, a, c, d FROM {{table}} WHERE {self.where()} {order}, id LIMIT {self.pick(1, 20, 500)}"
            tie = self.pick("", ", id") if ranks in ("rank()", "dense_rank()", "count(*)", "sum(c)") else ", id"
            return f"SELECT id, x, {ranks} OVER (ORDER BY x{self.pick('', ' DESC')}{tie}) FROM ({inner}) q ORDER BY id", True
        if form == 2:
            name = self.pick(*NUMBERS, *TEXTS[:4])
            rank = self.pick("rank()", "dense_rank()")
            inner = f"SELECT id, {name} AS x, {rank} OVER (ORDER BY {name}{self.pick('', ' DESC')}) AS place FROM {{table}} WHERE {self.where()}"
            return f"SELECT x, count(*), min(id) FROM ({inner}) q WHERE place <= {self.pick(1, 5, 40)} GROUP BY x", False
        if form == 3:
            key = self.pick("few", "path", "edge", "a", "c", "ok", "a, b", "few, path")
            return f"SELECT DISTINCT ON ({key}) {key}, id, d FROM {{table}} WHERE {self.where()} ORDER BY {key}, ts{self.pick('', ' DESC')}", True
        if form == 4:
            return f"SELECT DISTINCT {', '.join(self.rng.sample([*TEXTS[:4], *NUMBERS, 'ok'], self.pick(1, 2)))} FROM {{table}} WHERE {self.where()}", False
        keys, calls = self.keys(), [self.call() for _ in range(self.pick(1, 2, 4))]
        if form in (5, 6):
            keys, calls = [self.pick("time_bucket('1 hour', ts)", "date_trunc('day', ts)", "time_bucket('60 seconds', ts)"), "few"][:self.pick(1, 2)], \
                self.rng.sample(["count(*)", "sum(a)", "avg(a)", "min(d)", "max(d)", "sum(n)", "count(a)"], 3)
        where = self.pick("true", "ts >= '{begin}' AND ts < '{end}'", "few IS NOT NULL") if form == 6 else self.where()
        text = "SELECT " + ", ".join(keys + calls) + f" FROM {{table}} WHERE {where}"
        if not keys:
            return text, False
        numbers = ", ".join(str(index + 1) for index in range(len(keys)))
        text += f" GROUP BY {numbers}"
        if self.rng.random() < 0.2:
            text += self.pick(" HAVING count(*) > 1", f" HAVING max({self.pick('a', 'd', 'n')}) > 0", " HAVING count(DISTINCT path) = 2")
        if form >= 9 and "ok" not in keys:
            at = len(keys) + 1
            text += f" ORDER BY {at}{self.pick(' DESC', '')}{self.pick('', ' NULLS LAST')}, {numbers} LIMIT {self.pick(1, 5, 10, 1_000)}"
            return text, True
        return text, False

    def ask(self, panel):
        """The panel with its window moved to now."""
        grid = self.pick(1, 60, 60, 3_600) * 1_000_000
        end = self.now // grid * grid + self.pick(0, 0, grid)
        begin = end - self.pick(60, 3_600, 6 * 3_600, 86_400, 19 * 86_400) * 1_000_000
        return panel[0].replace("{table}", self.name).replace("{begin}", stamp(begin)).replace("{end}", stamp(end))

    # --- steps ---
    def rollup(self):
        unit = self.pick("60 seconds", "5 minutes", "1 hour")
        return f"CREATE MATERIALIZED VIEW r_{self.name} (t, few, m, x, y, z, v, w) WITH (rollup = 'true') AS SELECT time_bucket('{unit}', ts), few, count(*), " \
               f"sum(a), min(d), max(d), sum(n), count(a) FROM {self.name} GROUP BY 1, 2"


def same(server, theirs, sql, is_ordered, settings, expected):
    answer = server.answer(sql, settings)
    if "freshet.optimizer" in settings and harness.is_runtime(answer.state):
        return None
    return harness.difference(answer, expected, is_ordered, sql)


def check(theirs, servers, seed, part):
    """A round on the server of the seed's choice."""
    r = Round(seed)
    layout = r.pick(*servers)
    server, columns = servers[layout], ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    server.execute(f"CREATE TABLE {r.name} ({columns}) WITH (time = 'ts')")
    theirs.execute(f"CREATE TABLE {r.name} ({columns})")
    for column in r.rng.sample(["few", "path", "edge", "many"], r.pick(0, 0, 1, 2)):
        server.execute(f"CREATE INDEX ON {r.name} USING bitmap ({column})")
    try:
        steps(r, theirs, server, layout, seed, part)
    finally:
        if r.has_rollup:
            server.post(f"DROP MATERIALIZED VIEW r_{r.name}")
        server.post(f"DROP TABLE {r.name}")
        theirs.execute(f"DROP TABLE {r.name}")


def take(r, theirs, server, step):
    form = step if step != "any" else "bulk" if r.is_huge and r.rng.random() < 0.1 else r.pick("rows", "rows", "late", "late", "seal", "seal", "truncate", "rollup")
    if form in ("rows", "late"):
        count = r.pick(1, 63, 300, 2_500, 6_000) if step == "any" else 15_000 if r.is_big and not r.rows else 5_000
        count = min(count, 400) if form == "late" else count
        rows = r.make_rows(count, form == "late")
        for begin in range(0, count, 1_000):
            text = f"INSERT INTO {r.name} VALUES " + ",\n".join(rows[begin:begin + 1_000])
            server.execute(text)
            theirs.execute(text)
    elif form == "bulk":
        text = r.bulk()
        server.execute(text)
        theirs.execute(text)
    elif form == "truncate":
        server.execute(f"TRUNCATE {r.name}")
        theirs.execute(f"TRUNCATE {r.name}")
        if r.rng.random() < 0.7:  # others where those were
            take(r, theirs, server, "bulk" if r.is_huge else "rows")
            take(r, theirs, server, "seal")
    elif form == "rollup":
        server.execute(f"DROP MATERIALIZED VIEW r_{r.name}" if r.has_rollup else r.rollup())
        r.has_rollup = not r.has_rollup
    else:
        server.execute("CHECKPOINT")
    if r.is_huge and r.has_rollup and form in ("seal", "rollup"):
        wait_for_rollups(server)
    return form


def wait_for_rollups(server):
    """Answers do not wait for a rollup's parts; without these they are right too, but of rows."""
    for _ in range(100):
        rows = server.answer("SELECT segments, segments_covered FROM freshet.rollups").rows
        if all(row[0] == row[1] for row in rows):
            return
        time.sleep(0.1)


def steps(r, theirs, server, layout, seed, part):
    done = []
    listed = ["rows", *["any"] * r.rng.randint(*STEPS)]
    if r.is_huge:
        listed = ["bulk", "rollup", "seal", *["any"] * 3, "truncate"]
    elif r.rng.random() < 0.3:
        listed = ["rows", "rollup", "seal", "truncate", *listed[1:5]]
    for step in listed:
        done.append(take(r, theirs, server, step))
        part.used["step: " + done[-1]] += 1
        for panel in r.panels:
            sql = r.ask(panel)
            expected = theirs.answer(sql)
            part.count += 1
            part.errors += expected.state is not None
            for settings in ({}, r.pick(*SETTINGS)):
                why = same(server, theirs, sql, panel[1], settings, expected)
                if why:
                    part.found.append((seed, layout, f"{sql} after {', '.join(done)}", settings, why))
                    return
