"""Footage small enough to be made anew for every run."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from data_pipelines.vid4 import CLIPS


def scene(seed: int, frames: int, height: int, width: int) -> np.ndarray:
    """[T, H, W, 3] uint8: smooth random texture that moves by two pixels a frame."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8))
    texture = np.asarray(coarse.resize((width + 2 * frames, height), Image.Resampling.BICUBIC))
    return np.stack([texture[:, 2 * t : 2 * t + width] for t in range(frames)])


def write_images(folder: Path, frames: np.ndarray, name: str = "{:05d}.png", first: int = 0) -> None:
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames, first):
        Image.fromarray(frame).save(folder / name.format(number))


def write_video(path: Path, frames: np.ndarray) -> None:
    """Lossless H.264."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=Fraction(25), options={"qp": "0"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "rgb24"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture(scope="session", name="scene")
def scene_fixture():
    """The function that draws footage."""
    return scene


@pytest.fixture(scope="session")
def footage(tmp_path_factory) -> Path:
    """Two folders of images and a video with a cut between its frames 17 and 18."""
    folder = tmp_path_factory.mktemp("footage")
    write_images(folder / "park/tree", scene(1, 16, 50, 72))
    write_images(folder / "park/dog", scene(2, 9, 48, 64))
    write_video(folder / "cut.mp4", np.concatenate([scene(3, 18, 64, 96), scene(4, 16, 64, 96)]))
    (folder / "LICENSE").write_text("not a clip")
    return folder


@pytest.fixture(scope="session")
def archive(tmp_path_factory) -> Path:
    """Vimeo90K with three septuplets for training and five for testing."""
    folder = tmp_path_factory.mktemp("vimeo")
    train = ["00001/0001", "00001/0002", "00002/0001"]
    test = ["00002/0002", "00002/0003", "00003/0001", "00003/0002", "00003/0003"]
    for seed, name in enumerate(train + test):
        write_images(folder / "sequences" / name, scene(seed, 7, 256, 448), "im{}.png", first=1)
    (folder / "sep_trainlist.txt").write_text("\n".join(train) + "\n")
    (folder / "sep_testlist.txt").write_text("\n".join(test) + "\n\n")  # as the official ones end
    (folder / "fast.txt").write_text(test[0] + "\n")
    (folder / "medium.txt").write_text("\n".join(test[1:3]) + "\n")
    (folder / "slow.txt").write_text(test[3] + "\n")
    return folder


@pytest.fixture(scope="session")
def vid4(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("vid4")
    for seed, (name, count) in enumerate(CLIPS.items()):
        write_images(folder / name, scene(seed, count, 8, 12), first=1)
    return folder
