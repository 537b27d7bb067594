"""Kafka topics that flow into tables, on a real broker: what arrives, what does not, what is said about it."""

import json
import os
import pathlib
import signal
import subprocess
import time

import confluent_kafka
import pytest

import broker as kafka
import freshet
from topics import add_partitions, create_topic, delete_records, delete_topic, produce, unique, wait_until

BENCH = pathlib.Path(freshet.binary()).with_name("freshet-bench")
QUICK = "?topic.metadata.refresh.interval.ms=500&reconnect.backoff.max.ms=500"
COLUMNS = "(at timestamptz NOT NULL, p integer, n bigint)"


def row(partition, number):
    return partition, {"at": 1_767_225_600_000_000 + number, "p": partition, "n": number}


def subscribe(server, broker, topic, table=None, connection=None, name=None, **options):
    """Makes the table (unless one is given) and the subscription; the name of both."""
    name = name or unique("feed")
    if table is None:
        table = name
        server.sql(f"CREATE TABLE {table} {COLUMNS} WITH (time = 'at')")
    connection = connection or f"kafka://{broker.bootstrap}{QUICK}"
    given = "".join(f""", "{key}" = '{value}'""" for key, value in options.items())
    server.sql(f"CREATE SUBSCRIPTION {name} CONNECTION '{connection}' PUBLICATION \"{topic}\" WITH (table = '{table}'{given})")
    return name


def secrets(server):
    """The folder of the files that connections may name."""
    folder = server.data / "secrets"
    folder.mkdir(exist_ok=True)
    return folder


def count(server, table):
    return server.rows(f"SELECT count(*) FROM {table}")[0][0]


def wait_count(server, table, wanted):
    wait_until(lambda: count(server, table) >= wanted, lambda: (count(server, table), wanted, states(server)))
    assert count(server, table) == wanted


def states(server):
    return server.rows("SELECT source, partition, stored_offset, end_offset, lag_rows, state, last_error FROM freshet.sources "
                       "WHERE kind = 'kafka'") + server.rows("SELECT name, state, last_error FROM freshet.subscriptions")


def state(server, name):
    return server.rows(f"SELECT state, last_error FROM freshet.subscriptions WHERE name = '{name}'")[0]


def positions(server, name):
    """{partition: stored offset}"""
    return dict(server.rows(f"SELECT partition, stored_offset FROM freshet.sources WHERE source LIKE '{name}/%' ORDER BY 1"))


def wait_no_lag(server, name, partitions):
    def is_done():
        lags = server.rows(f"SELECT lag_rows, lag_ms FROM freshet.sources WHERE source LIKE '{name}/%'")
        return len(lags) == partitions and all(rows == 0 and ms == 0 for rows, ms in lags)
    wait_until(is_done, lambda: states(server))


def ledger(server, table):
    received, *fates = (int(x) for x in server.rows(
        "SELECT sum(received), sum(stored), sum(duplicate), sum(filtered), sum(sampled_out), sum(late_diverted), sum(late_dropped), "
        f"sum(dead) FROM freshet.ledger WHERE table_name = '{table}'")[0])
    assert received == sum(fates)
    return dict(zip(("received", "stored", "duplicate", "filtered", "dead"), (received, *fates[:3], fates[6])))


def exactly(server, table, partitions, numbers):
    """Each (p, n) once, and no other."""
    total, distinct, low, high = server.rows(f"SELECT count(*), count(DISTINCT p * 1000000 + n), min(n), max(n) FROM {table}")[0]
    assert (total, distinct, low, high) == (partitions * numbers, partitions * numbers, 0, numbers - 1)


# --- what arrives ---

