"""The machines every operator must agree on."""

from __future__ import annotations

import pytest

from tests.operators_geometry.fields import MACHINES, Machine


@pytest.fixture(params=MACHINES, ids=[f"{machine.library}-{machine.block}" for machine in MACHINES])
def machine(request: pytest.FixtureRequest) -> Machine:
    found: Machine = request.param
    return found
