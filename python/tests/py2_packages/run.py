"""Runs the test suites of four Python-2-only packages that are not ours through the translation.

    python python/tests/py2_packages/run.py [FOLDER]

Downloads their sdists with pip (pinned by hash, `requirements.txt`) into FOLDER (a temporary one when it is not given), shows that
they do not compile on Python 3, and prints what passes. Ends with 1 when a test fails that docs/en/python2.md does not explain, or when
one that it explains passes.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import warnings
from pathlib import Path

_HERE = Path(__file__).parent
PACKAGES = ["docutils-0.5", "Pygments-0.10", "python-dateutil-1.5", "simplejson-2.0.9"]

EXPLAINED: dict[str, dict[str, str]] = json.loads((_HERE / "explained.json").read_text("utf-8"))
"""Package -> part of a test's name -> why it fails."""


def download(folder: Path) -> None:
    """The pinned sdists, into ``folder``."""
    if all((folder / f"{name}.tar.gz").exists() for name in PACKAGES):
        return
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--use-pep517"]
    command += ["--retries", "1", "--timeout", "10", "--no-build-isolation", "--require-hashes", "--dest", str(folder), "--requirement", str(_HERE / "requirements.txt")]
    subprocess.run(command, check=True, timeout=100, env={**os.environ, "PYTHONPATH": str(_HERE / "backend")})


def lines(folder: Path) -> tuple[int, int, int]:
    """Lines of Python in an unpacked package, its files, and how many of these do not compile on Python 3."""
    count = files = refused = 0
    for path in sorted(folder.rglob("*.py")):
        data = path.read_bytes()
        files += 1
        count += data.count(b"\n")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compile(data, str(path), "exec")
        except (SyntaxError, ValueError):
            refused += 1
    return count, files, refused


def run(package: str, folder: Path) -> bool:
    """Runs one package's suite and prints its row. Returns whether it went as explained."""
    with tarfile.open(folder / f"{package}.tar.gz") as archive:
        if sys.version_info >= (3, 12):
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)
    name = package.rpartition("-")[0]
    count, files, refused = lines(folder / package)
    done = subprocess.run(
        [sys.executable, str(_HERE / "suites.py"), name, str(folder / package)], capture_output=True, text=True, timeout=900
    )
    if done.returncode:
        print(f"{package}: the suite did not run\n{done.stderr[-3000:]}")
        return False
    result = json.loads(done.stdout.splitlines()[-1])
    passed = result["run"] - len(result["failed"])
    print(f"{package}: {passed} of {result['run']} pass ({count:,} lines; {refused} of {files} files do not compile on Python 3)")
    explained, met, fine = EXPLAINED.get(name, {}), set(), True
    for test, error in result["failed"]:
        part = next((part for part in sorted(explained, key=len, reverse=True) if part in test), None)
        if part is None:
            print(f"  NOT EXPLAINED {test}: {error}")
            fine = False
        else:
            met.add(part)
    for part in explained:
        print(f"  {'explained' if part in met else 'PASSES NOW'}: {part}: {explained[part]}")
    return fine and met == set(explained)


def main() -> int:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        download(folder)
        return 0 if all([run(package, folder) for package in PACKAGES]) else 1


if __name__ == "__main__":
    sys.exit(main())
