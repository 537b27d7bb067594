"""Exactly once from a real broker, whatever dies: transactions of which a third abort, the broker killed, the server killed, a
foreign consumer that joins the group, takes partitions, commits offsets of its own and leaves.

In the end the set of (partition, number) in the table is the set that a read_committed reader of the topic sees, each once, and
Kafka's own tool shows no lag. What is counted and printed: messages, kills, and how long it took to get on after each.
"""

import collections
import json
import os
import random
import threading
import time

import confluent_kafka
import pytest

from topics import create_topic, read_committed, unique, wait_until

IS_LONG = bool(os.environ.get("FRESHET_TESTS_LONG"))
SEED = int(os.environ.get("FRESHET_SEED", "1"))
PARTITIONS = 6
PRODUCERS = 2
ABORTED_SHARE = 0.3
COUNTS = os.environ.get("FRESHET_KAFKA_CAMPAIGN", "5,10,4" if IS_LONG else "2,3,1")
BROKER_KILLS, SERVER_KILLS, FOREIGN_VISITS = map(int, COUNTS.split(","))
PAUSE_S = (0.5, 2.5)  # between two events of the campaign
FOREIGN_STAYS_S = 5 if IS_LONG else 2  # from its first message
FEED, GROUP = "numbers", "campaign"
ARGUMENTS = ["--log-level", "debug"]  # what a failure is understood from


class Producer(threading.Thread):
    """One transaction after the other, each with its outcome; after a fatal error a new producer, which fences the old."""

    def __init__(self, broker, topic, number, counters, lock):
        super().__init__(daemon=True)
        self.broker, self.topic, self.number = broker, topic, number
        self.counters, self.lock = counters, lock
        self.rng = random.Random(SEED * 100 + number)
        self.is_over, self.failure, self.client = False, None, None
        self.committed, self.aborted, self.unknown = set(), set(), set()
        self.transactions = self.renewals = 0

    def run(self):
        try:
            while not self.is_over:
                self.transaction()
                time.sleep(0.005)
        except Exception as error:  # noqa: BLE001 - reported by the test
            self.failure = error

    def until_done(self, call):
        """Calls until it succeeds: most of what fails while a broker is away may be tried again."""
        end = time.monotonic() + 120
        while True:
            try:
                return call()
            except confluent_kafka.KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def open(self):
        self.client = confluent_kafka.Producer({
            "bootstrap.servers": self.broker.bootstrap, "transactional.id": f"{self.topic}-{self.number}",
            "transaction.timeout.ms": 20000, "message.timeout.ms": 15000, "compression.type": "lz4",
            "reconnect.backoff.max.ms": 500, "linger.ms": 2, "log_level": 0})
        self.until_done(lambda: self.client.init_transactions(30))
        self.renewals += 1

    def numbers(self):
        for _ in range(self.rng.randint(1, 80)):
            partition = self.rng.randrange(PARTITIONS)
            with self.lock:
                number = self.counters[partition]
                self.counters[partition] += 1
            yield partition, number

    def transaction(self):
        if self.client is None:
            self.open()
        sent, is_abort, outcome = set(), self.rng.random() < ABORTED_SHARE, self.unknown
        try:
            self.client.begin_transaction()
            for partition, number in self.numbers():
                value = json.dumps({"at": int(time.time() * 1e6), "p": partition, "n": number, "text": "x" * (number % 300)})
                sent.add((partition, number))
                self.client.produce(self.topic, value, partition=partition)
            if is_abort:
                self.client.flush(self.rng.choice((0, 0.02, 2)))
                self.until_done(lambda: self.client.abort_transaction(30))
                outcome = self.aborted
            else:
                self.until_done(lambda: self.client.commit_transaction(30))
                outcome = self.committed
        except confluent_kafka.KafkaException as error:
            if error.args[0].txn_requires_abort():
                try:
                    self.until_done(lambda: self.client.abort_transaction(30))
                    outcome = self.aborted
                except confluent_kafka.KafkaException:
                    self.client = None
            else:
                self.client = None  # the next begins by ending what this one left, one way or the other
        outcome |= sent
        self.transactions += 1


def visit_by_a_stranger(broker, topic, seconds):
    """Joins the group, reads what it is given, commits that as read, and leaves; how many messages it took."""
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": broker.bootstrap, "group.id": GROUP, "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": 6000, "enable.auto.commit": False,
        "log_level": 0})
    consumer.subscribe([topic])
    taken, give_up, end = 0, time.monotonic() + 120, None
    while time.monotonic() < (end or give_up):
        if taken > 0 and end is None:
            end = time.monotonic() + seconds
        taken += sum(1 for message in consumer.consume(500, 0.1) if message.error() is None)
        try:
            consumer.commit(asynchronous=True)
        except confluent_kafka.KafkaException:
            pass  # nothing to commit yet
    consumer.close()
    return taken