def test_rows_arrive_once_and_lag_is_told(shared_server, broker):
    topic = create_topic(broker, unique("rows"), 3)
    produce(broker, topic, (row(p, n) for n in range(500) for p in range(3)))
    feed = subscribe(shared_server, broker, topic, format="json", start="earliest")
    wait_count(shared_server, feed, 1500)
    exactly(shared_server, feed, 3, 500)
    wait_no_lag(shared_server, feed, 3)
    sources = shared_server.rows("SELECT source, kind, topic, partition, stored_offset, end_offset, state FROM freshet.sources "
                                 f"WHERE table_name = '{feed}' ORDER BY partition")
    assert sources == [[f"{feed}/{p}", "kafka", topic, p, 500, 500, "live"] for p in range(3)]
    metrics = shared_server.request("GET", "/metrics")[2].decode()
    for partition in range(3):
        labels = f'{{subscription="{feed}",topic="{topic}",partition="{partition}"}}'
        assert f"freshet_kafka_lag{labels} 0\n" in metrics
        assert f"freshet_kafka_stored_offset{labels} 500\n" in metrics
    assert ledger(shared_server, feed) == {"received": 1500, "stored": 1500, "duplicate": 0, "filtered": 0, "dead": 0}
    assert shared_server.sql(f"SELECT count(*) FROM {feed}")["completeness"]["sources_total"] == 3


def test_broker_tool_shows_the_lag(shared_server, broker):
    topic = create_topic(broker, unique("tool"), 2)
    produce(broker, topic, (row(p, n) for n in range(100) for p in range(2)))
    feed = subscribe(shared_server, broker, topic, group=unique("group"))
    wait_count(shared_server, feed, 200)
    group = shared_server.rows(f"SELECT options->>'group' FROM freshet.subscriptions WHERE name = '{feed}'")[0][0]
    want = {(topic, p): (100, 100, 0) for p in range(2)}
    wait_until(lambda: broker.group_lag(group) == want, lambda: broker.group_lag(group), pause=0.5)
    shared_server.sql(f"ALTER SUBSCRIPTION {feed} DISABLE")
    produce(broker, topic, (row(0, n) for n in range(100, 130)))
    assert broker.group_lag(group)[topic, 0] == (100, 130, 30)


