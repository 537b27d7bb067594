"""node-postgres with its cursors, streams and COPY, under a Node of the package index (node/checks.js)."""

import shutil

import artefacts
import programs
import pytest

SOURCE = "node/checks.js"


@pytest.fixture(scope="module")
def results(shared_server):
    folder = artefacts.node_modules("node-pg-8.23.1", programs.HERE / "node")
    shutil.copy(programs.HERE / SOURCE, folder)
    return programs.results([artefacts.node(), folder / "checks.js"], shared_server)


@pytest.mark.parametrize("name", programs.names(SOURCE))
def test_node_postgres(name, results):
    assert results[name] == "ok"
