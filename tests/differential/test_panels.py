"""Panels asked again while rows come, come late, are sealed and go, against PostgreSQL 15: see panels.py."""

import os

import pytest

from differential import campaign, ground

ROUNDS = 2_000 if os.environ.get("FRESHET_TESTS_LONG") else int(os.environ.get("FRESHET_PANEL_ROUNDS", "12"))
SEED = int(os.environ.get("FRESHET_SEED", "1"))
JOBS = 2
STEPS = {"rows", "bulk", "late", "seal", "truncate", "rollup"}


@pytest.mark.timeout(7200)
def test_panels_equal_postgresql(freshet_factory, tell):
    place = campaign.Ground(lambda layout: freshet_factory(arguments=ground.PATIENT), layouts=("mutable",))
    try:
        total = campaign.run(place.dsn, place.addresses, SEED * 1_000_000, ROUNDS, JOBS, "panels")
    finally:
        place.stop()
    tell(f"panels from seed {SEED * 1_000_000}: {ROUNDS} rounds, {total.count} queries by two settings each, with an error {total.errors}, "
         f"different {len(total.found)}; {dict(total.used)}")
    for seed, _, sql, settings, why in total.found[:20]:
        tell(f"  seed {seed} {settings}: {why}\n    {sql}")
    assert not total.found
    assert total.errors < total.count // 20
    assert ROUNDS < 10 or {name.split()[-1] for name in total.used} == STEPS


PLANTED = ["partial.stale_after_truncate"]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fault", PLANTED)
def test_planted_fault_is_found(freshet_factory, checked_binary, tell, fault):
    """Rounds must find a part of the speed that is wrong on purpose (a build with checks plants it)."""
    place = campaign.Ground(lambda layout: freshet_factory(arguments=ground.PATIENT, binary=checked_binary, environment={"FRESHET_FAULT": fault}),
                            layouts=("mutable",))
    try:
        total = campaign.run(place.dsn, place.addresses, SEED * 1_000_000, 200, JOBS, "panels", stop_at=1)
    finally:
        place.stop()
    tell(f"{fault}: found {len(total.found)} in {total.count} queries" + "".join(f", by {sql}: {why}" for _, _, sql, _, why in total.found[:1]))
    assert total.found
