"""Rules and fixtures for every Python test: a skip that tests/skips.txt does not name is a failure; servers that a test
started are stopped, and must not have crashed; what a run leaves that was interrupted is ended by its keeper."""

import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import broker as kafka  # noqa: E402
import freshet  # noqa: E402
import keeper  # noqa: E402

# Two processes share the work by modules, each with its servers, or by tests where a module is long and its tests share
# nothing. What takes longest begins first.
LONGEST_FIRST = ["test_random_queries", "test_kafka", "test_metamorphic", "test_connect", "test_kafka_campaign", "test_kill", "test_hostile", "test_http",
                 "test_bench", "test_functions", "test_ingest_api"]
DIVIDED = {"test_random_queries", "test_metamorphic"}
SKIPS = pathlib.Path(__file__).with_name("skips.txt")


def allowed_skips():
    lines = SKIPS.read_text().splitlines()
    return {line.split()[0] for line in lines if line.strip() and not line.startswith("#")}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for node in item.listchain():
            node.has_failed = True
    if report.skipped and not hasattr(report, "wasxfail") and item.name not in allowed_skips():
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} skipped and tests/skips.txt does not name it"


def pytest_collection_modifyitems(items):
    def place(item):
        name = item.path.stem
        return LONGEST_FIRST.index(name) if name in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=place)
    for item in items:
        if item.path.stem not in DIVIDED or "reference_of_planted" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


class Teller:
    """Prints what a test tells, where pytest runs in one process or in several."""

    def __init__(self, config):
        self.config = config

    def pytest_runtest_logreport(self, report):
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        for name, text in report.user_properties if report.when == "call" and reporter else ():
            if name == "told":
                reporter.write(f"\n{text}\n")


def pytest_configure(config):
    if not hasattr(config, "workerinput"):  # one keeper for the processes that share the work
        keeper.watch()
    config.pluginmanager.register(Teller(config))


@pytest.fixture
def tell(record_property):
    """Call it with a text of what a long test counted or found: it stands in the output, failed or not."""
    return lambda text: record_property("told", text)


def folders(request, tmp_path_factory):
    """Call it with a name for a new directory. It is gone with the test or module unless that failed: every store takes
    128 MB, which a run of all tests would leave by the hundred."""
    made = []

    def make(name):
        made.append(tmp_path_factory.mktemp(name))
        return made[-1]

    yield make
    if not getattr(request.node, "has_failed", False):
        for directory in made:
            shutil.rmtree(directory)


new_folder = pytest.fixture(folders)
new_module_folder = pytest.fixture(folders, scope="module")


def factory(new_folder):
    started = []

    def start(data=None, arguments=(), environment=None, binary=None, wrapper=(), wait_ready=True):
        data = data or new_folder("data") / "store"
        server = freshet.Server(data, arguments, environment, binary, wrapper, wait_ready)
        started.append(server)
        return server

    yield start
    for server in started:
        if server.process.poll() is None:
            status = server.stop()
            assert status == 0, (status, server.log_text()[-4000:])
        else:
            assert server.process.returncode in (0, -9), (server.process.returncode, server.log_text()[-4000:])


@pytest.fixture
def freshet_factory(new_folder):
    """Call it to start a server of this test; SIGKILL by the test itself is no crash."""
    yield from factory(new_folder)


@pytest.fixture
def server(freshet_factory):
    return freshet_factory()


@pytest.fixture(scope="module")
def shared_server(new_module_folder):
    """One server for all tests of a module."""
    starts = factory(new_module_folder)
    yield next(starts)()
    next(starts, None)


@pytest.fixture(scope="session")
def checked_binary():
    """A build in which FRESHET_FAULT plants a fault by name (debug and sanitizer builds)."""
    path = freshet.ROOT / "build" / "debug" / "freshet"
    assert path.exists(), f"{path} is missing: cmake --preset debug && cmake --build --preset debug"
    return str(path)


def brokers(tmp_path_factory):
    node = kafka.Broker(tmp_path_factory.mktemp("broker"))
    try:
        yield node.start()
    finally:
        node.wipe()


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    """A running Kafka node that the tests of a session share; none of them may stop it."""
    yield from brokers(tmp_path_factory)


@pytest.fixture
def own_broker(tmp_path_factory):
    """A running Kafka node of this test alone, to be stopped, crashed and started again."""
    yield from brokers(tmp_path_factory)
