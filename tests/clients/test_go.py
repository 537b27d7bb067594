"""pgx in each of its ways of running a statement, and lib/pq (go/main.go)."""

import artefacts
import programs
import pytest

SOURCE = "go/main.go"


@pytest.fixture(scope="module")
def results(shared_server, new_module_folder):
    binary = artefacts.go_build(programs.HERE / "go", new_module_folder("go") / "checks")
    return programs.results([binary], shared_server)


@pytest.mark.parametrize("name", programs.names(SOURCE))
def test_go(name, results):
    assert results[name] == "ok"
