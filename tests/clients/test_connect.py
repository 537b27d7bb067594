"""Debezium's JDBC sink in a standalone worker of Kafka Connect: records of a topic land in a table through pgjdbc. It makes the table of
the first record's schema, and adds a column when records have one more."""

import json
import subprocess
import time

import artefacts
import broker as kafka
import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

VERSION = "3.4.0.Final"
JARS = [f"io.debezium:debezium-connector-jdbc:{VERSION}", f"org.apache.kafka:connect-runtime:{kafka.VERSION}",
        f"org.apache.kafka:connect-json:{kafka.VERSION}", "org.postgresql:postgresql:42.7.11",
        "com.fasterxml.jackson.core:jackson-core:2.21.2",  # the sink's own is older than what the worker's databind goes with
        f"org.apache.logging.log4j:log4j-slf4j-impl:{kafka.LOG4J_VERSION}"]
FIELDS = [("id", "int64", False), ("name", "string", True), ("price", "double", True), ("ok", "boolean", True), ("n", "int32", True)]
TIME = {"field": "at", "type": "int64", "name": "org.apache.kafka.connect.data.Timestamp", "version": 1, "optional": True}


class Worker:
    def __init__(self, folder, broker, server, topic):
        jars = artefacts.jars(f"connect-jdbc-{VERSION}", JARS)
        (folder / "log4j2.properties").write_text(kafka.LOG4J)
        (folder / "worker.properties").write_text("\n".join([
            f"bootstrap.servers={broker.bootstrap}", "key.converter=org.apache.kafka.connect.storage.StringConverter",
            "value.converter=org.apache.kafka.connect.json.JsonConverter", f"offset.storage.file.filename={folder}/offsets",
            f"listeners=http://127.0.0.1:{kafka.free_ports(1)[0]}", "plugin.discovery=service_load", "offset.flush.interval.ms=1000"]))
        (folder / "sink.properties").write_text("\n".join([
            "name=sink", "connector.class=io.debezium.connector.jdbc.JdbcSinkConnector", f"topics={topic}", f"collection.name.format={topic}",
            f"connection.url=jdbc:postgresql://{server.pg}/freshet", "connection.username=me", "connection.password=none",
            "connection.pool.min_size=1", "insert.mode=insert", "primary.key.mode=none", "schema.evolution=basic",
            "consumer.override.auto.offset.reset=earliest", "consumer.override.metadata.max.age.ms=1000"]))
        self.log_path = folder / "connect.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [artefacts.java(), "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                 f"-Dlog4j2.configurationFile={folder}/log4j2.properties", "-cp", f"{jars}/*",
                 "org.apache.kafka.connect.cli.ConnectStandalone", folder / "worker.properties", folder / "sink.properties"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def wait_for(self, condition):
        end = time.monotonic() + 500
        while not condition():
            text = self.log_path.read_text(errors="replace")
            assert self.process.poll() is None and "Task threw" not in text and time.monotonic() < end, text[-8000:]
            time.sleep(0.2)

    def stop(self):
        self.process.terminate()
        self.process.wait(100)


@pytest.fixture
def topic(broker):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for made in admin.create_topics([NewTopic("orders", 2, 1)]).values():
        made.result(100)
    return "orders"


def produce(broker, topic, ids, more=()):
    fields = [{"field": name, "type": kind, "optional": optional} for name, kind, optional in [*FIELDS, *more]]
    schema = {"type": "struct", "optional": False, "name": topic, "fields": [*fields, TIME]}
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap})
    for i in ids:
        row = {"id": i, "name": None if i % 7 == 0 else f"n'{i % 5}é", "price": i / 4, "ok": i % 2 == 0, "n": -i, "at": 1767323045000 + i,
               **{name: f"{name} {i}" for name, _, _ in more}}
        producer.produce(topic, json.dumps({"schema": schema, "payload": row}))
    assert producer.flush(100) == 0


def count(server, topic):
    status, answer = server.query(f"SELECT count(*) FROM {topic}")
    return int(answer["rows"][0][0]) if status == 200 else 0


def test_records_land_in_a_table(shared_server, broker, topic, tmp_path):
    server = shared_server
    worker = Worker(tmp_path, broker, server, topic)
    try:
        produce(broker, topic, range(2000))
        worker.wait_for(lambda: count(server, topic) >= 2000)
        assert server.rows("SELECT column_name || ' ' || data_type FROM information_schema.columns WHERE table_name = 'orders' "
                           "ORDER BY ordinal_position") == [
            ["id bigint"], ["name text"], ["price double precision"], ["ok boolean"], ["n integer"], ["at timestamp without time zone"]]
        row = server.rows("SELECT count(*), count(DISTINCT id), sum(n), sum(price), count(name), count(*) FILTER (WHERE ok), "
                          "min(at)::text, max(at)::text FROM orders")[0]
        assert [str(value) for value in row] == ["2000", "2000", "-1999000", "499750", "1714", "1000", "2026-01-02 03:04:05",
                                                 "2026-01-02 03:04:06.999"]
        assert server.rows("SELECT DISTINCT name FROM orders WHERE id % 5 = 1 AND name IS NOT NULL") == [["n'1é"]]
        produce(broker, topic, range(2000, 2100), [("note", "string", True)])
        worker.wait_for(lambda: count(server, topic) >= 2100)
        assert server.rows("SELECT count(note), min(note) FROM orders")[0][1] == "note 2000"
    finally:
        worker.stop()
