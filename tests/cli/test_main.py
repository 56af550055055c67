"""The `yogo` command as a process."""

import os
import subprocess
import sys

import pytest

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
