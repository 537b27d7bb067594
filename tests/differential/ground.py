"""The tables that random queries are asked over: t (mild), e (values at the edges), w (few rows, for joins); how their rows lie."""

import json
import re

from differential import edges, tables

# How the rows lie is nobody's business but the store's: in memory, in sealed segments, or some here and some there.
LAYOUTS = ("mutable", "sealed", "mixed")
PATIENT = ("--statement-timeout", "600 s")  # a server on a loaded machine; a query that is too slow is another test's matter
TABLES = (("t", 400), ("e", edges.E_ROWS), ("w", 30))
BITMAPS = {"t": "g, k", "e": "g, s", "w": "g"}


def seal(server, dialect, layout, step, steps):
    """After `step` of `steps` inserts: mixed layouts have several sealed segments and rows in memory behind them."""
    is_due = step == steps if layout == "sealed" else step in (steps // 3, steps * 3 // 4) if layout == "mixed" else False
    if dialect == "freshet" and is_due:
        server.execute("CHECKPOINT")


def rows_of(table, count):
    return edges.edge_rows(tables.COLUMNS["t"], 7) if table == "e" else tables.table_rows(table, count, 7)


def ddl(table, dialect, columns=None):
    """CREATE TABLE of all columns or of those named."""
    text = tables.DDL["w" if table == "w" else "t"]
    if columns is not None:
        text = ", ".join(part for part in re.split(r", (?=\w+ [a-z])", text) if part.split()[0] in columns)
    time = "at" if table == "w" else "ts"
    has_time = columns is None or time in columns
    options = f" WITH (time = '{time}'{edges.OPTIONS})" if dialect == "freshet" and has_time else ""
    return f"CREATE TABLE {table} ({text}){options}"


def insert(table, rows):
    return f"INSERT INTO {table} VALUES " + ",\n".join("(" + ", ".join(row) + ")" for row in rows)


def fill_table(server, dialect, table, count, layout="mutable", is_indexed=False):
    server.execute(ddl(table, dialect))
    if is_indexed:
        for column in BITMAPS[table].split(", "):
            server.execute(f"CREATE INDEX ON {table} USING bitmap ({column})")
    rows = rows_of(table, count)
    for begin in range(0, count, 40):
        server.execute(insert(table, rows[begin:begin + 40]))
        seal(server, dialect, layout, begin // 40 + 1, (count + 39) // 40)


def fill(server, dialect, layout="mutable", is_indexed=False):
    for table, count in TABLES:
        fill_table(server, dialect, table, count, layout, is_indexed)


def check_layout(server, layout):
    """The rows lie where the test means them to. Many rows that have waited for minutes, as on a loaded machine, are sealed by
    the server itself: then some of those that are to be in memory are not."""
    answer = server.answer("SELECT state, count(*) FROM freshet.segments GROUP BY 1 ORDER BY 1")
    states = {row[0] for row in answer.rows}
    allowed = {"mutable": ({"mutable"}, {"mutable", "sealed"}), "sealed": ({"sealed"},), "mixed": ({"mutable", "sealed"},)}[layout]
    assert states in allowed, answer.rows


def plain(cell):
    """A literal's own text, None for NULL."""
    return None if cell == "NULL" else cell[1:-1].replace("''", "'") if cell[0] == "'" else cell


def csv_text(rows, names):
    """RFC 4180: NULL is empty, an empty text is quoted."""
    lines = [",".join(names)]
    for row in rows:
        cells = (plain(cell) for cell in row)
        lines.append(",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in cells))
    return "\r\n".join(lines) + "\r\n"


def ndjson_text(rows):
    lines = []
    for row in rows:
        cells = []
        for (name, kind), cell in zip(tables.COLUMNS["t"], row):
            text = plain(cell)
            if text is not None:
                cells.append(f'"{name}":' + (text if cell[0] != "'" or kind == "jsonb" else json.dumps(text)))
        lines.append("{" + ",".join(cells) + "}")
    return "\n".join(lines) + "\n"


def fill_big(ours, theirs, rows):
    """The same rows by INSERT, then ALTER TABLE, then by CSV and NDJSON in turns; one COPY on the other side. `ours` has for each
    layout a connection and what posts rows to its server; each text is made once for all of them."""
    names = [name for name, _ in tables.COLUMNS["t"]]
    definitions = re.split(r", (?=\w+ [a-z])", tables.DDL["t"])
    old, added = definitions[:-tables.BIG_ADDED], definitions[-tables.BIG_ADDED:]
    servers = [server for server, _ in ours.values()]
    for server, option in (*((each, " WITH (time = 'ts')") for each in servers), (theirs, "")):
        server.execute(f"CREATE TABLE t ({', '.join(old)}){option}")
    for begin in range(0, tables.BIG_ALTER, 500):
        cells = ", ".join("(" + ", ".join(row[:-tables.BIG_ADDED]) + ")" for row in rows[begin:begin + 500])
        for server in servers:
            server.execute(f"INSERT INTO t VALUES {cells}")
    if "mixed" in ours:  # a segment that lacks the columns that are added next
        ours["mixed"][0].execute("CHECKPOINT")
    for server in (*servers, theirs):
        for definition in added:
            server.execute(f"ALTER TABLE t ADD COLUMN {definition}")
    for turn, begin in enumerate(range(tables.BIG_ALTER, len(rows), 4_000)):
        part = rows[begin:begin + 4_000]
        body, kind = (csv_text(part, names), "text/csv") if turn % 2 else (ndjson_text(part), "application/x-ndjson")
        for _, ingest in ours.values():
            status, answer = ingest("t", body, content_type=kind)
            assert status == 200 and answer["rows"] == len(part) and not answer["rejected_rows"], answer
        if "mixed" in ours and begin < len(rows) // 2 <= begin + 4_000:
            ours["mixed"][0].execute("CHECKPOINT")
    if "sealed" in ours:
        ours["sealed"][0].execute("CHECKPOINT")
    with theirs.connection.cursor() as cursor, cursor.copy("COPY t FROM STDIN (FORMAT csv, HEADER)") as copy:
        copy.write(csv_text(rows, names))
    theirs.execute("ANALYZE t")
