"""The plan of windows against a statement of what each output must show, on random streams."""

from fractions import Fraction

import numpy as np
import pytest

from yogo_jax.video.frames import Frame
from yogo_jax.video.windows import windows


def stream(count, rng, cut=0.0, duplicate=0.0):
    """Frames whose image is the number of their picture, and the picture and shot of each."""
    frames, picture, shot, pts = [], -1, 0, int(rng.integers(-5, 5))
    for i in range(count):
        is_cut = i > 0 and rng.random() < cut
        is_same = i > 0 and not is_cut and rng.random() < duplicate
        picture, shot = picture + (not is_same), shot + is_cut
        frames.append((Frame(np.full((1, 1, 3), picture), pts, 7, cut=is_cut, duplicate=is_same), picture, shot))
        pts += int(rng.integers(1, 9))
    return frames


def shown(window, index, rate):
    """The picture at an index of a window's result, as the network would see it: fractions are between two."""
    pictures = [int(image.flat[0]) for image in window.images]
    before, part = divmod(index, rate)
    after = pictures[min(before + 1, len(pictures) - 1)]
    return pictures[before] + Fraction(part, rate) * (after - pictures[before])


@pytest.mark.parametrize("rate", [2, 3])
@pytest.mark.parametrize("size", [2, 3, 4, 5])
@pytest.mark.parametrize(("cut", "duplicate"), [(0, 0), (0.3, 0), (0, 0.4), (0.2, 0.3)])
def test_every_output_once_in_order(size, cut, duplicate, rate):
    rng = np.random.default_rng(1)
    for count in [1, 2, 3, 4, 5, 7, 8, 9, 30]:
        frames = stream(count, rng, cut, duplicate)
        expected = []
        for (frame, picture, shot), after in zip(frames, [*frames[1:], None], strict=True):
            gap = rate * frame.duration if after is None else after[0].pts - frame.pts
            expected.append((rate * frame.pts, gap, picture, False))
            if after is not None:
                following = after[1] if after[2] == shot else picture
                for part in range(1, rate):
                    between = picture + Fraction(part, rate) * (following - picture)
                    expected.append((rate * frame.pts + part * gap, gap, between, True))
        parts = list(windows((frame for frame, _, _ in frames), size, rate=rate))
        found = [(o.pts, o.duration, shown(part, o.index, rate), o.made) for part in parts for o in part.outputs]
        assert found == expected
        assert all(len(part.images) == size for part in parts)


def test_windows_overlap_by_one_and_the_last_reaches_back():
    frames = [frame for frame, _, _ in stream(9, np.random.default_rng(0))]
    parts = list(windows(frames, 4))
    assert [[int(image.flat[0]) for image in part.images] for part in parts] == [
        [0, 1, 2, 3],
        [3, 4, 5, 6],
        [5, 6, 7, 8],
    ]
    assert [[output.index for output in part.outputs] for part in parts] == [
        list(range(7)),
        [1, 2, 3, 4, 5, 6],
        [3, 4, 5, 6],
    ]


def test_known_frames_alone():
    frames = [frame for frame, _, _ in stream(6, np.random.default_rng(0))]
    outputs = [output for part in windows(frames, 4, made=False) for output in part.outputs]
    assert [output.pts for output in outputs] == [2 * frame.pts for frame in frames]
    assert [a.pts + a.duration for a in outputs[:-1]] == [b.pts for b in outputs[1:]]
    assert not any(output.made or output.index % 2 for output in outputs)


def test_a_still_hour_does_not_pile_up():
    def still():
        for i in range(20_000):
            yield Frame(np.zeros((1, 1, 3)), i, 1, duplicate=i > 0)

    parts = windows(still(), 4)
    longest = max(len(part.outputs) for part in parts)
    assert longest < 2500
