from __future__ import annotations

import pytest
from toy_project import Toy, write_toy


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return write_toy(tmp_path_factory.mktemp("projects") / "toy")