def test_only_committed_transactions_arrive(shared_server, broker):
    topic = create_topic(broker, unique("transactions"), 1)
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": topic})
    producer.init_transactions(30)
    for transaction in range(6):
        producer.begin_transaction()
        for n in range(transaction * 10, transaction * 10 + 10):
            producer.produce(topic, json.dumps(row(0, n)[1]), partition=0)
        if transaction % 3 == 1:
            producer.flush(30)
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
    feed = subscribe(shared_server, broker, topic)
    wait_count(shared_server, feed, 40)
    numbers = [n for n, in shared_server.rows(f"SELECT n FROM {feed} ORDER BY n")]
    assert numbers == [n for n in range(60) if n // 10 % 3 != 1]
    wait_no_lag(shared_server, feed, 1)  # the marker at the end is no lag
    assert shared_server.rows(f"SELECT gaps > 0 FROM freshet.subscriptions WHERE name = '{feed}'") == [[True]]


def test_malformed_messages_are_dead_letters_and_tombstones_are_filtered(shared_server, broker):
    topic = create_topic(broker, unique("bad"), 2)
    produce(broker, topic, [row(0, 0),
                            (0, "no json", "key 1", [("trace", b"abc"), ("empty", None), ("raw", b"\xff\x00")]),
                            (0, {"at": "never", "p": 0, "n": 1}),
                            (1, None, "gone", None),
                            (1, b"", None, None),
                            row(1, 2),
                            (1, b'{"at": 1767225600000001, "n": 3}\n{"at": 1767225600000002, "n": 4}', b"\xfe", None)])
    feed = subscribe(shared_server, broker, topic)
    wait_no_lag(shared_server, feed, 2)
    letters = shared_server.rows("SELECT source, sqlstate, column_name, convert_from(raw, 'UTF8'), origin FROM freshet.dead_letters "
                                 f"WHERE table_name = '{feed}' ORDER BY source, (origin->>'offset')::int")
    first = letters[0]
    assert first[0] == f"{feed}/0" and first[3] == "no json"
    origin = first[4] if isinstance(first[4], dict) else json.loads(first[4])
    assert (origin["topic"], origin["partition"], origin["offset"], origin["key"]) == (topic, 0, 1, "key 1")
    assert [(h["name"], h["value"]) for h in origin["headers"]] == [("trace", "abc"), ("empty", None), ("raw", {"hex": "ff00"})]
    second = letters[1]
    assert second[2] == "at" and second[1].startswith("22") and "never" in second[3]
    counts = ledger(shared_server, feed)
    assert counts["filtered"] == 1 and counts["dead"] == len(letters) and counts["stored"] == count(shared_server, feed)
    assert positions(shared_server, feed) == {0: 3, 1: 4}


def test_names_are_mapped(shared_server, broker):
    topic, table = create_topic(broker, unique("map"), 1), unique("mapped")
    shared_server.sql(f"CREATE TABLE {table} {COLUMNS} WITH (time = 'at')")
    produce(broker, topic, [(0, {"when": 1_767_225_600_000_000 + n, "deep": {"number": n}}) for n in range(20)])
    subscribe(shared_server, broker, topic, table, map='{"at": "/when", "n": "/deep/number"}')
    wait_count(shared_server, table, 20)
    assert shared_server.rows(f"SELECT sum(n), count(p) FROM {table}") == [[190, 0]]


def test_two_topics_into_one_table(shared_server, broker):
    topics = [create_topic(broker, unique("side"), 1) for _ in range(2)]
    feed = subscribe(shared_server, broker, topics[0])
    subscribe(shared_server, broker, topics[1], feed)
    for topic in topics:
        produce(broker, topic, (row(0, n) for n in range(100)))
    wait_count(shared_server, feed, 200)


# --- where reading begins, and which partitions ---

def test_start_latest_and_new_partitions_from_earliest(shared_server, broker):
    topic = create_topic(broker, unique("grown"), 2)
    produce(broker, topic, (row(p, n) for n in range(50) for p in range(2)))
    feed = subscribe(shared_server, broker, topic, start="latest")
    wait_until(lambda: positions(shared_server, feed) == {0: 50, 1: 50}, lambda: states(shared_server))
    produce(broker, topic, (row(p, n) for n in range(50, 60) for p in range(2)))
    wait_count(shared_server, feed, 20)
    add_partitions(broker, topic, 4)
    produce(broker, topic, (row(p, n) for n in range(30) for p in range(2, 4)))  # before anybody has looked
    wait_count(shared_server, feed, 80)
    assert positions(shared_server, feed) == {0: 60, 1: 60, 2: 30, 3: 30}


def test_start_at_positions_and_moving_them(shared_server, broker):
    topic = create_topic(broker, unique("placed"), 2)
    produce(broker, topic, (row(p, n) for n in range(50) for p in range(2)))
    feed = subscribe(shared_server, broker, topic, start="1:40")
    wait_count(shared_server, feed, 60)  # partition 0 from its earliest
    assert shared_server.rows(f"SELECT min(n) FROM {feed} WHERE p = 1") == [[40]]
    shared_server.sql(f"ALTER SUBSCRIPTION {feed} SET (start = '1:30')")
    wait_count(shared_server, feed, 80)
    assert positions(shared_server, feed) == {0: 50, 1: 50}


def test_named_partitions_alone_are_read_and_can_be_changed(shared_server, broker):
    topic = create_topic(broker, unique("named"), 6)
    produce(broker, topic, (row(p, n) for n in range(20) for p in range(6)))
    feed = subscribe(shared_server, broker, topic, partitions="0-2")
    wait_count(shared_server, feed, 60)
    assert shared_server.rows(f"SELECT DISTINCT p FROM {feed} ORDER BY p") == [[0], [1], [2]]
    shared_server.sql(f"ALTER SUBSCRIPTION {feed} SET (partitions = '1-2,5')")
    produce(broker, topic, (row(p, n) for n in range(20, 30) for p in range(6)))
    wait_count(shared_server, feed, 60 + 20 + 30)
    assert shared_server.rows(f"SELECT p, count(*) FROM {feed} GROUP BY p ORDER BY p") == [[0, 20], [1, 30], [2, 30], [5, 30]]


def test_messages_lost_by_the_broker_are_said_and_moved_past(shared_server, broker):
    topic = create_topic(broker, unique("lost"), 1)
    produce(broker, topic, (row(0, n) for n in range(10)))
    feed = subscribe(shared_server, broker, topic)
    wait_count(shared_server, feed, 10)
    shared_server.sql(f"ALTER SUBSCRIPTION {feed} DISABLE")
    produce(broker, topic, (row(0, n) for n in range(10, 40)))
    delete_records(broker, topic, 0, 30)
    shared_server.sql(f"ALTER SUBSCRIPTION {feed} ENABLE")
    wait_until(lambda: state(shared_server, feed)[0] == "failed", lambda: states(shared_server))
    assert "partition 0" in state(shared_server, feed)[1]
    shared_server.sql(f"ALTER SUBSCRIPTION {feed} SET (start = 'earliest')")
    wait_count(shared_server, feed, 20)


# --- on and off ---

def test_disable_enable_and_drop(shared_server, broker):
    topic = create_topic(broker, unique("toggled"), 2)
    feed = subscribe(shared_server, broker, topic)
    produce(broker, topic, (row(p, n) for n in range(50) for p in range(2)))
    wait_count(shared_server, feed, 100)
    shared_server.sql(f"ALTER SUBSCRIPTION {feed} DISABLE")
    assert state(shared_server, feed)[0] == "disabled"
    produce(broker, topic, (row(p, n) for n in range(50, 80) for p in range(2)))
    time.sleep(1)
    assert count(shared_server, feed) == 100
    shared_server.sql(f"ALTER SUBSCRIPTION {feed} ENABLE")
    wait_count(shared_server, feed, 160)
    exactly(shared_server, feed, 2, 80)
    shared_server.sql(f"DROP SUBSCRIPTION {feed}")
    produce(broker, topic, (row(p, n) for n in range(80, 90) for p in range(2)))
    time.sleep(1)
    assert count(shared_server, feed) == 160
    assert shared_server.rows(f"SELECT count(*) FROM freshet.subscriptions WHERE name = '{feed}'") == [[0]]
    assert shared_server.query(f"DROP SUBSCRIPTION {feed}")[1]["sqlstate"] == "42704"
    shared_server.sql(f"DROP SUBSCRIPTION IF EXISTS {feed}")


def test_restarts_go_on_where_the_log_stands(freshet_factory, broker, tmp_path):
    topic = create_topic(broker, unique("restarted"), 3)
    server = freshet_factory(data=tmp_path / "store")
    feed = subscribe(server, broker, topic, connection=f"kafka://{broker.bootstrap}{QUICK}&group.instance.id={topic}")
    for turn in range(6):
        produce(broker, topic, (row(p, n) for n in range(turn * 100, turn * 100 + 100) for p in range(3)))
        if turn % 3 == 0:
            wait_count(server, feed, (turn + 1) * 300)
        if turn % 3 == 2:
            server.sql("CHECKPOINT")
        if turn % 2 == 0:
            server.kill()
        else:
            assert server.stop() == 0
        server = freshet_factory(data=tmp_path / "store")
    wait_count(server, feed, 1800)
    exactly(server, feed, 3, 600)
    server.sql(f"ALTER SUBSCRIPTION {feed} DISABLE")
    server.kill()
    server = freshet_factory(data=tmp_path / "store")
    assert state(server, feed)[0] == "disabled"
    produce(broker, topic, (row(p, n) for n in range(600, 610) for p in range(3)))
    server.sql(f"ALTER SUBSCRIPTION {feed} ENABLE")
    wait_count(server, feed, 1830)


def test_a_stranger_is_given_partitions_although_there_is_no_room(freshet_factory, broker, tmp_path):
    """Who holds messages that it cannot store still answers its group, and stores each of them once when it can."""
    topic = create_topic(broker, unique("full"), 4)
    group, data = unique("group"), tmp_path / "store"
    server = freshet_factory(data=data)
    feed = subscribe(server, broker, topic, connection=f"kafka://{broker.bootstrap}{QUICK}&group.instance.id={topic}", group=group)
    produce(broker, topic, (row(p, n) for n in range(50) for p in range(4)))
    wait_count(server, feed, 200)
    assert server.stop() == 0
    server = freshet_factory(data=data, arguments=["--disk-low", "4000 TiB"])
    wait_until(lambda: server.ingest(feed, "{}\n")[0] == 507, "there is room")
    produce(broker, topic, (row(p, n) for n in range(50, 90) for p in range(4)))
    wait_until(lambda: "stalled" in [each[5] for each in states(server) if len(each) > 5], lambda: states(server))
    stranger = confluent_kafka.Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "enable.auto.commit": False,
                                         "auto.offset.reset": "earliest", "partition.assignment.strategy": "cooperative-sticky"})
    stranger.subscribe([topic])
    wait_until(lambda: stranger.poll(0.1) is not None or len(stranger.assignment()) == 2, lambda: states(server))
    assert count(server, feed) == 200
    stranger.close()
    assert server.stop() == 0
    server = freshet_factory(data=data)
    wait_count(server, feed, 360)
    exactly(server, feed, 4, 90)
    assert server.rows(f"SELECT sum(duplicate) FROM freshet.ledger WHERE table_name = '{feed}'") == [[0]]


