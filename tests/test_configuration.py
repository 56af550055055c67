"""Configs: overrides, and one clear line for each mistake."""

import ast
import json
from pathlib import Path

import pytest

from yogo_jax.cli import main
from yogo_jax.configuration import load_config
from yogo_jax.errors import UserError
from yogo_jax.model import YOGOConfig

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
FILES = sorted(path for path in CONFIGS.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_config_is_sound_and_says_what_it_is(path):
    load_config(path)
    assert ast.get_docstring(ast.parse(path.read_text()))


VARIANTS = {
    "yogo_64": {},
    "yogo_56": {"filters": 56},
    "table3_a": {"interaction": "backward_only", "fusion": "direct"},
    "table3_b": {"interaction": "none", "fusion": "direct"},
    "table3_c": {"interaction": "none"},
    "table3_d": {"fusion": "direct"},
    "table3_e": {},
    **{f"table4_{n}_{10 - n}": {"frb_backward": n, "frb_forward": 10 - n} for n in (0, 2, 4, 6, 8, 10)},
    "table5_dfu": {"cell_order": "dfu"},
    "table5_fru": {"cell_order": "fru"},
    "table5_fru_dfu": {"cell_order": "fru_dfu"},
    "table5_dfu_fru": {},
    **{f"figure9_{blocks}": {"hfbs": blocks} for blocks in range(1, 10)},
}
"""What each network that the paper measures changes in the complete one: its Tables 2 to 5, and Figure 9."""


@pytest.mark.parametrize("name", VARIANTS)
def test_the_papers_variants_are_the_papers(name):
    assert load_config(CONFIGS / f"{name}.py").model == YOGOConfig(**VARIANTS[name])


def test_every_table_and_figure_is_listed():
    assert {path.stem for path in FILES if path.stem.startswith(("yogo", "table", "figure"))} == set(VARIANTS)


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
