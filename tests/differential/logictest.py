"""Runs files of the sqllogictest kind over HTTP, by hand: other projects' suites, which are not kept here.

    build/venv/bin/python -m differential.logictest FOLDER [FOLDER …]   (in tests/, with FRESHET_BINARY)

A server of its own for each file. What needs statements or types that we refuse by name (0A000, 42883 …) is skipped and counted by
reason, and so is what reads tables that were refused; the rest must give the rows that the file has."""

import argparse
import collections
import hashlib
import os
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, os.fspath(pathlib.Path(__file__).resolve().parents[1]))

import freshet  # noqa: E402
from differential import harness  # noqa: E402

REFUSED = {"0A000", "42883", "42704", "42601", "42P01", "42703", "42809"}  # the last of them follow from tables that are not there
FOREIGN = re.compile(r"\b(UPDATE|DELETE|CREATE (UNIQUE )?INDEX|PRAGMA|ATTACH|REINDEX|REPLACE INTO|CREATE TRIGGER|BEGIN|COMMIT|ROLLBACK|ALTER)\b", re.I)


def records(text):
    """(kind, options, SQL, expected lines or None)"""
    for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")):
        lines = [line for line in block.split("\n") if not line.startswith("#")]
        while lines and (not lines[0].strip() or re.match(r"(skipif|onlyif|hash-threshold|halt|subtest|include|load|require)\b", lines[0])):
            if re.match(r"onlyif (?!postgres)|skipif postgres|halt", lines[0]):
                lines = []
                break
            lines = lines[1:]
        if not lines:
            continue
        head = lines[0].split()
        if head[0] == "statement":
            yield "statement", head[1:], "\n".join(lines[1:]).split("\n----")[0], None
        elif head[0] == "query":
            body = lines[1:]
            cut = body.index("----") if "----" in body else len(body)
            yield "query", head[1:], "\n".join(body[:cut]), body[cut + 1:] if cut < len(body) else None


def cell_text(cell, letter):
    if cell is None:
        return "NULL"
    if letter == "I" and isinstance(cell, harness.Number):
        return str(int(float(cell))) if re.fullmatch(r"-?\d+\.0+", cell) else str(cell)
    if letter == "R" and isinstance(cell, harness.Number):
        return f"{float(cell):.3f}"
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return "(empty)" if cell == "" else str(cell)


def is_same(answer, letters, sort, expected):
    cells = [[cell_text(cell, letter) for cell, letter in zip(row, letters + "T" * len(row))] for row in answer.rows]
    match = re.fullmatch(r"(\d+) values hashing to ([0-9a-f]{32})", expected[0]) if len(expected) == 1 else None
    whole = [line for line in expected if line != ""]
    by_row = not match and len(whole) == len(cells) and (len(letters) > 1 or len(cells) == len(whole))
    lines = ["\t".join(row) for row in cells]
    values = [cell for row in (sorted(cells) if sort == "rowsort" else cells) for cell in row]
    if sort == "valuesort":
        values = sorted(values)
    if match:
        return hashlib.md5("".join(value + "\n" for value in values).encode()).hexdigest() == match.group(2)

    def loose(text):
        return re.sub(r"\s+", " ", text.strip()).lower()

    def number(text):
        try:
            return f"{float(text):.9g}"
        except ValueError:
            return {"t": "true", "f": "false"}.get(text, text)

    if not whole and not cells:
        return True
    if by_row:
        ours, theirs = [" ".join(number(word) for word in loose(line).split()) for line in lines], [" ".join(number(word) for word in loose(line).split()) for line in whole]
        if sorted(ours) == sorted(theirs):
            return True
    return sorted(number(loose(value)) for value in values) == sorted(number(loose(line)) for line in whole)


class Count:
    def __init__(self):
        self.passed, self.skipped, self.failed = 0, collections.Counter(), []


def run_file(path, server, count):
    ours = harness.Freshet(server.http)
    missing = False
    for kind, options, sql, expected in records(path.read_text(errors="replace")):
        sql = sql.strip().rstrip(";")
        if not sql or FOREIGN.search(sql.split("'")[0]):
            count.skipped["statements that there are not"] += 1
            missing = missing or bool(FOREIGN.search(sql))
            continue
        try:
            answer = ours.answer(sql)
        except KeyError:
            count.passed += 1  # a command's answer has no columns
            continue
        wants_error = options[:1] == ["error"]
        if wants_error:
            count.passed += answer.state is not None
            if answer.state is None:
                count.skipped["no error where the file has one"] += 1
        elif answer.state is not None:
            if answer.state in REFUSED:
                count.skipped[f"{answer.state} " + re.sub(r'"[^"]*"|\d+', "…", answer.text)[:70]] += 1
                missing = missing or kind == "statement"
            elif kind == "query" and expected is None:
                count.skipped["fails, and no rows in the file"] += 1
            else:
                count.failed.append((path, sql, f"{answer.state} {answer.text}"))
        elif kind == "statement" or expected is None:
            count.passed += 1
        elif is_same(answer, options[0] if options else "", options[1] if len(options) > 1 else "nosort", expected):
            count.passed += 1
        elif missing:
            count.skipped["other rows after a statement that was refused"] += 1
        else:
            count.failed.append((path, sql, f"ours {answer.rows[:4]}, in the file {expected[:4]}"))


def main():
    parser = argparse.ArgumentParser(description="sqllogictest files over HTTP")
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--show", type=int, default=40)
    arguments = parser.parse_args()
    count = Count()
    paths = sorted(path for folder in arguments.folders for path in ([folder] if folder.is_file() else folder.rglob("*"))
                   if path.suffix in (".slt", ".test", ".part") or "logic_test" in path.parts[-2])[:arguments.files]
    for path in paths:
        with tempfile.TemporaryDirectory(prefix="freshet-logictest-") as directory:
            server = freshet.Server(pathlib.Path(directory) / "store")
            try:
                run_file(path, server, count)
            finally:
                server.stop()
    print(f"{len(paths)} files: {count.passed} passed, {sum(count.skipped.values())} skipped, {len(count.failed)} failed")
    for reason, number in count.skipped.most_common(30):
        print(f"  skipped {number}: {reason}")
    for path, sql, why in count.failed[:arguments.show]:
        print(f"  {path.name}: {why[:240]}\n    {' '.join(sql.split())[:400]}")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