# --- what fails says why ---

def test_a_missing_topic_is_said_and_found_later(shared_server, broker):
    topic = unique("later")
    feed = subscribe(shared_server, broker, topic)
    wait_until(lambda: state(shared_server, feed)[0] == "failed", lambda: states(shared_server))
    assert topic in state(shared_server, feed)[1]
    told = shared_server.rows(f"SELECT state, last_error FROM freshet.sources WHERE source = '{feed}'")
    assert told[0][0] == "failed" and topic in told[0][1]
    assert f'freshet_kafka_failed{{subscription="{feed}",topic="{topic}"}} 1' in shared_server.request("GET", "/metrics")[2].decode()
    create_topic(broker, topic, 1)
    produce(broker, topic, (row(0, n) for n in range(10)))
    wait_count(shared_server, feed, 10)
    assert state(shared_server, feed) == ["running", None] or state(shared_server, feed)[0] == "running"


def test_a_broker_that_is_away_is_said_and_comes_back(freshet_factory, own_broker):
    server = freshet_factory()
    topic = create_topic(own_broker, unique("away"), 2)
    feed = subscribe(server, own_broker, topic)
    produce(own_broker, topic, (row(p, n) for n in range(50) for p in range(2)))
    wait_count(server, feed, 100)
    own_broker.crash()
    wait_until(lambda: state(server, feed)[0] == "failed", lambda: states(server))
    assert state(server, feed)[1]
    assert server.rows(f"SELECT DISTINCT state FROM freshet.sources WHERE source LIKE '{feed}/%'") == [["failed"]]
    assert server.ingest(feed, '{"at":1,"p":9,"n":0}\n')[0] == 200  # nothing else is concerned
    own_broker.start()
    produce(own_broker, topic, (row(p, n) for n in range(50, 80) for p in range(2)))
    wait_count(server, feed, 161)
    wait_until(lambda: state(server, feed)[0] == "running", lambda: states(server))


