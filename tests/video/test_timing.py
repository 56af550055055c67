"""When frames are shown: at every length, rate and start, as FFmpeg reads them back."""

import itertools
from fractions import Fraction

import av
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from yogo_jax.errors import UserError
from yogo_jax.model.config import YOGOConfig
from yogo_jax.peers import TMNetConfig
from yogo_jax.video.network import Network, load_network
from yogo_jax.video.options import Options
from yogo_jax.video.pipeline import upscale_file
from yogo_jax.weights import parameter_shapes, save_weights

FAST = {"codec": "libx264", "preset": "ultrafast", "tile": (48, 64), "overlap": 8}


def midpoints(times):
    return [t for a, b in itertools.pairwise(times) for t in (a, (a + b) / 2)] + times[-1:]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 9])
def test_every_number_of_frames(tmp_path, bicubic, pictures, make_video, probe, count):
    source = make_video(tmp_path / "in.mp4", pictures(count))
    summary = upscale_file(source, tmp_path / "out.mp4", bicubic, Options(**FAST))
    before, after = probe(source), probe(tmp_path / "out.mp4")
    assert after.times == midpoints(before.times)
    assert (summary.frames_in, summary.frames_out) == (count, 2 * count - 1)
    assert (after.frames[0].width, after.frames[0].height) == (256, 192)
    assert abs(after.duration - before.duration) <= Fraction(1, 25)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_varying_rate_with_b_frames_and_a_late_start(tmp_path, bicubic, pictures, make_video, probe, ending):
    times = [6400, 6912, 7500, 9000, 9001, 9700, 15000, 15512, 16024, 20000, 20512]
    source = make_video(tmp_path / "in.mp4", pictures(11), times, options={"bf": "3"}, audio="aac")
    upscale_file(source, tmp_path / f"out.{ending}", bicubic, Options(**FAST))
    before, after = probe(source), probe(tmp_path / f"out.{ending}")
    assert before.times == [Fraction(time, 12800) for time in times]
    if ending == "mp4":
        assert after.times == midpoints(before.times)
    else:  # Matroska counts milliseconds
        assert max(abs(a - b) for a, b in zip(after.times, midpoints(before.times), strict=True)) <= Fraction(1, 2000)
    sound_before, sound_after = before.packets["audio1"], after.packets["audio1"]
    dropped = len(sound_before) - len(sound_after)  # the encoder's run-up, in Matroska
    assert dropped in (0, 1)
    assert [data for _, data in sound_after] == [data for _, data in sound_before[dropped:]]
    shifts = [abs(a - b) for (a, _), (b, _) in zip(sound_after, sound_before[dropped:], strict=True)]
    assert max(shifts) <= (0 if ending == "mp4" else Fraction(1, 1000))


def test_an_edit_list_hides_what_it_hides(tmp_path, bicubic, pictures, make_video, probe):
    """What a lossless cutter writes: the file begins at a keyframe, and its edit list says to show it from later on."""
    images = pictures(12)
    whole = make_video(tmp_path / "whole.mp4", images, audio="aac", options={"g": "12", "bf": "2"})
    cut = tmp_path / "cut.mp4"
    hidden = Fraction(5, 25)
    with av.open(str(whole)) as source, av.open(str(cut), "w", options={"avoid_negative_ts": "disabled"}) as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None and packet.pts is not None:
                packet.stream = streams[packet.stream.index]
                packet.pts -= round(hidden / packet.time_base)
                packet.dts -= round(hidden / packet.time_base)
                target.mux(packet)
    assert b"elst" in cut.read_bytes()
    shown = probe(cut)
    assert len(shown.times) == 7  # as FFmpeg shows it
    upscale_file(cut, tmp_path / "out.mp4", bicubic, Options(**FAST))
    out = probe(tmp_path / "out.mp4")
    assert out.times == midpoints(shown.times)
    assert abs(out.duration - shown.duration) <= Fraction(1, 25)


