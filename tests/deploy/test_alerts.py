"""The alert rules: checked and tested by promtool, each broken once to see that its test would find it, and those that hold for a
minute or less caused on a running server under a real Prometheus."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import threading
import time
import urllib.request

import broker
import freshet
import pytest

DEPLOY = freshet.ROOT / "server" / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
TESTS = pathlib.Path(__file__).with_name("alerts_test.yml")
NAMES = re.findall(r"- alert: (\w+)", RULES.read_text())


def promtool(*arguments):
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=300)


def run_rule_tests(folder, rules):
    (folder / "alerts.yml").write_text(rules)
    shutil.copy(TESTS, folder)
    return promtool("test", "rules", folder / TESTS.name)


def test_rules_are_valid_and_fire(tmp_path):
    assert len(NAMES) == 10
    checked = promtool("check", "rules", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    result = run_rule_tests(tmp_path, RULES.read_text())
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("expression", ["vector(1) > 2", "vector(1)"], ids=["never", "always"])
def test_a_rule_that_is_wrong_is_found(expression, tmp_path):
    """Each of them at once: the output names every rule that fails its test."""
    rule = r"(- alert: \w+\n(?:\s+#.*\n)*\s+expr: )(?:>-\n(?:\s{10}.*\n)+|.*\n)"
    broken, count = re.subn(rule, rf"\g<1>{expression}\n", RULES.read_text())
    assert count == len(NAMES)
    result = run_rule_tests(tmp_path, broken)
    failed = set(re.findall(r"alertname: (\w+)", result.stdout + result.stderr))
    assert result.returncode != 0 and failed == set(NAMES)


def test_metrics_that_rules_read_exist(server):
    """A renamed metric would silence its rule for ever."""
    page = server.request("GET", "/metrics")[2].decode()
    families = set(re.findall(r"^# TYPE (\S+)", page, re.M))
    for name in set(re.findall(r"freshet_\w+", RULES.read_text())):
        assert name in families or re.sub("_(bucket|sum|count)$", "", name) in families, name


@pytest.fixture
def small_disk(tmp_path):
    point = tmp_path / "disk"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(point)], check=True)
    yield point
    subprocess.run(["umount", "-l", str(point)], check=True)


class Prometheus:
    def __init__(self, folder, target):
        self.port = broker.free_ports(1)[0]
        config = folder / "prometheus.yml"
        config.write_text(json.dumps({  # JSON is YAML
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "freshet", "static_configs": [{"targets": [target]}]}]}))
        self.log = open(folder / "prometheus.log", "wb")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{self.port}"], stdout=self.log, stderr=self.log)

    def ask(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=60) as reply:
            return json.load(reply)["data"]

    def wait_for_scrapes(self, metric):
        """Two samples: an increase is told from the one before."""
        end = time.monotonic() + 1000
        while True:
            try:
                if self.ask(f"query?query=count_over_time({metric}[1m])>=2")["result"]:
                    return
            except OSError:
                pass  # not up yet
            assert time.monotonic() < end
            time.sleep(0.2)

    def firing(self):
        return {alert["labels"]["alertname"] for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing"}

    def stop(self):
        self.process.terminate()
        self.process.wait(100)
        self.log.close()


def fill(disk):
    """All but what is too little for the log's next file, or a segment."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "filler").write_bytes(b"\0" * max(0, free - (256 << 10)))


def test_alerts_fire_on_a_running_server(small_disk, tmp_path, freshet_factory):
    """What holds for a minute or less: drift, dead letters, a source that fails, then a disk that is full: failed writes, refusals."""
    server = freshet_factory(data=small_disk / "store", arguments=["--log-file", "4 MiB", "--disk-low", "1"])
    server.sql("CREATE TABLE t (n bigint, s text)")
    assert server.ingest("t", '{"n":1}\n')[0] == 200
    prometheus = Prometheus(tmp_path, server.http)
    is_over = threading.Event()

    def insist():
        """A client that goes on, also while it is refused."""
        text = os.urandom(50000).hex()
        while not is_over.wait(0.2):
            server.request("POST", "/v1/ingest/t", json.dumps({"n": 2, "s": text}) + "\n")

    client = threading.Thread(target=insist)
    try:
        prometheus.wait_for_scrapes("freshet_drift_total")
        assert prometheus.firing() == set()
        server.sql("CREATE SUBSCRIPTION s CONNECTION 'kafka://127.0.0.1:1' PUBLICATION p WITH (table = 't', format = 'json')")
        status, answer = server.ingest("t", '{"n":"x"}\n{"n":1,"more":2}\n')
        assert status == 200 and answer["rejected_rows"] == 1 and answer["unknown"] == {"more": 1}
        expect(prometheus, {"FreshetSchemaDrift", "FreshetDeadLetters"}, 300)
        fill(small_disk)
        client.start()
        end = time.monotonic() + 1000
        while server.query("CHECKPOINT")[0] == 200:  # seals what the client has sent until there is no room
            assert time.monotonic() < end
            time.sleep(0.5)
        expect(prometheus, {"FreshetWriteFailures", "FreshetBackpressure", "FreshetDiskLow", "FreshetSourceStalled"}, 500)
    finally:
        is_over.set()
        if client.ident is not None:
            client.join()
        prometheus.stop()
    (small_disk / "filler").unlink()
    end = time.monotonic() + 100
    while server.ingest("t", '{"n":3}\n')[0] != 200:
        assert time.monotonic() < end, server.log_text()[-2000:]
        time.sleep(0.2)


def expect(prometheus, wanted, seconds):
    end = time.monotonic() + seconds
    while not wanted <= (firing := prometheus.firing()):
        assert time.monotonic() < end, (wanted, firing)
        time.sleep(0.5)
