"""Play a small scenario for each key of the format, and see that what it expects of the key is so.

The files lie in tests/sim/keys, each named after what it is about; they are scenarios like any other
(`makeway simulate FILE --check` plays one).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from makeway.cli.simulate import open_world, run_to
from makeway.sim.expect import misses
from makeway.sim.outcome import outcome

FILES = sorted((Path(__file__).parent / "keys").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_key_does_what_its_file_expects(path: Path) -> None:
    scenario, world = open_world(str(path), None)
    assert scenario.expected
    for expected in sorted(scenario.expected, key=lambda one: one.at_ms):
        run_to(world, expected.at_ms)
        assert not [*misses(expected, outcome(scenario, world, 0.0, advise=False))]
