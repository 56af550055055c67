"""`yogo convert`, file to file."""

import dataclasses
import json
import pickle

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from yogo_jax.cli import main
from yogo_jax.convert import checkpoint, state_dict, to_flax, torch_shapes
from yogo_jax.errors import UserError
from yogo_jax.model.config import YOGOConfig
from yogo_jax.weights import load_weights, save_weights

CONFIG = YOGOConfig(filters=8, groups=4, fe_blocks=2, frb_backward=1, frb_forward=1, hfbs=1)


@pytest.fixture(scope="module")
def tensors():
    rng = np.random.default_rng(0)
    return {name: rng.random(shape, np.float32) for name, shape in torch_shapes(CONFIG).items()}


def convert(*args):
    return main(["convert", *map(str, args)])


def assert_holds(path, tensors):
    config, params = load_weights(path)
    assert config == CONFIG
    jax.tree.map(np.testing.assert_array_equal, params, to_flax(tensors, CONFIG))


def test_safetensors_to_jax_and_back_without_pytorch(tensors, tmp_path):
    save_file(tensors, tmp_path / "torch.safetensors")
    assert convert(tmp_path / "torch.safetensors", tmp_path / "jax.safetensors") == 0
    assert_holds(tmp_path / "jax.safetensors", tensors)
    assert convert(tmp_path / "jax.safetensors", tmp_path / "back.safetensors") == 0
    with pytest.raises(UserError, match="PyTorch's names"):
        load_weights(tmp_path / "back.safetensors")
    back = load_file(tmp_path / "back.safetensors")
    assert back.keys() == tensors.keys()
    for name in tensors:
        np.testing.assert_array_equal(back[name], tensors[name])


def test_the_config_crosses_in_safetensors(tensors, tmp_path):
    config = dataclasses.replace(CONFIG, cell_order="fru_dfu", image_skip="interpolate")
    save_weights(tmp_path / "jax.safetensors", config, to_flax(tensors, CONFIG))
    convert(tmp_path / "jax.safetensors", tmp_path / "torch.safetensors")
    convert(tmp_path / "torch.safetensors", tmp_path / "again.safetensors")
    assert load_weights(tmp_path / "again.safetensors")[0] == config


@pytest.mark.parametrize("wrap", ["plain", "module", "trainer", "ema_wins", "averaged", "half", "bfloat16"])
def test_wrappers_are_looked_through(tensors, tmp_path, wrap):
    torch = pytest.importorskip("torch")
    exact = {name: array.astype(np.float16).astype(np.float32) for name, array in tensors.items()}
    own = {name: torch.from_numpy(array) for name, array in exact.items()}
    other = {name: tensor + 1 for name, tensor in own.items()}
    content = {
        "plain": own,
        "module": {f"module.{name}": tensor for name, tensor in own.items()},
        "trainer": {"epoch": 3, "state_dict": own, "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}},
        "ema_wins": {"params": other, "params_ema": own},
        "averaged": {"n_averaged": torch.tensor(7), **{f"module.{name}": tensor for name, tensor in own.items()}},
        "half": {name: tensor.half() for name, tensor in own.items()},
        "bfloat16": {name: tensor.bfloat16() for name, tensor in own.items()},
    }[wrap]
    torch.save(content, tmp_path / "weights.pth")
    assert convert(tmp_path / "weights.pth", tmp_path / "jax.safetensors") == 0
    if wrap == "bfloat16":
        exact = {name: tensor.float().numpy() for name, tensor in content.items()}
    assert_holds(tmp_path / "jax.safetensors", exact)


def test_two_copies_side_by_side(tensors, tmp_path, capsys):
    both = {f"{copy}.{name}": array + n for n, copy in enumerate(("a", "b")) for name, array in tensors.items()}
    save_file(both, tmp_path / "torch.safetensors")
    assert convert(tmp_path / "torch.safetensors", tmp_path / "jax.safetensors") == 2
    assert "--key" in capsys.readouterr().err
    assert convert(tmp_path / "torch.safetensors", tmp_path / "jax.safetensors", "--key", "a") == 0
    assert_holds(tmp_path / "jax.safetensors", tensors)


def test_pytorch_loads_what_is_written(network, tensors, tmp_path):
    torch = pytest.importorskip("torch")
    save_weights(tmp_path / "jax.safetensors", CONFIG, to_flax(tensors, CONFIG))
    assert convert(tmp_path / "jax.safetensors", tmp_path / "weights.pth") == 0
    module = network(CONFIG)
    module.load_state_dict(torch.load(tmp_path / "weights.pth", weights_only=True))
    for name, parameter in module.named_parameters():
        np.testing.assert_array_equal(parameter.detach().numpy(), tensors[name])


def test_orbax_there_and_back(tensors, tmp_path):
    save_file(tensors, tmp_path / "torch.safetensors")
    assert convert(tmp_path / "torch.safetensors", tmp_path / "run") == 0
    config, params = checkpoint.read(tmp_path / "run")
    assert config == CONFIG
    jax.tree.map(np.testing.assert_array_equal, params, to_flax(tensors, CONFIG))
    assert convert(tmp_path / "run", tmp_path / "back.safetensors", "--to", "torch") == 0
    np.testing.assert_array_equal(load_file(tmp_path / "back.safetensors")["HRconv.weight"], tensors["HRconv.weight"])
    assert convert(tmp_path / "torch.safetensors", tmp_path / "run") == 2, "a directory that is not empty"


def test_a_mismatch_is_reported_whole_and_nothing_written(tensors, tmp_path, capsys):
    wrong = {name: array for name, array in tensors.items() if name != "HRconv.bias"}
    save_file(wrong | {"extra.weight": np.zeros(3, np.float32)}, tmp_path / "torch.safetensors")
    assert convert(tmp_path / "torch.safetensors", tmp_path / "jax.safetensors") == 1
    error = capsys.readouterr().err
    assert "HRconv.bias" in error
    assert "extra.weight" in error
    assert not (tmp_path / "jax.safetensors").exists()


def test_a_dry_run_writes_nothing(tensors, tmp_path, capsys):
    save_file(tensors, tmp_path / "torch.safetensors")
    assert convert(tmp_path / "torch.safetensors", tmp_path / "jax.safetensors", "--dry-run") == 0
    assert not (tmp_path / "jax.safetensors").exists()
    assert f"{len(tensors)} tensors" in capsys.readouterr().out


def test_renaming(tensors, tmp_path, capsys):
    theirs = {name.replace("feature_extraction.", "body."): array for name, array in tensors.items()}
    save_file(theirs, tmp_path / "theirs.safetensors")
    (tmp_path / "names").write_text("# their names\n\nbody\\.(.*) -> feature_extraction.\\1\n")
    rename = ("--rename-file", tmp_path / "names")
    assert convert(tmp_path / "theirs.safetensors", tmp_path / "jax.safetensors", *rename) == 0
    assert_holds(tmp_path / "jax.safetensors", tensors)
    (tmp_path / "names").write_text("body\\.(.* -> x\n")
    assert convert(tmp_path / "theirs.safetensors", tmp_path / "jax.safetensors", *rename) == 2
    assert "line 1" in capsys.readouterr().err
    (tmp_path / "names").write_text("conv_first.* -> same\n")
    assert convert(tmp_path / "theirs.safetensors", tmp_path / "jax.safetensors", *rename) == 2
    assert "two tensors would be called same" in capsys.readouterr().err


class Hostile:
    def __reduce__(self):
        return print, ("code of a weight file ran",)


def test_code_in_a_file_is_not_run(tmp_path, capsys):
    pytest.importorskip("torch")
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Hostile(), protocol=2))
    assert convert(tmp_path / "evil.pth", tmp_path / "jax.safetensors") == 2
    captured = capsys.readouterr()
    assert "ran" not in captured.out
    assert "state_dict()" in captured.err


