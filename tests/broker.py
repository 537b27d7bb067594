#!/usr/bin/env python3
"""A real Kafka broker for tests and benchmarks: one KRaft node on free ports of loopback, in a directory of its own.

As a module: Broker(directory).start(), .stop(), .crash(), .tool(...). As a program, for scripts:

    tests/broker.py up DIRECTORY [--heap 384m]      starts the node, or goes on with its data; prints bootstrap=HOST:PORT
    tests/broker.py down DIRECTORY [--crash|--wipe] ends it: SIGTERM, SIGKILL, or SIGTERM and its directory removed
    tests/broker.py lag DIRECTORY GROUP             what Kafka's own tool says of a consumer group, one partition a line

The jars are artefacts of Maven (artefacts.py), in build/kafka-VERSION. Only the process that was started here is ever ended: its process id is kept in the directory, and its command line must name that directory.

Besides the plain listener there is one with SASL/PLAIN (user "freshet", password "secret") and one with TLS, whose certificate
DIRECTORY/tls/ca.pem signs.
"""

import argparse
import contextlib
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid

import artefacts

VERSION = "4.3.1"
LOG4J_VERSION = "2.25.4"
READY_TIMEOUT_S = 300
SASL_USER, SASL_PASSWORD = "freshet", "secret"

JARS = [f"org.apache.kafka:kafka_2.13:{VERSION}", f"org.apache.kafka:kafka-tools:{VERSION}",
        f"org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J_VERSION}"]