class Campaign:
    def __init__(self, start_server, broker):
        self.start_server, self.broker = start_server, broker
        self.topic = create_topic(broker, unique("campaign"), PARTITIONS)
        self.server = start_server()
        self.restarts, self.recoveries, self.foreign_messages = [], [], 0
        self.server.sql(f"CREATE TABLE {FEED} (at timestamptz NOT NULL, p integer NOT NULL, n bigint NOT NULL, text text)")
        self.server.sql(
            f"CREATE SUBSCRIPTION {FEED} CONNECTION 'kafka://{broker.bootstrap}?session.timeout.ms=6000&heartbeat.interval.ms=1000"
            f"&group.instance.id=freshet&reconnect.backoff.max.ms=500' PUBLICATION {self.topic} "
            f"""WITH (table = '{FEED}', "group" = '{GROUP}')""")

    def rows(self):
        return self.server.rows(f"SELECT count(*) FROM {FEED}")[0][0]

    def wait_for_rows(self, before):
        """How long until more rows than before are there."""
        begin = time.monotonic()
        wait_until(lambda: self.rows() > before, lambda: self.server.rows("SELECT * FROM freshet.sources"), timeout=180)
        return time.monotonic() - begin

    def kill_broker(self):
        before = self.rows()
        self.broker.crash()
        time.sleep(random.uniform(0, 1))
        self.broker.start()
        self.recoveries.append(self.wait_for_rows(before))

    def kill_server(self):
        self.server.kill()
        begin = time.monotonic()
        self.server = self.start_server()
        self.restarts.append(time.monotonic() - begin)

    def visit(self):
        self.foreign_messages += visit_by_a_stranger(self.broker, self.topic, FOREIGN_STAYS_S)

    def run(self, rng):
        events = [self.kill_broker] * BROKER_KILLS + [self.kill_server] * SERVER_KILLS + [self.visit] * FOREIGN_VISITS
        rng.shuffle(events)
        for event in events:
            time.sleep(rng.uniform(*PAUSE_S))
            event()

    def wait_for_the_end(self, total):
        def lags():
            return self.server.rows("SELECT partition, stored_offset, end_offset, lag_rows, state, last_error FROM freshet.sources "
                                    f"WHERE source LIKE '{FEED}/%' ORDER BY partition")
        wait_until(lambda: len(lags()) == PARTITIONS and all(row[3] == 0 for row in lags()), lambda: (self.rows(), total, lags()),
                   timeout=120)
        end = time.monotonic() + 60
        while self.rows() < total and time.monotonic() < end:
            time.sleep(0.1)


def check(campaign, producers, offsets):
    """offsets: {(partition, number): offset} of what a reader of the topic sees."""
    server, committed = campaign.server, set(offsets)
    stored = collections.Counter()
    for p in range(PARTITIONS):
        for n, times in server.rows(f"SELECT n, count(*) FROM {FEED} WHERE p = {p} GROUP BY n"):
            stored[p, n] += times
    lost, foreign = committed - set(stored), set(stored) - committed
    doubled = {key for key, times in stored.items() if times > 1}
    assert (lost, foreign, doubled) == (set(), set(), set()), (
        len(lost), len(foreign), len(doubled), sorted((p, offsets[p, n], n) for p, n in lost)[:60],
        [len(lost & producer.committed) for producer in producers], [len(lost & producer.unknown) for producer in producers])
    for producer in producers:  # the reader that says what was committed agrees with those who committed
        assert producer.committed <= committed and not producer.aborted & committed
    received, fates, duplicate = (int(x) for x in server.rows(
        "SELECT sum(received), sum(stored + duplicate + filtered + sampled_out + late_diverted + late_dropped + dead), sum(duplicate) "
        f"FROM freshet.ledger WHERE table_name = '{FEED}'")[0])
    assert received == fates and received - duplicate == len(committed)


@pytest.mark.timeout(1200)
def test_every_committed_message_exactly_once(freshet_factory, own_broker, tmp_path, tell):
    rng = random.Random(SEED)
    begin = time.monotonic()
    campaign = Campaign(lambda: freshet_factory(data=tmp_path / "store", arguments=ARGUMENTS), own_broker)
    counters, lock = [0] * PARTITIONS, threading.Lock()
    producers = [Producer(own_broker, campaign.topic, number, counters, lock) for number in range(PRODUCERS)]
    for producer in producers:
        producer.start()
    campaign.wait_for_rows(0)
    campaign.run(rng)
    for producer in producers:
        producer.is_over = True
    for producer in producers:
        producer.join(200)
        assert not producer.is_alive() and producer.failure is None, producer.failure
    found = read_committed(own_broker, campaign.topic, PARTITIONS)
    offsets = {(partition, json.loads(value)["n"]): offset for partition, values in found.items() for offset, value in values}
    assert len(offsets) == sum(map(len, found.values()))
    campaign.wait_for_the_end(len(offsets))
    check(campaign, producers, offsets)
    wait_until(lambda: [lag for _, _, lag in own_broker.group_lag(GROUP).values()] == [0] * PARTITIONS,
               lambda: own_broker.group_lag(GROUP), pause=1)
    campaign.kill_server()  # once more, and nothing is different
    check(campaign, producers, offsets)
    aborted, unknown = (sum(len(getattr(p, name)) for p in producers) for name in ("aborted", "unknown"))
    assert aborted > 0 and (campaign.foreign_messages > 0 or FOREIGN_VISITS == 0)
    tell(f"kafka campaign, {time.monotonic() - begin:.0f} s: {sum(p.transactions for p in producers)} transactions, messages "
         f"committed {len(offsets)}, aborted {aborted}, outcome not told {unknown}; broker killed {BROKER_KILLS}, server killed "
         f"{SERVER_KILLS + 1}, a stranger came {FOREIGN_VISITS} times and took {campaign.foreign_messages}; lost 0, doubled 0, "
         f"foreign 0; server ready after {max(campaign.restarts, default=0):.2f} s at most, rows again after a broker's return "
         f"{max(campaign.recoveries, default=0):.1f} s at most; lag by the broker's tool 0")
