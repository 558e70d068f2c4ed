"""The measurements of genbench itself still run; their figures are for people."""

import subprocess
import sys

import pytest
from installing import ROOT


@pytest.mark.parametrize(
    "arguments", [("trainer.py", "marginals", "--steps", "20", "--rounds", "1"), ("startup.py", "1")]
)
def test_a_measurement_prints_its_ratios(arguments: tuple[str, ...]) -> None:
    script, *rest = arguments
    done = subprocess.run(
        [sys.executable, str(ROOT / "perf" / script), *rest], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") >= 2
