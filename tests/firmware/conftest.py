import shutil
from collections.abc import Iterator

import pytest
from host_runner import HostRunner


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostRunner]:
    """The runtime on the host, with sanitizers."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    runner = HostRunner(tmp_path_factory.mktemp("driver"))
    yield runner
    runner.close()
