"""The test suites of four packages that are not ours and run on Python 2 only: no change of the translation may break
one of their tests, and what docs/en/python2.md says of them stays true.

Downloads them from PyPI (pinned by hash), once a run; CHAPPE_PY2_PACKAGES names a folder to keep them in. Offline it is skipped,
unless CI or CHAPPE_REQUIRE_PYPI is set.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import run  # noqa: E402

REQUIRED = bool(os.environ.get("CI") or os.environ.get("CHAPPE_REQUIRE_PYPI"))
MEASURED = (3, 11)
"""The Python that the table in the docs was made with: the packages' tests print what other versions word otherwise."""
DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="session")
def sdists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the four archives."""
    kept = os.environ.get("CHAPPE_PY2_PACKAGES")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("py2_packages")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run.download(folder)
        return folder
    except (subprocess.SubprocessError, OSError):
        why = "the packages cannot be had from PyPI (what pip says stands above)"
    if REQUIRED:
        pytest.fail(why, pytrace=False)
    pytest.skip(f"{why}; with CHAPPE_REQUIRE_PYPI=1 that is a failure")


@pytest.mark.xfail(sys.version_info[:2] != MEASURED, reason="the table was made with Python 3.11", strict=False)
@pytest.mark.parametrize("package", run.PACKAGES)
def test_a_suite_that_passed_still_does(
    sdists: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], package: str
) -> None:
    (tmp_path / f"{package}.tar.gz").symlink_to(sdists / f"{package}.tar.gz")
    went_well = run.run(package, tmp_path)
    said = capsys.readouterr().out
    assert went_well, said
    row = re.match(rf"{re.escape(package)}: (\d+) of (\d+) pass \(([\d,]+) lines", said)
    assert row, said
    passed, count, lines = (int(number.replace(",", "")) for number in row.groups())
    name, version = package.rsplit("-", 1)
    told = f"| {name} {version} | {lines:,} | {passed} of {count:,} | {count - passed} |"
    assert told in (DOCS / "en/python2.md").read_text("utf-8")


def test_a_failure_that_is_explained_stands_in_the_docs() -> None:
    text = (DOCS / "en/python2.md").read_text("utf-8")
    for tests in run.EXPLAINED.values():
        for part in tests:
            name = re.sub(r"^test_\w+\.py: totest\['(\w+)'\]\[(\d+)\]$", r"\1[\2]", part.rstrip(" ("))
            assert name in text or re.sub(r"(Start|End)1$", "", name) in text, part
