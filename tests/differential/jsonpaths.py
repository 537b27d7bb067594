"""Random SQL/JSON paths and the values they are tried on."""

VALUES = [
    "null", "true", "5", "-1.50", "1e3", '"text"', '""', "[]", "{}", "[1, 2, 3]", '[1, "two", null, true, [4, [5]]]',
    '{"a": 1, "b": "x"}', '{"a": [1, 2, {"b": 7}], "b": {"a": null, "c": [[1], []]}}', '[{"a": 1}, {"a": "1"}, {"b": 2}, 3]',
    '{"a": {"a": {"a": [0, 10, 20]}}, "é k": "日本"}', '{"a": "abc", "b": ["abd", "Abc", "x\\ny"], "c": 12345678901234567890}',
    '{"a": [{"b": 1, "c": 2.50}, {"b": 3, "c": "4"}, {"b": null}]}', '[[[1, 2], [3]], [], [[]]]',
]
VARIABLES = ['{}', '{"x": 1, "y": "ab"}', '{"x": [1, 2], "y": null}']
KEYS = [".a", ".b", '."c"', ".*", '."é k"', ".c", ".type", ".last"]


class Paths:
    def __init__(self, rng):
        self.rng = rng

    def pick(self, *choices):
        return self.rng.choice(choices)

    def path(self):
        mode = self.pick("", "", "lax ", "strict ", "strict ")
        body = self.predicate(2, "$") if self.rng.random() < 0.2 else self.value(3, "$")
        return mode + body

    def subscript(self, depth):
        one = self.pick("0", "1", "2", "-1", "last", "last - 1", "1.9", "last + 1", '"a"', "0 to 1", "1 to last", "2 to 0", "0, 2",
                        "last, 0 to 1", "$.a", "$.size() - 1", "99999999999")
        return f"[{one}]" if depth == 0 or self.rng.random() < 0.9 else f"[{self.value(depth - 1, '$')}]"

    def step(self, depth):
        form = self.rng.randint(0, 9)
        if form <= 3:
            return self.pick(*KEYS)
        if form == 4:
            return "[*]"
        if form == 5:
            return self.subscript(depth)
        if form == 6:
            return self.pick(".**", ".**{0}", ".**{1}", ".**{1 to 2}", ".**{last}", ".**{2 to last}", ".**{0 to 1}")
        if form == 7 or depth == 0:
            return self.pick(".type()", ".size()", ".double()", ".ceiling()", ".floor()", ".abs()", ".keyvalue().key")
        return f" ? ({self.predicate(depth - 1, '@')})"

    def chain(self, depth, root):
        start = self.pick(root, root, root, "$")
        return start + "".join(self.step(depth) for _ in range(self.rng.randint(0, 3)))

    def value(self, depth, root):
        form = self.rng.randint(0, 13)
        if form <= 7 or depth == 0:
            return self.chain(depth, root)
        if form == 8:
            return self.pick("1", "2", "1.5", "-1", '"a"', '"abc"', "null", "true", "0", "1e2", ".5", "5.", "$x", "$y", "$nothing")
        if form == 9:
            return f"{self.pick('-', '+')}{self.value(depth - 1, root)}"
        if form == 10:
            return f"({self.predicate(depth - 1, root)}).type()"
        if form == 11:
            return f"({self.value(depth - 1, root)}){self.step(depth - 1)}"
        return f"{self.value(depth - 1, root)} {self.pick('+', '-', '*', '/', '%')} {self.value(depth - 1, root)}"

    def predicate(self, depth, root):
        form = self.rng.randint(0, 12)
        if depth == 0 or form <= 4:
            compare = self.pick("==", "!=", "<>", "<", "<=", ">", ">=")
            return f"{self.value(max(depth - 1, 0), root)} {compare} {self.value(max(depth - 1, 0), root)}"
        if form == 5:
            return f"{self.predicate(depth - 1, root)} {self.pick('&&', '||')} {self.predicate(depth - 1, root)}"
        if form == 6:
            return f"!({self.predicate(depth - 1, root)})"
        if form == 7:
            return f"({self.predicate(depth - 1, root)}) is unknown"
        if form == 8:
            return f"exists ({self.value(depth - 1, root)})"
        if form == 9:
            prefix = self.pick('"a"', '""', '"ab"', "$y")
            return f"{self.value(depth - 1, root)} starts with {prefix}"
        if form == 10:
            flag = self.pick("", ' flag "i"', ' flag "s"', ' flag "ms"', ' flag "q"', ' flag "iq"')
            pattern = self.pick("^a", "b", "x.y", "^$", "[a-c]+$", "a.c")
            return f'{self.value(depth - 1, root)} like_regex "{pattern}"{flag}'
        return f"{self.value(depth - 1, root)} {self.pick('==', '<')} {self.pick('1', '2', 'null', chr(34) + 'abc' + chr(34))}"

    def expression(self):
        """A call as SQL."""
        path = self.path()
        if self.rng.random() < 0.03:  # and what is no path
            place = self.rng.randint(0, len(path))
            path = path[:place] + self.pick("", "(", ")", "@", "]", " to ", "..", "1a", "last", "&", '"') + path[place + 1:]
        path, value = path.replace("'", "''"), self.pick(*VALUES)
        form = self.rng.randint(0, 9)
        if form == 0:
            return f"('{path}'::jsonpath)::text"
        if form == 1:
            return f"'{value}'::jsonb {self.pick('@?', '@@')} '{path}'"
        function = self.pick("jsonb_path_exists", "jsonb_path_match", "jsonb_path_query_array", "jsonb_path_query_array",
                             "jsonb_path_query_first")
        more = self.pick("", f", '{self.pick(*VARIABLES)}'", f", '{self.pick(*VARIABLES)}', true")
        return f"{function}('{value}', '{path}'{more})"