def test_damaged_files_are_one_line(tensors, tmp_path):
    """A byte changed or the end cut off, in both of PyTorch's formats: a state dict all the same, or a line."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    small = {"conv_first.weight": torch.zeros(1, 3, 3, 3), "conv_first.bias": torch.zeros(1)}
    refused = []
    for zipped in (True, False):
        torch.save(small, tmp_path / "whole.pth", _use_new_zipfile_serialization=zipped)
        whole = (tmp_path / "whole.pth").read_bytes()
        for _ in range(60):
            data = bytearray(whole)
            data[rng.integers(len(data))] = rng.integers(256)
            (tmp_path / "damaged.pth").write_bytes(
                data[: rng.integers(1, len(data) + 1)] if rng.random() < 0.3 else data
            )
            try:
                state_dict.read(tmp_path / "damaged.pth")
            except UserError as error:
                refused.append(str(error))
    assert len(refused) > 10
    assert all("damaged.pth" in line and "\n" not in line for line in refused)


@pytest.mark.parametrize("strange", ["meta", "scalar", "not finite"])
def test_strange_tensors_are_named(tensors, tmp_path, capsys, strange):
    torch = pytest.importorskip("torch")
    name = "forward_cell.fusion.weight"
    own = {key: torch.from_numpy(array) for key, array in tensors.items()}
    own[name] = {
        "meta": torch.empty(2, 2, device="meta"),
        "scalar": torch.tensor(1.0),
        "not finite": own[name] * float("nan"),
    }[strange]
    torch.save(own, tmp_path / "weights.pth")
    assert convert(tmp_path / "weights.pth", tmp_path / "jax.safetensors") in (1, 2)
    assert name in capsys.readouterr().err
    assert not (tmp_path / "jax.safetensors").exists()


def test_our_own_files_take_no_key(tensors, tmp_path, capsys):
    save_weights(tmp_path / "jax.safetensors", CONFIG, to_flax(tensors, CONFIG))
    assert convert(tmp_path / "jax.safetensors", tmp_path / "back.safetensors", "--to", "torch", "--key", "ema") == 2
    assert "takes no --key" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.pth", None, "no such"),
        ("weights.txt", b"x", "ends in"),
        ("noise.safetensors", b"not this", "readable"),
        ("noise.pth", b"not this either", "PyTorch|code"),
        ("config.safetensors", json.dumps({}).encode(), "readable"),
    ],
)
def test_unreadable_files(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    if name.endswith("pth"):
        pytest.importorskip("torch")
    with pytest.raises(UserError, match=message):
        state_dict.read(tmp_path / name)
