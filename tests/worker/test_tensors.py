"""Store arrays and tensors, and get them back as they were. Needs numpy and torch, or is skipped."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import msgspec
import pytest

from makeway.errors import InvalidInput
from makeway.model.record import Output
from makeway.store.blobs import Blobs
from makeway.worker.artifact import Model
from makeway.worker.values import decode, encode
from tests.project import Project

np: Any = pytest.importorskip("numpy")
torch: Any = pytest.importorskip("torch")


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path)


def there_and_back(value: object, blobs: Blobs) -> tuple[Output, Any]:
    output = encode(value, blobs)
    assert encode(value, blobs) == output
    return output, decode(output, blobs.root.parent)


# ── numpy ───────────────────────────────────────────────────────────────────────────────────────────

ARRAYS = [
    np.arange(6).reshape(2, 3), np.array(3.5), np.zeros((0, 3)), np.array([]), np.array([True]),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(10)[::3], np.arange(3, dtype=">i4"),
    np.array(["a", "bc"]), np.array([b"a"]), np.array([np.nan, -0.0, np.inf]),
    np.array(["2024-01-01", "NaT"], dtype="M8[ns]"), np.array([1], dtype="m8[s]"),
    np.array([(1, "a")], dtype=[("x", "i4"), ("name", "U3")]), np.array([1 + 2j]),
    np.array([1], dtype=np.float16), np.zeros((1, 2, 3, 4, 5)), np.void(b"abc").reshape(1),
]  # fmt: skip


@pytest.mark.parametrize("array", ARRAYS, ids=range(len(ARRAYS)))
def test_an_array_comes_back_with_dtype_shape_and_order(blobs: Blobs, array: Any) -> None:
    output, back = there_and_back(array, blobs)
    assert output.codec == "numpy"
    assert type(back) is np.ndarray
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.flags.f_contiguous == array.flags.f_contiguous or not array.flags.contiguous
    assert back.flags.writeable
    assert back.tobytes("A") == np.array(array, order="K").tobytes("A")


OTHERS = [
    np.array([None, "a"]), np.array([{"a": 1}]), np.array([("a", 1)], dtype=[("o", "O"), ("i", "i4")]),
    np.ma.array([1, 2], mask=[True, False]), np.rec.array([(1, 2)], dtype=[("a", "i4"), ("b", "i4")]),
    np.array(["a", "long"], dtype=np.dtypes.StringDType()), np.float64(1.5), np.int64(3), np.bool_(True),
    np.str_("a"), np.datetime64("2024-01-01"), [np.arange(3), 1], {"a": np.arange(3), "b": None},
    {"layer.0": np.arange(3)}, OrderedDict(a=np.arange(3)), (np.arange(3), np.arange(2)),
    np.array([1], dtype=np.dtype("i4", metadata={"unit": "s"})),
]  # fmt: skip


@pytest.mark.parametrize("value", OTHERS, ids=range(len(OTHERS)))
def test_what_numpys_format_does_not_keep_is_pickled(blobs: Blobs, value: Any) -> None:
    output, back = there_and_back(value, blobs)
    assert output.codec == "pickle"
    assert type(back) is type(value)
    assert repr(back) == repr(value)


def test_a_dict_of_arrays_comes_back_in_its_order(blobs: Blobs) -> None:
    value = {"train": np.arange(3), "a" * 300: np.zeros(0), "größe": np.array(1)}
    output, back = there_and_back(value, blobs)
    assert output.codec == "numpy-dict"
    assert list(back) == list(value)
    assert all(np.array_equal(back[name], value[name]) for name in value)


# ── torch ───────────────────────────────────────────────────────────────────────────────────────────

TENSORS = [
    torch.arange(6).reshape(2, 3), torch.tensor(1.5), torch.zeros(0), torch.ones(3, dtype=torch.bfloat16),
    torch.tensor([True]), torch.tensor([1 + 2j]), torch.ones(2, requires_grad=True),
    torch.nn.Parameter(torch.ones(2)), torch.arange(6).reshape(2, 3).T, torch.ones(3).to_sparse(),
    torch.ones(3, dtype=torch.float16), torch.arange(1000)[:2], torch.ones(2, requires_grad=True) * 2,
]  # fmt: skip


@pytest.mark.parametrize("tensor", TENSORS, ids=range(len(TENSORS)))
def test_a_tensor_comes_back_with_dtype_and_shape(blobs: Blobs, tensor: Any) -> None:
    output, back = there_and_back(tensor, blobs)
    assert output.codec == "torch"
    assert type(back) is type(tensor)
    assert (back.dtype, back.shape, back.layout) == (tensor.dtype, tensor.shape, tensor.layout)
    assert torch.equal(back.to_dense(), tensor.to_dense())


@pytest.mark.parametrize(
    "value",
    [
        (torch.ones(2), torch.zeros(1)), [torch.ones(1), None, "a"], {"w": torch.ones(1), "epoch": 3},
        {0: (torch.ones(1), [torch.zeros(1)])}, {"deep": {"er": torch.ones(1)}}, {(1, 2): torch.ones(1)},
    ],
    ids=range(6),
)  # fmt: skip
def test_tensors_in_lists_tuples_and_dicts_come_back_as_they_were(blobs: Blobs, value: Any) -> None:
    output, back = there_and_back(value, blobs)
    assert output.codec == "torch"
    assert type(back) is type(value)
    assert repr(back) == repr(value)


def test_a_part_of_a_large_tensor_is_stored_without_the_rest(blobs: Blobs) -> None:
    large = torch.arange(1_000_000)
    output, back = there_and_back({"first": large[:3]}, blobs)
    assert output.size_bytes < 10_000
    assert back["first"].tolist() == [0, 1, 2]
    assert encode({"first": torch.arange(3)}, blobs).digest == output.digest


def test_a_state_dict_can_be_loaded_into_its_module(blobs: Blobs) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    output, state = there_and_back(module.state_dict(), blobs)
    assert output.codec == "torch"
    assert isinstance(state, OrderedDict)
    fresh = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    assert str(fresh.load_state_dict(state)) == "<All keys matched successfully>"
    assert torch.equal(fresh[0].weight, module[0].weight)


def test_tied_weights_stay_tied(blobs: Blobs) -> None:
    weight = torch.ones(3)
    back = there_and_back({"in": weight, "out": weight}, blobs)[1]
    back["in"][0] = 7
    assert back["out"][0] == 7


class Settings:
    """A class that weights_only would not read."""


@pytest.mark.parametrize(
    "value",
    [
        {"w": torch.ones(1), "settings": Settings()}, {"w": torch.ones(1), "a": np.ones(1)},
        [torch.ones(1), {1, 2}], {"dtype": torch.float32, "w": torch.ones(1)}, torch.Size([1, 2]),
        OrderedDict(a=Settings(), w=torch.ones(1)), {"w": torch.ones(1), "path": Path("a")},
    ],
    ids=range(7),
)  # fmt: skip
def test_tensors_beside_other_objects_are_pickled(blobs: Blobs, value: Any) -> None:
    output, back = there_and_back(value, blobs)
    assert output.codec == "pickle"
    assert type(back) is type(value)


def test_a_module_of_the_flow_file_comes_back_and_can_be_called(project: Project) -> None:
    text = """
        import makeway as mw
        import torch

        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = torch.nn.Linear(2, 1)

            def forward(self, x):
                return self.layer(x)

        torch.manual_seed(1)

        @mw.step
        def use(net): ...

        @mw.workflow
        def main():
            use(Net())
    """
    stored = project.step(text).arguments["net"]
    net = decode(stored.output, project.store)  # type: ignore[union-attr]  # a stored constant
    assert net(torch.ones(1, 2)).shape == (1, 1)  # type: ignore[operator]  # a module


def test_an_optimizers_state_comes_back(blobs: Blobs) -> None:
    module = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = there_and_back(optimizer.state_dict(), blobs)[1]
    torch.optim.Adam(module.parameters()).load_state_dict(state)


def test_numbers_of_numpy_and_torch_are_metrics(blobs: Blobs) -> None:
    metrics = {
        "a": np.float64(0.5),
        "b": np.float32(0.25),
        "c": torch.tensor(2.0),
        "d": np.int64(3),
    }
    output = encode(Model("m", metrics, value=1), blobs)
    assert output.metrics == {"a": 0.5, "b": 0.25, "c": 2.0, "d": 3.0}
    assert msgspec.json.decode(msgspec.json.encode(output), type=Output) == output
    with pytest.raises(InvalidInput, match="which is not a number"):
        Model("m", {"a": torch.ones(2)})
