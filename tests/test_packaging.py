"""The wheel: built, installed into an empty environment beside the repository, run from another folder."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(ROOT)],
        check=True,
    )
    return next(out.glob("thimble_sdk-*.whl"))


def test_wheel_holds_templates_firmware_and_boards(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("templates", "firmware", "boards"):
        have = {
            n.removeprefix(f"thimble/_data/{folder}/")
            for n in names
            if n.startswith(f"thimble/_data/{folder}/")
        }
        want = {
            str(p.relative_to(ROOT / folder))
            for p in (ROOT / folder).rglob("*")
            if p.is_file() and "__pycache__" not in p.parts
        }
        assert have == want
    assert "thimble/commands/operators.json" in names


def test_demo_runs_from_the_wheel_in_another_folder(wheel, tmp_path):
    """The environment holds the wheel alone; its dependencies are lent by path, not installed twice."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)], check=True)
    site = next((tmp_path / "env" / "lib").glob("python*/site-packages"))
    lent = [p for p in sys.path if p.endswith("site-packages")]
    (site / "lent.pth").write_text("\n".join(lent) + "\n")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    where = "import thimble.paths as p; print(p.resource('boards'))"
    found = subprocess.run(
        [python, "-c", where], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert Path(found.stdout.strip()).is_relative_to(site)
    done = subprocess.run(
        [tmp_path / "env" / "bin" / "thimble", "demo", "--out", "demo", "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "demo" / "firmware" / "report.html").is_file()
