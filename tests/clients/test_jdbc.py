"""pgjdbc: metadata calls, server-side prepare, batches, fetch size, types in text and binary, COPY, cancel (jdbc/Jdbc.java)."""

import artefacts
import pytest

import programs

SOURCE = "jdbc/Jdbc.java"


@pytest.fixture(scope="module")
def results(shared_server):
    jars = artefacts.jars("pgjdbc-42.7.11", ["org.postgresql:postgresql:42.7.11"])
    return programs.results([artefacts.java(), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{jars}/*", programs.HERE / SOURCE],
                            shared_server)


@pytest.mark.parametrize("name", programs.names(SOURCE))
def test_pgjdbc(name, results):
    assert results[name] == "ok"