def test_a_wrong_address_can_be_altered(shared_server, broker):
    topic = create_topic(broker, unique("moved"), 1)
    produce(broker, topic, (row(0, n) for n in range(10)))
    free = kafka.free_ports(1)[0]
    feed = subscribe(shared_server, broker, topic, connection=f"kafka://127.0.0.1:{free}")
    wait_until(lambda: state(shared_server, feed)[0] == "failed", lambda: states(shared_server))
    shared_server.sql(f"ALTER SUBSCRIPTION {feed} CONNECTION 'kafka://{broker.bootstrap}'")
    wait_count(shared_server, feed, 10)


@pytest.mark.parametrize("connection, options, sqlstate, says", [
    ("http://h:1", "table = 't'", "22023", "kafka://"),
    ("kafka://", "table = 't'", "22023", "broker"),
    ("kafka://user:pass@h:1", "table = 't'", "22023", "password"),
    ("kafka://h:1?isolation.level=read_uncommitted", "table = 't'", "22023", "isolation.level"),
    ("kafka://h:1?enable.auto.commit=true", "table = 't'", "22023", "enable.auto.commit"),
    ("kafka://h:1?plugin.library.paths=/x.so", "table = 't'", "22023", "plugin.library.paths"),
    ("kafka://h:1?debug=all", "table = 't'", "22023", "debug"),
    ("kafka://h:1?sasl.password=hunter2", "table = 't'", "22023", "sasl.password"),
    ("kafka://h:1?ssl.key.password=hunter2", "table = 't'", "22023", "ssl.key.password"),
    ("kafka://h:1?security.protocol=nonsense", "table = 't'", "22023", "security.protocol"),
    ("kafka://h:1", "table = 'no_such_table'", "42P01", "no_such_table"),
    ("kafka://h:1", "format = 'json'", "22023", "table"),
    ("kafka://h:1", "table = 't', format = 'xml'", "22023", "format"),
    ("kafka://h:1", "table = 't', start = 'soon'", "22023", "start"),
    ("kafka://h:1", "table = 't', partitions = '5-1'", "22023", "partitions"),
    ("kafka://h:1", "table = 't', map = '{\"no_such_column\": \"/x\"}'", None, "no_such_column"),
    ("kafka://h:1", "table = 't', colour = 'red'", "22023", "colour"),
])
def test_what_is_wrong_is_refused_by_name(shared_server, connection, options, sqlstate, says):
    shared_server.sql(f"CREATE TABLE IF NOT EXISTS t {COLUMNS}")
    status, answer = shared_server.query(f"CREATE SUBSCRIPTION wrong CONNECTION '{connection}' PUBLICATION topic WITH ({options})")
    assert status in (400, 404) and (sqlstate is None or answer["sqlstate"] == sqlstate), answer
    assert says in answer["detail"] + (answer["hint"] or "") and "hunter2" not in json.dumps(answer), answer
    assert shared_server.rows("SELECT count(*) FROM freshet.subscriptions WHERE name = 'wrong'") == [[0]]


