"""Makes a small case of a query that two servers answer differently: takes away parts of the text, then rows, then columns, for as
long as the servers go on to differ in the same manner. It knows nothing of the grammar but brackets, commas and words; what is not
SQL any more fails on both sides and so does not count."""

import re
import time

from differential import ground, harness, tables

TOKEN = re.compile(r"""'(?:[^']|'')*'|"[^"]*"|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|\w+(?:\.\w+)*|::|<=|>=|<>|!~\*|!~|~\*|\|\||->>|->|\#>>|@>|<@|\?[|&]|&&|.""", re.S | re.X)
SECONDS = 40
KEEP = {"SELECT"}


def tokens(sql):
    return [token for token in TOKEN.findall(sql) if not token.isspace()]


def text_of(listed):
    text = " ".join(listed)
    text = re.sub(r"\s*::\s*", "::", text)
    text = re.sub(r"\( ", "(", re.sub(r" ([,)\]])", r"\1", text))
    text = re.sub(r"\[ ", "[", text)
    return re.sub(r"\b(?!AND|OR|NOT|IN|ON|WHERE|FROM|BY|AS|OVER|SELECT|WHEN|THEN|ELSE|FILTER|LATERAL|UNION|ALL|EXCEPT|INTERSECT|BETWEEN|VALUES|DISTINCT|SETS|GROUP|JOIN|"
                  r"EXISTS|ANY|LIKE|IS|USING|WITHIN|ROLLUP|CUBE)(\w+) \(", r"\1(", text)


def ends(listed):
    """For each opening bracket the place of its closing one."""
    stack, found = [], {}
    for index, token in enumerate(listed):
        if token in "([":
            stack.append(index)
        elif token in ")]" and stack:
            found[stack.pop()] = index
    return found


def runs(listed):
    """(begin, end) of what might be left out, long ones first: items between commas, clauses, operands, single tokens."""
    closing = ends(listed)
    found = set()
    for begin in [-1, *closing]:
        end = closing.get(begin, len(listed))
        marks, index = [begin], begin + 1
        while index < end:
            if index in closing:
                index = closing[index]
            elif listed[index] == "," or re.fullmatch(
                    r"SELECT|FROM|WHERE|GROUP|HAVING|ORDER|LIMIT|OFFSET|WINDOW|UNION|EXCEPT|INTERSECT|AND|OR|JOIN|LEFT|RIGHT|FULL|CROSS|NATURAL|ON|FILTER|OVER|"
                    r"PARTITION|ROWS|RANGE|GROUPS|EXCLUDE|WHEN|ELSE|THEN|END|WITH|AS|\+|-|\*|/|<|>|=|<=|>=|<>|::|\|\|", listed[index]):
                marks.append(index)
            index += 1
        marks.append(end)
        for i, mark in enumerate(marks):
            for other in marks[i + 1:i + 12]:
                for pair in ((mark, other), (mark + 1, other), (mark + 1, other + 1)):
                    if -1 < pair[0] < pair[1] <= len(listed) and pair[1] - pair[0] < len(listed):
                        found.add(pair)
    found |= {(index, index + size) for index in range(len(listed)) for size in (1, 2, 3) if index + size <= len(listed)}
    return sorted(found, key=lambda pair: (pair[0] - pair[1], pair))


def candidates(listed):
    """Shorter texts: a run left out, a bracket's content instead of the call around it, a literal instead of a bracket."""
    for begin, end in runs(listed):
        yield listed[:begin] + listed[end:]
    closing = ends(listed)
    for begin, end in sorted(closing.items(), key=lambda pair: pair[0] - pair[1]):
        inside = listed[begin + 1:end]
        start = begin - 1 if begin > 0 and re.fullmatch(r"\w+", listed[begin - 1]) else begin
        yield listed[:start] + inside + listed[end + 1:]
        for first in {begin, start}:
            yield listed[:first] + listed[begin:end + 1] + listed[end + 1:] if first != begin else listed[:begin] + inside + listed[end + 1:]
            for literal in ("NULL", "1", "'a'", "true"):
                if end - first > 1:
                    yield listed[:first] + [literal] + listed[end + 1:]


def shrink(sql, differs, deadline):
    """The shortest text found for which differs(text) holds."""
    best, is_better = tokens(sql), True
    while is_better and time.monotonic() < deadline:
        is_better = False
        seen = set()
        for candidate in candidates(best):
            if time.monotonic() > deadline:
                break
            key = tuple(candidate)
            if key in seen or len(candidate) >= len(best) or not candidate:
                continue
            seen.add(key)
            if differs(text_of(candidate)):
                best, is_better = candidate, True
                break
    return text_of(best)


