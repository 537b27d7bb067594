"""What tests do with Kafka beside the server under test: topics, messages, transactions, and what a reader of them sees."""

import itertools
import json
import time

import confluent_kafka
from confluent_kafka import admin

_numbers = itertools.count(1)


def unique(prefix):
    """A name that no other test of this run has."""
    return f"{prefix}_{next(_numbers)}"


def wait_until(check, what, timeout=240, pause=0.05):
    """The first true value of check(); fails with `what` (text, or a function that gives it)."""
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(pause)


def create_topic(broker, name, partitions=1, **config):
    client = admin.AdminClient({"bootstrap.servers": broker.bootstrap})
    settings = {key.replace("_", "."): str(value) for key, value in config.items()}
    for future in client.create_topics([admin.NewTopic(name, partitions, 1, config=settings)]).values():
        future.result(120)
    return name


def add_partitions(broker, name, total):
    client = admin.AdminClient({"bootstrap.servers": broker.bootstrap})
    for future in client.create_partitions([admin.NewPartitions(name, total)]).values():
        future.result(120)


def delete_topic(broker, name):
    client = admin.AdminClient({"bootstrap.servers": broker.bootstrap})
    for future in client.delete_topics([name]).values():
        future.result(120)


def delete_records(broker, name, partition, before):
    """Forgets the messages of a partition before an offset, as retention does."""
    client = admin.AdminClient({"bootstrap.servers": broker.bootstrap})
    asked = confluent_kafka.TopicPartition(name, partition, before)
    for future in client.delete_records([asked]).values():
        future.result(120)


def produce(broker, topic, messages):
    """messages: (partition, value) or (partition, value, key, headers); a dict becomes JSON, None a tombstone."""
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 5, "message.max.bytes": 64 << 20})
    failures = []
    for message in messages:
        partition, value, key, headers = (*message, None, None)[:4]
        if isinstance(value, dict):
            value = json.dumps(value)
        producer.produce(topic, value, key, partition=partition, headers=headers,
                         on_delivery=lambda error, _: error and failures.append(error))
        producer.poll(0)
    assert producer.flush(240) == 0 and not failures, failures


def read_committed(broker, topic, partitions):
    """{partition: [(offset, value), …]}: all that a read_committed reader sees, from the beginning to the end."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker.bootstrap, "group.id": unique("reader"),
                                         "isolation.level": "read_committed", "enable.partition.eof": True,
                                         "enable.auto.commit": False})
    consumer.assign([confluent_kafka.TopicPartition(topic, p, confluent_kafka.OFFSET_BEGINNING) for p in range(partitions)])
    found, open_partitions = {p: [] for p in range(partitions)}, set(range(partitions))
    end = time.monotonic() + 240
    while open_partitions:
        assert time.monotonic() < end, f"partitions {open_partitions} do not end"
        for message in consumer.consume(5000, 0.5):
            if message.error() is None:
                found[message.partition()].append((message.offset(), message.value()))
            elif message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition())
    consumer.close()
    return found