# A single node must hold the internal topics alone, or transactions and groups never start.
PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl},SSL://127.0.0.1:{tls},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl},SSL://127.0.0.1:{tls}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_{user}="{password}";
ssl.keystore.type=PEM
ssl.keystore.location={directory}/tls/broker.pem
log.dirs={directory}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
default.replication.factor=1
min.insync.replicas=1
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=16777216
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=1000
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=300
"""

LOG4J = """status=warn
appender.c.type=Console
appender.c.name=C
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d{ISO8601} %p %c{1} %m%n
rootLogger.level=info
rootLogger.appenderRef.c.ref=C
"""


def jars():
    return pathlib.Path(os.environ.get("FRESHET_KAFKA_JARS") or artefacts.jars(f"kafka-{VERSION}", JARS))


def free_ports(count):
    """Ports that nobody has now, and that the system gives to nobody who asks for any: a node that was killed finds its own
    free when it comes back, however many connections are made meanwhile."""
    lowest_given = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    candidates = range(10_000, lowest_given) if lowest_given > 20_000 else range(50_000, 60_000)
    found = []
    while len(found) < count:
        port = random.SystemRandom().choice(candidates)
        with socket.socket() as each, contextlib.suppress(OSError):
            each.bind(("127.0.0.1", port))
            if port not in found:
                found.append(port)
    return found


def is_listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Broker:
    """One node. Its ports, once chosen, are kept in the directory: a restarted node is found where it was."""

    def __init__(self, directory, heap="384m"):
        self.directory = pathlib.Path(directory).resolve()
        self.heap = heap
        self.pid_file = self.directory / "broker.pid"
        self.child = None

    @property
    def ports(self):
        names = ("plain", "sasl", "tls", "controller")
        file = self.directory / "ports"
        if not file.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            file.write_text(" ".join(map(str, free_ports(len(names)))))
        return dict(zip(names, map(int, file.read_text().split())))

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.ports['plain']}"

    @property
    def sasl_bootstrap(self):
        return f"127.0.0.1:{self.ports['sasl']}"

    @property
    def tls_bootstrap(self):
        return f"127.0.0.1:{self.ports['tls']}"

    @property
    def ca_file(self):
        return self.directory / "tls" / "ca.pem"

    def log_text(self):
        file = self.directory / "broker.log"
        return file.read_text(errors="replace") if file.exists() else ""

    # --- start ---

    def _make_certificates(self):
        folder = self.directory / "tls"
        if (folder / "broker.pem").exists():
            return
        folder.mkdir(parents=True, exist_ok=True)

        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], check=True, cwd=folder, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30",
                "-subj", "/CN=freshet test authority")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "broker.key", "-out", "broker.csr", "-subj",
                "/CN=localhost")
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        openssl("x509", "-req", "-in", "broker.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                "30", "-extfile", "names", "-out", "broker.crt")
        openssl("pkcs8", "-topk8", "-nocrypt", "-in", "broker.key", "-out", "broker.pk8")
        (folder / "broker.pem").write_text((folder / "broker.pk8").read_text() + (folder / "broker.crt").read_text() +
                                           (folder / "ca.pem").read_text())

    def _prepare(self, classpath):
        self._make_certificates()
        properties = self.directory / "server.properties"
        properties.write_text(PROPERTIES.format(directory=self.directory, user=SASL_USER, password=SASL_PASSWORD,
                                                **self.ports))
        (self.directory / "log4j2.properties").write_text(LOG4J)
        if (self.directory / "data" / "meta.properties").exists():
            return
        cluster = "A" + uuid.uuid4().hex[:21]  # never a leading '-': it would read as an option
        done = subprocess.run([artefacts.java(), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-cp", classpath,
                               f"-Dlog4j2.configurationFile={self.directory}/log4j2.properties",
                               "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"storage format failed:\n{done.stdout[-4000:]}")

    def start(self):
        """Starts the node, or goes on with the data it left, and waits until it answers."""
        if self.pid() is None:
            classpath = f"{jars()}/*"
            self._prepare(classpath)
            with open(self.directory / "broker.log", "wb") as log:
                self.child = subprocess.Popen(
                    [artefacts.java(), "-Xms128m", f"-Xmx{self.heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                     "-Djava.awt.headless=true", f"-Dfreshet.broker={self.directory}",
                     f"-Dlog4j2.configurationFile={self.directory}/log4j2.properties", "-cp", classpath, "kafka.Kafka",
                     str(self.directory / "server.properties")], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                    start_new_session=True)
            self.pid_file.write_text(str(self.child.pid))
        end = time.monotonic() + READY_TIMEOUT_S
        while not ("Kafka Server started" in self.log_text() and is_listening(self.ports["plain"])):
            if self.pid() is None or time.monotonic() > end:
                raise RuntimeError(f"the broker did not start:\n{self.log_text()[-4000:]}")
            time.sleep(0.05)
        return self

    # --- stop ---

    def pid(self):
        """The process id, if the node runs and is ours."""
        try:
            pid = int(self.pid_file.read_text())
            if self.child is not None and self.child.pid == pid:
                return pid if self.child.poll() is None else None
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if f"-Dfreshet.broker={self.directory}".encode() in command else None

    def _end(self, number):
        pid = self.pid()
        if pid is not None:
            os.kill(pid, number)
            end = time.monotonic() + 60
            while self.pid() is not None and time.monotonic() < end:
                time.sleep(0.02)
            if self.pid() is not None:
                os.kill(pid, signal.SIGKILL)
        if self.child is not None:
            self.child.wait(30)
            self.child = None
        self.pid_file.unlink(missing_ok=True)

    def stop(self):
        self._end(signal.SIGTERM)

    def crash(self):
        self._end(signal.SIGKILL)

    def wipe(self):
        self.stop()
        if (self.directory / "server.properties").exists():
            shutil.rmtree(self.directory)

    # --- Kafka's own tools ---

    def tool(self, name, *arguments, timeout=300):
        """Runs one of the broker's command line tools; its standard output."""
        done = subprocess.run([artefacts.java(), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-cp", f"{jars()}/*",
                               name, "--bootstrap-server", self.bootstrap, *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, timeout=timeout)
        if done.returncode != 0:
            raise RuntimeError(f"{name} failed:\n{done.stdout}{done.stderr[-2000:]}")
        return done.stdout

    def group_lag(self, group):
        """{(topic, partition): (committed offset, end offset, lag)}, None where there is none, as the tool says it."""
        text = self.tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--describe", "--group", group)
        found = {}
        for line in text.splitlines():
            words = line.split()
            if len(words) >= 6 and words[0] == group and words[2].isdigit():
                found[words[1], int(words[2])] = tuple(int(w) if w.isdigit() else None for w in words[3:6])
        return found


def main():
    parser = argparse.ArgumentParser(description="one Kafka node for tests, on loopback")
    commands = parser.add_subparsers(dest="command", required=True)
    up, down, lag = (commands.add_parser(name) for name in ("up", "down", "lag"))
    for each in (up, down, lag):
        each.add_argument("directory")
    up.add_argument("--heap", default="384m")
    down.add_argument("--crash", action="store_true")
    down.add_argument("--wipe", action="store_true")
    lag.add_argument("group")
    asked = parser.parse_args()
    if asked.command == "up":
        print(f"bootstrap={Broker(asked.directory, asked.heap).start().bootstrap}")
    elif asked.command == "lag":
        for (topic, partition), values in sorted(Broker(asked.directory).group_lag(asked.group).items()):
            print(topic, partition, *("-" if value is None else value for value in values))
    elif asked.crash:
        Broker(asked.directory).crash()
    else:
        Broker(asked.directory).wipe() if asked.wipe else Broker(asked.directory).stop()


if __name__ == "__main__":
    sys.exit(main())