@pytest.mark.parametrize("box", [b"mvhd", b"tkhd", b"mdhd"])
def test_a_huge_claimed_duration_is_no_more_than_a_claim(tmp_path, bicubic, pictures, make_video, probe, box):
    path = make_video(tmp_path / "in.mp4", pictures(5))
    data = bytearray(path.read_bytes())
    place = data.index(box) + 4 + {b"mvhd": 16, b"tkhd": 20, b"mdhd": 16}[box]  # of its duration, in version 0
    data[place : place + 4] = b"\x7f\xff\xff\xff"
    path.write_bytes(data)
    summary = upscale_file(path, tmp_path / "out.mp4", bicubic, Options(**FAST))
    assert summary.frames_out == 9
    assert probe(tmp_path / "out.mp4").times[-1] < 1


def test_only_a_part(tmp_path, bicubic, pictures, make_video, probe):
    source = make_video(tmp_path / "in.mp4", pictures(40), audio="aac", options={"g": "10"})
    upscale_file(source, tmp_path / "out.mp4", bicubic, Options(**FAST, start=0.6, end=1.0))
    after = probe(tmp_path / "out.mp4")
    assert after.times == midpoints([Fraction(i, 25) for i in range(10)])
    sound = after.packets["audio1"]
    whole = probe(source).packets["audio1"]
    assert [data for _, data in sound] == [
        data for time, data in whole if Fraction(3, 5) - Fraction(1024, 48000) < time < 1
    ]
    assert sound[0][0] == next(time for time, data in whole if data == sound[0][1]) - Fraction(3, 5)


def test_a_network_of_another_rate(tmp_path, nearest, pictures, make_video, probe):
    """Two new frames between each two, a third of the way and two thirds."""
    thrice = Network(lambda frames: jnp.repeat(nearest.apply(frames)[:, ::2], 3, 1)[:, :-2], "thrice", rate=3)
    source = make_video(tmp_path / "in.mp4", pictures(6), [0, 512, 1024, 2000, 2001, 3000], audio="aac")
    summary = upscale_file(source, tmp_path / "out.mp4", thrice, Options(**FAST))
    before, after = probe(source), probe(tmp_path / "out.mp4")
    thirds = [a + k * (b - a) / 3 for a, b in itertools.pairwise(before.times) for k in range(3)]
    assert after.times == [*thirds, before.times[-1]]
    assert summary.frames_out == 16
    assert [data for _, data in after.packets["audio1"]] == [data for _, data in before.packets["audio1"]]


def test_any_rate_with_tmnet_and_twice_with_the_others(tmp_path):
    small = {"filters": 8, "groups": 2, "fe_blocks": 1}
    for config in (TMNetConfig(**small, recon_blocks=1), YOGOConfig(**small)):
        shapes = parameter_shapes(config)
        params = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        save_weights(tmp_path / f"{config.network}.safetensors", config, unflatten_dict(params, sep="/"))
    network = load_network(tmp_path / "tmnet.safetensors", rate=4)
    frames = jax.ShapeDtypeStruct((1, 4, 8, 8, 3), np.float32)
    assert jax.eval_shape(network.apply, frames).shape == (1, network.outputs, 32, 32, 3)
    assert network.outputs == 13
    with pytest.raises(UserError, match="a rate of 2"):
        load_network(tmp_path / "yogo.safetensors", rate=4)


def test_scale_only_and_rate_only(tmp_path, bicubic, pictures, make_video, probe):
    source = make_video(tmp_path / "in.mp4", pictures(6))
    before = probe(source)
    upscale_file(source, tmp_path / "scale.mp4", bicubic, Options(**FAST, scale_only=True))
    scaled = probe(tmp_path / "scale.mp4")
    assert scaled.times == before.times
    assert scaled.frames[0].width == 256
    upscale_file(source, tmp_path / "rate.mp4", bicubic, Options(**FAST, rate_only=True))
    doubled = probe(tmp_path / "rate.mp4")
    assert doubled.times == midpoints(before.times)
    assert doubled.frames[0].width == 64
