"""The table of differences for a user's own weights."""

import sys

import pytest

from yogo_jax.configuration import load_config

pytest.importorskip("torch")
from scripts import cross_check

CONFIG = """
from yogo_jax.configuration import base
def get_config():
    config = base()
    config.model.update(filters=4, groups=2, fe_blocks=0, frb_backward=0, frb_forward=1, hfbs=2, pyramid_levels=1,
                        dfu_direction="hidden")
    return config
"""


@pytest.fixture
def check(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.py").write_text(CONFIG)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["cross_check.py", *map(str, arguments)])
        return cross_check.main()

    return run


def test_every_box_image_and_gradient_is_compared_and_can_fail(check, capsys, monkeypatch):
    comparison = cross_check.Comparison(
        cross_check.random_weights(load_config("tiny.py").model), cross_check.load(None, 2, (8, 12))
    )
    assert comparison.run(training=True)
    rows = [line.rsplit(maxsplit=2)[0].strip() for line in capsys.readouterr().out.splitlines()[1:]]
    boxes, gradient = [row for row in rows if "gradient" not in row], [row for row in rows if "gradient" in row]
    assert boxes[:6] == [
        *(f"features of {box}" for box in ("fe", "backward", "forward")),
        "image",
        "structure",
        "detail",
    ]
    assert len(gradient) == 1
    assert rows[-1] == "image, 3 AdaMax steps on"
    monkeypatch.setattr(cross_check, "IMAGES", 0.0)
    assert not comparison.run(training=False)


def test_what_cannot_be_compared_is_one_line(check, tmp_path, capsys):
    assert check(tmp_path / "none.pth") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert check("--config", "tiny.py", "--clip", tmp_path) == 2
    assert "0 images" in capsys.readouterr().err
