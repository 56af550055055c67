"""Configs: overrides, and one clear line for each mistake."""

import ast
import json
from pathlib import Path

import pytest

from yogo_jax.cli import main
from yogo_jax.configuration import load_config
from yogo_jax.errors import UserError

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
FILES = sorted(path for path in CONFIGS.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_config_is_sound_and_says_what_it_is(path):
    load_config(path)
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_an_installed_config_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config("yogo_56").model.filters == 56


def test_overrides_change_what_they_name():
    config = load_config(CONFIGS / "yogo_64.py", ["--config.model.hfbs=3", "--config.model.dtype=bfloat16"])
    assert (config.model.hfbs, config.model.dtype, config.model.filters) == (3, "bfloat16", 64)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("--config.model.hfb=3", "hfb"),
        ("--config.model.hfbs=many", "hfbs"),
        ("--config.model.fusion=loose", "fusion"),
        ("--config.modl.hfbs=3", "modl"),
        ("--config.model.filters=60", "filters"),
        ("--config.data.patch=(32,)", "data.patch"),
        ("--config.data.patch=(32,'a')", "data.patch"),
    ],
)
def test_mistakes_are_named_in_one_line(override, named):
    with pytest.raises(UserError, match=named) as error:
        load_config(CONFIGS / "yogo_64.py", [override])
    assert "\n" not in str(error.value)
    assert "\\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["", "def get_config(:", "import nothing_of_this_name", "def get_config(): return 3", "x = y", "get_config = 3"],
)
def test_files_that_are_not_configs_are_refused(tmp_path, text):
    path = tmp_path / "config.py"
    path.write_text(text)
    with pytest.raises(UserError, match=r"config\.py") as error:
        load_config(path)
    assert "\n" not in str(error.value)


def test_info_prints_json_and_nothing_else(capsys):
    assert main(["info", "--config", str(CONFIGS / "yogo_64.py"), "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert out["parameters"] == sum(out["parameters_by_module"].values())
    assert out["multiply_adds"] > out["deformable_multiply_adds"] > 0


def test_a_missing_config_is_a_line_and_a_non_zero_exit(capsys):
    assert main(["info", "--config", "nowhere.py"]) == 2
    assert (
        capsys.readouterr().err
        == "yogo: nowhere.py: no such config file, nor one of those installed, such as yogo_64\n"
    )
