"""Two ways to ask for the same rows give the same rows: checks without another server, see metamorphic.py."""

import os

import pytest

from differential import campaign, ground, harness, metamorphic

CHECKS = 100_000 if os.environ.get("FRESHET_TESTS_LONG") else int(os.environ.get("FRESHET_METAMORPHIC", "2500"))
SEED = int(os.environ.get("FRESHET_SEED", "1"))
OCCURRENCES_MIN = 50


@pytest.mark.timeout(7200)
def test_metamorphic_checks(freshet_factory, tell):
    place = campaign.Ground(lambda layout: freshet_factory(arguments=ground.PATIENT), needs_reference=False, is_indexed=True)
    total = campaign.run(None, place.addresses, SEED * 1_000_000, CHECKS, 2, "metamorphic")
    tell(campaign.describe(total, f"metamorphic checks from seed {SEED * 1_000_000}"))
    for seed, layout, why, _, name in total.found[:40]:
        tell(f"  seed {seed} {layout}: {name}: {why}")
    assert not total.found
    assert CHECKS < 2500 or min(total.used[f"check: {name}"] for name in ("other ways", *metamorphic.CHECKS)) >= OCCURRENCES_MIN


@pytest.mark.timeout(900)
def test_variants_of_kernels_agree(freshet_factory, checked_binary, tell):
    """The kernels for AVX-512, for AVX2 and for any processor give the same rows from sealed segments."""
    servers = {}
    for fault in ("", "kernels.no_avx512", "kernels.base_only"):
        server = freshet_factory(arguments=ground.PATIENT, binary=checked_binary, environment={"FRESHET_FAULT": fault} if fault else {})
        servers[fault or "chosen"] = harness.Freshet(server.http)
        ground.fill(servers[fault or "chosen"], "freshet", "sealed", is_indexed=True)
    part = campaign.Part()
    for seed in range(SEED * 1_000_000, SEED * 1_000_000 + 400):
        metamorphic.check(servers, seed, part, only="other ways")
    tell(f"variants of kernels: {part.count} queries, different {len(part.found)}")
    assert not part.found


PLANTED = ["kernel.and_null", "aggregate.sum", "plan.push_nullable", "sealed.zone_off_by_one"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", PLANTED)
def test_planted_fault_is_found_without_an_oracle(freshet_factory, checked_binary, fault):
    place = campaign.Ground(lambda layout: freshet_factory(arguments=ground.PATIENT, binary=checked_binary, environment={"FRESHET_FAULT": fault}), ("mutable", "mixed"),
                            needs_reference=False, is_indexed=True)
    assert campaign.run(None, place.addresses, SEED * 1_000_000, 3000, 2, "metamorphic", stop_at=1).found
