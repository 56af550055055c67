"""The command itself, with a real network of random weights."""

import argparse
import json
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from yogo_jax.cli import main, upscale


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height = 32, 16
        for level in rng.integers(0, 255, 3):
            image = np.full((16, 32, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_several_inputs_and_a_summary(tmp_path, clip, weights, capsys):
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    pattern = str(tmp_path / "*.mp4")
    arguments = ["--weights", weights, "--json", "--no-cuts", "--tile", "32x16", "--crf", "30"]
    assert main(["upscale", pattern, str(tmp_path / "large" / "{name}.mkv"), *arguments]) == 2
    printed, errors = capsys.readouterr()
    [summary] = [json.loads(line) for line in printed.splitlines()]
    assert (summary["frames_in"], summary["frames_out"]) == (3, 5)
    assert summary["network_seconds"] <= summary["seconds"]
    assert "broken.mp4 is not a video that FFmpeg can read" in errors
    with av.open(str(tmp_path / "large" / "clip.mkv")) as container:
        frames = list(container.decode(video=0))
    assert [(frame.width, frame.height) for frame in frames] == [(128, 64)] * 5
    assert [path.name for path in (tmp_path / "large").iterdir()] == ["clip.mkv"]


def test_a_preview_is_side_by_side(tmp_path, clip, weights):
    output = tmp_path / "look.mp4"
    assert main(["upscale", str(clip), str(output), "--weights", weights, "--preview", "0.04", "--no-cuts"]) == 0
    with av.open(str(output)) as container:
        frames = list(container.decode(video=0))
    assert (frames[0].width, frames[0].height) == (256, 64)
    assert len(frames) <= 3


@pytest.mark.parametrize(("part", "expected"), [([], (2, 6)), (["--start", "1", "--end", "3"], (1, 3))])
def test_a_preview_keeps_to_the_part(part, expected, monkeypatch):
    parser = argparse.ArgumentParser()
    upscale.configure(parser)
    arguments = parser.parse_args(["in.mp4", "out.mp4", "--preview", *part])
    reader = SimpleNamespace(video=SimpleNamespace(duration=8.0))
    monkeypatch.setattr("yogo_jax.video.pipeline.open_source", lambda source, options: reader)
    options = upscale._options(Path("in.mp4"), arguments)
    assert (options.start, options.end) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.mp4", "out.mp4"], "none.mp4 does not exist"),
        (["{clip}", "out.wmv"], "outputs are .mp4, .m4v, .mkv"),
        (["{clip}", "{clip}"], "is both input and output"),
        (["{clip}", "{clip}", "out.mp4"], "it must contain {name}"),
        (["nothing-*.mp4", "out.mp4"], "nothing matches"),
        (["{clip}", "out.mp4", "--start", "2", "--end", "1"], "--end 1 is not after --start 2"),
        (["{clip}", "out.mp4", "--start", "60"], "no frame between the times"),
        (["{clip}", "out.mp4", "--memory", "1M"], "of memory is too little for frames of 32x16: --memory "),
        (
            ["{clip}", "out.mp4", "--pix-fmt", "rgb565"],
            "libx264 does not write pixel format 'rgb565'; it writes yuv420p",
        ),
        (["{clip}", "out.mp4", "--preset", "warp"], "libx264 cannot encode 128x64"),
        (["{clip}", "out.mkv", "--codec", "ffv1", "--crf", "3"], "ffv1 is lossless"),
        (["{clip}", "out.mp4", "--tile", "8x8"], "is not larger than the overlap"),
        (["{clip}", "/proc/nowhere/out.mp4"], "cannot be written"),
        (["{clip}", "out.mp4", "--preview", "0"], "a preview lasts more than 0 seconds"),
        (["{clip}", "out.mp4", "--rate", "3"], "makes one frame between two: a rate of 2"),
        (["{clip}", "out.mp4", "--drop", "99"], "has streams 0 to 0"),
        (["{clip}", "x" * 300 + ".mp4"], "File name too long"),
        (["{clip}", "x" * 251 + ".mp4"], "File name too long"),  # the folder beside it
        (["x" * 300, "out.mp4"], "File name too long"),
        (["{clip}/clip.mp4", "out.mp4"], "clip.mp4 cannot be read: Not a directory"),
    ],
)
def test_one_clear_line(tmp_path, monkeypatch, clip, weights, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["upscale", *(word.replace("{clip}", str(clip)) for word in arguments), "--weights", weights]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("yogo: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize(
    ("option", "value", "wanted"),
    [
        ("--crf", "nan", "a number from 0 to 63"),
        ("--rate", "40", "a whole number from 2 to 16"),
        ("--drop", "2;3", "stream numbers such as 2 or 2,3"),
        ("--overlap", "-1", "a whole number of 0 or more"),
        ("--fps", "fast", "a number from 0.01 to 1000"),
        ("--start", "noon", "a time: seconds, or h:mm:ss.s"),
        ("--memory", "lots", "a size such as 4GB or 900M"),
        ("--tile", "64", "a size such as 256x192"),
    ],
)
def test_options_say_what_they_take(capsys, option, value, wanted):
    with pytest.raises(SystemExit) as ended:
        main(["upscale", "in.mp4", "out.mp4", option, value])
    assert ended.value.code == 2
    assert f"argument {option}: {value!r} is not {wanted}" in capsys.readouterr().err.replace("a list of ", "")


def test_weights_of_another_network(tmp_path, clip, capsys):
    (tmp_path / "other.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    assert (
        main(["upscale", str(clip), str(tmp_path / "out.mp4"), "--weights", str(tmp_path / "other.safetensors")]) == 2
    )
    assert "other.safetensors" in capsys.readouterr().err


def test_help_explains_itself(capsys):
    with pytest.raises(SystemExit):
        main(["upscale", "--help"])
    text = capsys.readouterr().out
    for option in (
        "--codec",
        "--crf",
        "--preview",
        "--memory",
        "--cut-threshold",
        "--overwrite",
        "goes on where it was",
    ):
        assert option in text
