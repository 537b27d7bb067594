"""Rules for every Python test: a skip that tests/skips.txt does not name is a failure."""

import pathlib

import pytest

SKIPS = pathlib.Path(__file__).with_name("skips.txt")


def allowed_skips():
    lines = SKIPS.read_text().splitlines()
    return {line.split()[0] for line in lines if line.strip() and not line.startswith("#")}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and not hasattr(report, "wasxfail") and item.name not in allowed_skips():
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} skipped and tests/skips.txt does not name it"