def test_sasl(shared_server, broker, tmp_path):
    topic = create_topic(broker, unique("sasl"), 1)
    produce(broker, topic, (row(0, n) for n in range(10)))
    (secrets(shared_server) / "wrong").write_text("nonsense\n")
    (secrets(shared_server) / "right").write_text(kafka.SASL_PASSWORD + "\n")
    (tmp_path / "outside").write_text(kafka.SASL_PASSWORD + "\n")
    (secrets(shared_server) / "leads_out").symlink_to(tmp_path / "outside")
    base = (f"kafka://{broker.sasl_bootstrap}?security.protocol=sasl_plaintext&sasl.mechanism=PLAIN&sasl.username={kafka.SASL_USER}"
            "&sasl.password.file=")
    feed = subscribe(shared_server, broker, topic, connection=f"{base}wrong")
    wait_until(lambda: state(shared_server, feed)[0] == "failed", lambda: states(shared_server))
    wait_until(lambda: "uthenticat" in state(shared_server, feed)[1], lambda: states(shared_server))
    status, answer = shared_server.query(f"ALTER SUBSCRIPTION {feed} CONNECTION '{base}{tmp_path}/outside'")
    assert (status, answer["sqlstate"]) == (400, "22023") and "secrets" in answer["detail"]
    shared_server.sql(f"ALTER SUBSCRIPTION {feed} CONNECTION '{base}leads_out'")
    wait_until(lambda: "folder of secrets" in state(shared_server, feed)[1], lambda: states(shared_server))
    shared_server.sql(f"ALTER SUBSCRIPTION {feed} CONNECTION '{base}{secrets(shared_server)}/right'")
    wait_count(shared_server, feed, 10)
    everything = json.dumps(shared_server.rows("SELECT * FROM freshet.subscriptions")) + shared_server.log_text()
    assert "nonsense" not in everything


def test_tls(shared_server, broker):
    topic = create_topic(broker, unique("tls"), 1)
    produce(broker, topic, (row(0, n) for n in range(10)))
    base = f"kafka://{broker.tls_bootstrap}?security.protocol=ssl"
    feed = subscribe(shared_server, broker, topic, connection=base)  # nobody vouches for the broker
    wait_until(lambda: state(shared_server, feed)[0] == "failed", lambda: states(shared_server))
    wait_until(lambda: "certificate" in state(shared_server, feed)[1].lower() or "ssl" in state(shared_server, feed)[1].lower(),
               lambda: states(shared_server))
    (secrets(shared_server) / "ca.pem").write_bytes(broker.ca_file.read_bytes())
    shared_server.sql(f"ALTER SUBSCRIPTION {feed} CONNECTION '{base}&ssl.ca.location=ca.pem'")
    wait_count(shared_server, feed, 10)