def fewer(items, differs, deadline):
    """ddmin: a subset that still differs, from which no half, quarter … can go."""
    size = max(1, len(items) // 2)
    while items and time.monotonic() < deadline:
        at, is_smaller = 0, False
        while at < len(items) and time.monotonic() < deadline:
            rest = items[:at] + items[at + size:]
            if differs(rest):
                items, is_smaller = rest, True
            else:
                at += size
        if size == 1 and not is_smaller:
            break
        size = max(1, size // 2)
    return items


def kind_of(why):
    """What must stay the same, so that the small case is one of this fault and not of another."""
    if why is None:
        return None
    match = re.match(r"(only \w+ fail: \w+|errors differ|types differ|row counts differ|row)", why)
    kind = match.group(1) if match else why
    return "answers" if kind.startswith("row") else kind


class Case:
    """A mismatch and scratch tables of its own on both servers."""

    def __init__(self, theirs, ours, sql, settings, layout, is_ordered=True):
        self.theirs, self.ours, self.sql, self.settings = theirs, ours, sql, settings
        self.layout, self.zone = layout, settings.get("timezone", "UTC")
        self.tables = {table: ground.rows_of(table, count) for table, count in ground.TABLES if re.search(rf"\b{table}\b", sql)}
        self.columns = {table: [name for name, _ in tables.COLUMNS["w" if table == "w" else "t"]] for table in self.tables}

    def is_total(self, sql):
        return False if "LIMIT" not in sql else True

    def why(self, sql):
        theirs = self.theirs.answer(sql, self.zone)
        if theirs.state == "57014":
            return None
        return harness.difference(self.ours.answer(sql, self.settings), theirs, self.is_total(sql), sql)

    def statements(self, dialect):
        """What makes the tables."""
        for table, rows in self.tables.items():
            names = [name for name, _ in tables.COLUMNS["w" if table == "w" else "t"]]
            kept = [index for index, name in enumerate(names) if name in self.columns[table]]
            yield ground.ddl(table, dialect, self.columns[table])
            parts = [rows] if self.layout != "mixed" or len(rows) < 2 else [rows[:len(rows) // 2], rows[len(rows) // 2:]]
            for part in parts:
                if part:
                    yield ground.insert(table, [[row[index] for index in kept] for row in part])
                if dialect == "freshet" and self.layout != "mutable" and part is parts[0]:
                    yield "CHECKPOINT"

    def remake(self):
        for server, dialect in ((self.theirs, "postgresql"), (self.ours, "freshet")):
            for table, _ in ground.TABLES:
                server.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in self.statements(dialect):
                server.execute(statement)

    def reduce(self):
        """True if it still differs over the scratch tables; then it is as small as the time allowed."""
        self.remake()
        kind = kind_of(self.why(self.sql))
        if kind is None:
            return False
        self.sql = shrink(self.sql, lambda sql: kind_of(self.why(sql)) == kind, time.monotonic() + SECONDS)
        self.tables = {table: rows for table, rows in self.tables.items() if re.search(rf"\b{table}\b", self.sql)}
        for table in list(self.tables):
            for part in (self.tables, self.columns):
                def differs(rest, part=part, table=table):
                    before, part[table] = part[table], rest
                    try:
                        if part is self.columns and not rest:
                            return False
                        self.remake()
                        return kind_of(self.why(self.sql)) == kind
                    except (AssertionError, harness.psycopg.Error):  # what the time option names, for one: keep it
                        return False
                    finally:
                        part[table] = before

                part[table] = fewer(part[table], differs, time.monotonic() + SECONDS / 2)
        self.remake()
        return True

    def print(self, seed):
        lines = [f"-- seed {seed}, {self.layout} {self.settings}: {self.why(self.sql)}"]
        lines += [statement + ";" for statement in self.statements("freshet")]
        theirs, ours = self.theirs.answer(self.sql, self.zone), self.ours.answer(self.sql, self.settings)
        lines += [self.sql + ";"]
        lines += [f"-- {name}: {answer.state + ' ' + answer.text if answer.state else answer.rows[:10]}" for name, answer in (("ours", ours), ("PostgreSQL", theirs))]
        return "\n".join(lines)


def cases(dsn, address, found, limit=12):
    """Small cases of what was found, one of each kind of small text; PostgreSQL's tables are lost."""
    theirs, ours, seen = harness.Reference(dsn, is_first=False), harness.Freshet(address), set()
    for seed, layout, sql, settings, _ in found:
        if len(seen) >= limit:
            break
        case = Case(theirs, ours, sql, settings, layout)
        if not case.reduce():
            yield f"-- seed {seed}: differs over {layout} rows with what was there before, not over tables made anew: {sql}"
            continue
        shape = re.sub(r"'[^']*'|\d+", "?", case.sql)
        if shape not in seen:
            seen.add(shape)
            yield case.print(seed)
    theirs.connection.close()
