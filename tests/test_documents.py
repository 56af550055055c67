"""What the documents point at is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("yogo_jax/**/*.md")),
]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links_and_named_files_exist(path):
    text = path.read_text()
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    missing = [link for link in links if link and "://" not in link and not (path.parent / link).exists()]
    named = re.findall(r"\b(?:configs|scripts|docs|yogo_jax|data_pipelines)/[\w/]+\.(?:py|md|sh|mp4)\b", text)
    missing += [name for name in named if not (ROOT / name).exists()]
    assert not missing
