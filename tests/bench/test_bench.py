"""`yogo bench` on small sizes: what it prints, and what it refuses."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yogo_jax.bench.measure import Result, compare, random_params, table, use_threads
from yogo_jax.bench.profile import kind, part
from yogo_jax.cli import main
from yogo_jax.errors import UserError
from yogo_jax.model import Output, YOGOConfig

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def same_cores():
    """The benches keep the process to some cores; the tests after them want all."""
    if not hasattr(os, "sched_getaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, cores)


def test_medians_and_ratios():
    contenders = {"quick": lambda: lambda: time.sleep(0.01), "slow": lambda: lambda: time.sleep(0.04)}
    results = compare(contenders, rounds=3)
    assert results[0].median == pytest.approx(0.01, abs=0.01)
    assert results[1].median > 2 * results[0].median


def test_ratios_are_the_first_one_over_the_others():
    own, other = Result("own", 3.0, 0.5, 0.6, 100), Result("other", 0.0, 2.0, 1.0, 200)
    _, first, second = table([own, other]).splitlines()
    assert first.split() == ["own", "3.0", "s", "500", "ms", "600", "ms", "0", "MB"]
    assert second.split()[-3:] == ["0.25", "0.60", "0.50"]


def test_peak_memory_is_what_the_work_needs():
    (result,) = compare({"large": lambda: lambda: bytearray(os.urandom(1)) * 200_000_000}, rounds=1)
    if result.peak is None:
        pytest.skip("this system does not say")
    assert 150e6 < result.peak < 450e6


def test_deform_prints_both_modes(capsys):
    assert (
        main(["bench", "deform", "--channels", "8", "--groups", "2", "--width", "8", "--height", "6", "--rounds", "1"])
        == 0
    )
    out = capsys.readouterr().out
    assert "jax forward " in out
    assert "jax forward + backward" in out


def ratios(text):
    """Of each contender's time, by its name; the first one's row has none."""
    found = (re.match(r"(.{34}).* ms +(?:\d+ MB|n/a) +([\d.]+) ", line) for line in text.splitlines())
    return {match[1].strip(): float(match[2]) for match in found if match}


def test_inference_and_training_step_against_pytorch(capsys):
    pytest.importorskip("torch")
    small = "filters=8 groups=2 fe_blocks=0 frb_backward=0 frb_forward=0 hfbs=1 pyramid_levels=1 dfu_direction=hidden"
    size = ["--frames", "2", "--batch", "2", "--width", "8", "--height", "8", "--rounds", "1", "--against", "torch"]
    command = ["bench", "model", "--config", str(ROOT / "configs" / "yogo_64.py"), *size]
    command += [f"--config.model.{field}" for field in small.split()]
    found = {}
    for mode, name in (("forward", "jax, forward "), ("train", "jax, training step ")):
        assert main([*command, "--mode", mode]) == 0
        head, lines = re.split(r"\n.+ prepare .+\n", capsys.readouterr().out)
        assert head == "yogo, 2×2 frames of 8×8, 2 threads"
        assert lines.startswith(name)
        found[mode] = ratios(lines)
        assert {"torch, grid_sample", "torch, grid_sample, channels_last"} <= found[mode].keys()
        assert min(found[mode].values()) > 0
    assert "torch, grid_sample, last, in turn" in found["train"].keys() - found["forward"].keys()


def test_contenders_give_the_same_frames():
    torch = pytest.importorskip("torch")
    from yogo_jax.bench import model, torch_side

    config = YOGOConfig(filters=8, groups=2, fe_blocks=0, frb_backward=0, frb_forward=0, hfbs=1, pyramid_levels=1)
    frames = np.random.default_rng(0).random((1, 2, 8, 12, 3), np.float32)
    network = config.build()
    params = random_params(network, frames)
    own = model._jax(network, params, frames, None).work()
    others = torch_side.model(config, params, ["torch"], frames, None, torch.get_num_threads())
    assert len(others) >= 2
    for prepare in others.values():
        np.testing.assert_allclose(prepare()().image.permute(0, 1, 3, 4, 2), own, atol=1e-5 * np.abs(own).max())


def test_a_profile_shares_out_all_of_the_time(capsys):
    small = "filters=32 groups=2 fe_blocks=1 frb_backward=0 frb_forward=0 hfbs=1 pyramid_levels=1 dfu_direction=hidden"
    command = ["bench", "model", "--config", str(ROOT / "configs" / "yogo_64.py"), "--profile", "--mode", "train"]
    command += ["--frames", "2", "--width", "16", "--height", "16"]
    assert main(command + [f"--config.model.{field}" for field in small.split()]) == 0
    out = capsys.readouterr().out
    _, *tables = re.split(r"by .* time +share\n", out)
    shares = [re.findall(r"  (\S.*?) +\d+ ms +([\d.]+) %", text) for text in tables]
    by_kind, by_part = ({name: float(share) for name, share in found} for found in shares)
    assert {"matrix products of convolutions", "deformable convolutions"} <= by_kind.keys()
    assert {"fe", "hfm"} <= by_part.keys()
    assert sum(by_kind.values()) == pytest.approx(100, abs=0.5) == sum(by_part.values())
    direct, done = (float(found) for found in re.search(r": ([\d.]+) G by .*, ([\d.]+) G as done", out).groups())
    assert done < direct
    assert min(by_kind["matrix products of convolutions"], by_part["hfm"]) > 1


def test_places_in_a_program_tell_kind_and_part():
    place = "jit(step)/transpose(jvp(YOGO))/backward/rc_bi/while/body/closed_call/step/jit(_conv2d)/dot_general"
    assert (kind(place), part(place)) == ("matrix products of convolutions", "backward")
    assert kind("jit(step)/jvp(YOGO)/jit(_deform_conv2d)/jit(_conv2d)/add") == "deformable convolutions"
    assert part("jit(step)/YOGO/while/body/closed_call/transpose(jvp(Recon))/conv_hr/jit(_conv2d)/mul") == "Recon"
    assert part("jit(step)/jvp(YOGO)/transpose") == "none of them"
    assert (kind("jit(step)/mul"), part("jit(step)/mul")) == ("all else", "none of them")


def test_examples_in_turn_have_the_gradients_of_all_at_once():
    torch = pytest.importorskip("torch")
    from yogo_jax.bench.torch_side import _train

    class Network(torch.nn.Linear):
        def forward(self, x, auxiliary):
            return Output(super().forward(x))

    network, x = Network(3, 3), torch.rand(2, 3, 4, 4, 3)
    unmoved = torch.optim.SGD(network.parameters(), 0.0)
    gradients = []
    for parts in (1, 2):
        _train(network, unmoved, x, [torch.rand(x.shape, generator=torch.manual_seed(0))] * 3, parts)
        gradients.append(network.weight.grad.numpy().copy())
    np.testing.assert_allclose(*gradients, rtol=1e-5)


def test_a_peer_against_pytorch(capsys):
    pytest.importorskip("torch")
    small = ["filters=8", "groups=2", "fe_blocks=0", "recon_blocks=0"]
    size = ["--frames", "2", "--width", "8", "--height", "8", "--rounds", "1", "--mode", "forward"]
    size += ["--against", "torch", "--only", "sample, channels"]
    command = ["bench", "model", "--config", str(ROOT / "configs" / "tmnet.py"), *size]
    assert main(command + [f"--config.model.{field}" for field in small]) == 0
    out = capsys.readouterr().out
    assert out.startswith("tmnet, ")
    assert ratios(out).keys() == {"torch, grid_sample, channels_last"}
    assert min(ratios(out).values()) > 0
    assert main([*command, "--only", "nothing"]) == 2
    assert "torch, grid_sample, channels_last" in capsys.readouterr().err


def test_scaling_tells_and_draws_growth(tmp_path, capsys):
    picture = tmp_path / "scaling.png"
    small = "filters=8 groups=1 fe_blocks=0 frb_backward=0 frb_forward=0 hfbs=0 pyramid_levels=1 dfu_direction=hidden"
    size = ["--side", "16", "--doublings", "1", "--rounds", "1", "--out", str(picture)]
    command = ["bench", "scaling", "--config", str(ROOT / "configs" / "yogo_64.py"), *size]
    assert main(command + [f"--config.model.{field}" for field in small.split()]) == 0
    rows = re.findall(r"(\w+) +([\d,]+) +\d+ ms × *([\d.]+) +[\d.]+ MB × *([\d.]+)", capsys.readouterr().out)
    values = [(along, int(value.replace(",", ""))) for along, value, _, _ in rows]
    frames, pixels, batch, filters = [("frames", 3), ("frames", 7)], [("pixels", 256), ("pixels", 512)], [1, 2], [8, 16]
    assert values == [*frames, *pixels, *(("batch", n) for n in batch), *(("filters", n) for n in filters)]
    assert all(float(seconds) > 0 for _, _, seconds, _ in rows)
    assert [float(memory) > 1 for *_, memory in rows] == [False, True] * 4
    with Image.open(picture) as image:
        assert image.format == "PNG"


def test_a_video_against_its_network_and_ffmpeg(weights):
    """In a process of its own, with one device: eight would compute eight tiles where one is enough."""
    size = ["--width", "32", "--height", "32", "--frames", "4"]
    command = [sys.executable, "-m", "yogo_jax", "bench", "upscale", "--weights", weights, *size]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    lines = done.stdout.splitlines()[3:]
    assert [line[:30].strip() for line in lines] == [
        "yogo upscale",
        "its network alone",
        "ffmpeg minterpolate, bicubic",
        "ffmpeg blend, bicubic",
    ]
    assert all(float(line[30:40]) > 0 for line in lines)


def test_a_video_of_odd_width_is_refused(capsys):
    assert main(["bench", "upscale", "--width", "33"]) == 2
    assert "33x270 pixels: width and height are even" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "info --frames 1",
        "info --width 0",
        "info --config.model.filters=8",
        "bench deform --groups 0",
        "bench deform --rounds 0",
        "bench deform --threads -1",
        "bench model --frames 1",
        "compile --config configs/smoke.py --topology cpu:1 --batch-per-chip 0",
    ],
)
def test_impossible_numbers_are_refused_before_any_work(line, capsys):
    with pytest.raises(SystemExit) as end:
        main(line.split())
    assert end.value.code == 2
    assert "error" in capsys.readouterr().err


def test_a_profile_is_of_one_program(capsys):
    assert main(["bench", "model", "--profile", "--against", "torch"]) == 2
    assert "--profile is of this package's program alone" in capsys.readouterr().err


def test_more_threads_than_cores():
    with pytest.raises(UserError, match=r"--threads 9999: there are \d+ cores"):
        use_threads(9999)


def test_channels_that_groups_do_not_divide(capsys):
    assert main(["bench", "deform", "--channels", "8", "--groups", "3"]) == 2
    assert capsys.readouterr().err.startswith("yogo: --channels 8")
