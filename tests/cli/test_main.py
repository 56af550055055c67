"""The `yogo` command as a process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import os, sys
from yogo_jax import cli

cli._parser = lambda command: print(command, os.environ["GLIBC_TUNABLES"]) or sys.exit(0)
cli.main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's tunables")
@pytest.mark.parametrize("own", [None, "glibc.malloc.hugetlb=0"])
def test_asks_for_huge_pages_unless_the_user_has_tuned_the_allocator(own):
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    environment |= {} if own is None else {"GLIBC_TUNABLES": own}
    command = [sys.executable, "-c", PROGRAM, "info"]
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    assert printed.split() == ["info", own or "glibc.malloc.hugetlb=1"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the cache's place is not by XDG_CACHE_HOME")
def test_compiled_programs_are_kept_for_the_next_run(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    environment |= {"XDG_CACHE_HOME": str(tmp_path), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    command = [sys.executable, "-m", "yogo_jax", "compile", "--config", "configs/smoke.py", "--topology", "cpu:1"]
    kept = []
    for _ in range(2):
        subprocess.run(command, env=environment, check=True, capture_output=True, cwd=ROOT)
        kept.append(sorted(path.name for path in tmp_path.rglob("*-cache")))
    assert any(name.startswith("jit_step") for name in kept[0])
    assert kept[0] == kept[1]
