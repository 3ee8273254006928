"""`chappe bench --python`: that it measures what it says, whatever the figures are."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from .cluster import PATIENCE, command


@pytest.mark.parametrize("work", ["rpc", "event"])
def test_no_figure_is_of_handlers_that_did_not_run(work: str) -> None:
    options = ["--python", "--json", "--seconds", "0.3", "--warmup", "0.1", "--in-flight", "4"]
    done = subprocess.run(
        [*command(), "bench", work, *options],
        env={**os.environ, "CHAPPE_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
    )
    assert done.returncode == 0, done.stderr
    figure = json.loads(done.stdout.splitlines()[-1])
    assert (figure["kind"], figure["lost"]) == (work, 0)
    assert figure["per_second"] > 0
    steps = [name for name, micros in figure["steps_us"] if micros > 0]
    of_answers = ["ResponseToServer, its Python", "Python to MessagePack"] if work == "rpc" else []
    assert steps == ["MessagePack to Python", "the handler's own lines", *of_answers]


def test_python_handlers_are_not_promised_for_threads() -> None:
    done = subprocess.run(
        [*command(), "bench", "rpc", "--python", "--link", "memory"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 1
    assert "--link local" in done.stderr