def test_a_table_with_a_subscription_is_not_dropped_unnoticed(shared_server, broker):
    topic = create_topic(broker, unique("kept"), 1)
    feed = subscribe(shared_server, broker, topic)
    status, answer = shared_server.query(f"DROP TABLE {feed}")
    if status == 200:
        wait_until(lambda: state(shared_server, feed)[0] == "failed", lambda: states(shared_server))
    else:
        assert answer["sqlstate"] == "2BP01" and feed in answer["detail"]
    shared_server.sql(f"DROP SUBSCRIPTION {feed}")


# --- what does not answer ---

def test_a_broker_that_is_silent_holds_nobody_for_long(freshet_factory, own_broker, tmp_path):
    """Connected and frozen: DISABLE, and all DDL behind it, and the end of the server do not wait for its minute."""
    server, topic = freshet_factory(data=tmp_path / "store"), create_topic(own_broker, unique("silent"), 2)
    feed = subscribe(server, own_broker, topic)
    produce(own_broker, topic, (row(p, n) for n in range(50) for p in range(2)))
    wait_count(server, feed, 100)
    os.kill(own_broker.pid(), signal.SIGSTOP)
    try:
        begin = time.monotonic()
        server.sql(f"ALTER SUBSCRIPTION {feed} DISABLE")
        server.sql(f"ALTER SUBSCRIPTION {feed} ENABLE")
        assert server.stop() == 0
        assert time.monotonic() - begin < 45
    finally:
        os.kill(own_broker.pid(), signal.SIGCONT)
    server = freshet_factory(data=tmp_path / "store")
    produce(own_broker, topic, (row(p, n) for n in range(50, 80) for p in range(2)))
    wait_count(server, feed, 160)
    exactly(server, feed, 2, 80)


def test_a_topic_that_is_deleted_is_said_and_let_go(freshet_factory, broker, tmp_path):
    server, topic = freshet_factory(data=tmp_path / "store"), create_topic(broker, unique("deleted"), 2)
    feed = subscribe(server, broker, topic)
    produce(broker, topic, (row(p, n) for n in range(50) for p in range(2)))
    wait_count(server, feed, 100)
    delete_topic(broker, topic)
    wait_until(lambda: state(server, feed)[0] == "failed", lambda: states(server))
    assert topic in state(server, feed)[1]
    server.sql(f"ALTER SUBSCRIPTION {feed} DISABLE")
    server.sql(f"DROP SUBSCRIPTION {feed}")
    assert server.stop() == 0


def test_an_assignment_that_is_lost_loses_nothing(freshet_factory, broker, tmp_path):
    """The server is frozen for longer than its session, its partitions go to a stranger, and it finds out when it goes on."""
    server, topic, group = freshet_factory(data=tmp_path / "store"), create_topic(broker, unique("frozen"), 4), unique("group")
    quick = f"kafka://{broker.bootstrap}{QUICK}&session.timeout.ms=6000&heartbeat.interval.ms=500"
    feed = subscribe(server, broker, topic, connection=quick, group=group)
    produce(broker, topic, (row(p, n) for n in range(50) for p in range(4)))
    wait_count(server, feed, 200)
    stranger = confluent_kafka.Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "enable.auto.commit": False,
                                         "auto.offset.reset": "earliest", "partition.assignment.strategy": "cooperative-sticky"})
    produce(broker, topic, (row(p, n) for n in range(50, 90) for p in range(4)))
    server.process.send_signal(signal.SIGSTOP)
    try:
        stranger.subscribe([topic])
        wait_until(lambda: stranger.poll(0.1) is None and len(stranger.assignment()) == 4, "the stranger gets nothing")
    finally:
        server.process.send_signal(signal.SIGCONT)
    wait_until(lambda: stranger.poll(0.1) is None and len(stranger.assignment()) == 2, lambda: states(server))
    produce(broker, topic, (row(p, n) for n in range(90, 120) for p in range(4)))
    stranger.close()
    wait_count(server, feed, 480)
    exactly(server, feed, 4, 120)


# --- what is large, and what changes under way ---

def test_large_messages(shared_server, broker):
    topic = create_topic(broker, unique("large"), 1, max_message_bytes=16 << 20)
    table = unique("large")
    shared_server.sql(f"CREATE TABLE {table} (at timestamptz NOT NULL, p integer, n bigint, text text) WITH (time = 'at')")

    def message(number, text):
        return 0, {**row(0, number)[1], "text": text}
    many = json.dumps([row(0, 10 + n)[1] for n in range(70_000)])
    produce(broker, topic, [message(0, "small"), message(1, "x" * 900_000), message(2, "x" * 9_000_000), (0, b"\0" * 6_000_000), (0, many),
                            message(3, "last")])
    feed = subscribe(shared_server, broker, topic, table)
    wait_no_lag(shared_server, feed, 1)
    assert shared_server.rows(f"SELECT n, length(text) FROM {table} WHERE text IS NOT NULL ORDER BY n") == [[0, 5], [1, 900_000], [3, 4]]
    assert count(shared_server, table) == 3 + 65_536  # a message holds so many rows
    assert ledger(shared_server, table)["dead"] == 3
    assert positions(shared_server, feed) == {0: 6}


def test_alterations_under_load_lose_and_double_nothing(shared_server, broker):
    topic, other = create_topic(broker, unique("altered"), 3), unique("other")
    feed = subscribe(shared_server, broker, topic)
    for turn in range(8):
        produce(broker, topic, (row(p, n) for n in range(turn * 1000, turn * 1000 + 1000) for p in range(3)))
        if turn % 4 == 0:
            shared_server.sql(f"""ALTER SUBSCRIPTION {feed} SET ("group" = '{other}_{turn}')""")
        elif turn % 4 == 1:
            shared_server.sql(f"ALTER TABLE {feed} ADD COLUMN c{turn} text")
        elif turn % 4 == 2:
            shared_server.sql(f"ALTER SUBSCRIPTION {feed} SET (map = '{{\"n\": \"/n\"}}')")
        else:
            shared_server.sql(f"ALTER SUBSCRIPTION {feed} DISABLE")
            shared_server.sql(f"ALTER SUBSCRIPTION {feed} ENABLE")
    wait_count(shared_server, feed, 24_000)
    exactly(shared_server, feed, 3, 8000)
    assert ledger(shared_server, feed)["dead"] == 0


def test_a_member_that_leaves_before_it_is_assigned_anything(shared_server, broker):
    """librdkafka 2.0.2 ends the process when such a client is destroyed: at whatever moment the stop comes, the server lives."""
    topic = create_topic(broker, unique("joining"), 2)
    produce(broker, topic, (row(p, n) for n in range(50) for p in range(2)))
    feed = subscribe(shared_server, broker, topic)
    for turn in range(16):
        time.sleep(0.025 * turn)
        shared_server.sql(f"ALTER SUBSCRIPTION {feed} DISABLE")
        shared_server.sql(f"ALTER SUBSCRIPTION {feed} ENABLE")
    wait_count(shared_server, feed, 100)
    exactly(shared_server, feed, 2, 50)


# --- the load generator ---

@pytest.mark.parametrize("share", ["1", "0.5"])
def test_bench_through_kafka(freshet_factory, broker, tmp_path, share):
    server, topic = freshet_factory(), unique("bench")
    report_file = tmp_path / "report.json"
    done = subprocess.run([BENCH, "--http", server.http, "--kafka", broker.bootstrap, "--topic", topic, "--partitions", "3",
                           "--kafka-share", share, "--rate", "4000", "--seconds", "3", "--malformed", "0.01", "--query-pause", "200",
                           "--json", report_file], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr + done.stdout
    report = json.loads(report_file.read_text())
    assert report["produced_rows"] == report["delivered_rows"] == report["consumed_rows"] > 500
    assert report["kafka_freshness_ms"]["count"] > 0 and report["markers_lost"] == 0 and report["query_failures"] == 0
    counts = ledger(server, "events")
    assert counts["received"] == report["sent_rows"] + report["duplicate_rows"]
    assert counts["dead"] == report["malformed_rows"] > 0
    assert count(server, "events") == counts["stored"]
    assert (share == "1") == (report["ack_ms"]["count"] == 0)
