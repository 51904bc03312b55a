"""What is recorded once and replayed is what the function itself gives."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from metanas.errors import ConfigError, RunError
from metanas.objective import Classification, Mean
from metanas.params import MetaParams
from metanas.recorder import Recorder, check_engine, flatten, is_recorded, rebuild
from metanas.relax.fixed import Fixed
from metanas.relax.softmax import Softmax
from metanas.spaces.fewshot import FewShot
from tasks.episode import Batch, TaskSpec

NET = FewShot(2, 1).supernet(TaskSpec(3, 1, 1, (1, 8, 8)))
LOSS = Classification(NET, Softmax(), torch.tensor(2.0), {"normal": torch.ones(2, 8)})


class TestForm:
    def test_is_rebuilt_as_it_was(self) -> None:
        value = (
            Mean([LOSS, LOSS]),
            MetaParams({"w": torch.ones(2)}, {}),
            Batch(torch.ones(1), torch.zeros(1)),
            [3, "a"],
        )
        tensors, form = flatten(value)
        assert len(tensors) == 7
        assert rebuild(form, tensors) == value

    def test_takes_other_tensors(self) -> None:
        _, form = flatten({"a": torch.ones(2), "b": (torch.ones(1), 5)})
        assert rebuild(form, [torch.zeros(1), torch.ones(3)])["b"][0].shape == (3,)

    def test_is_one_for_all_values_of_tensors_and_another_for_other_objects(self) -> None:
        assert flatten(LOSS)[1] == flatten(replace(LOSS, temperature=torch.tensor(3.0)))[1]
        assert flatten(LOSS)[1] != flatten(replace(LOSS, rest_arch=True))[1]
        assert flatten(LOSS)[1] != flatten(replace(LOSS, relaxation=Softmax(sample=True)))[1]
        gates = [Fixed({"normal": torch.full((2, 8), value)}) for value in (0.0, 1.0)]
        assert flatten(gates[0])[1] == flatten(gates[1])[1]

    def test_refuses_what_it_cannot_tell_apart(self) -> None:
        with pytest.raises(TypeError, match="a set has no place in recorded work"):
            flatten({"a": {1, 2}})


class TestEngine:
    def test_auto_records_on_a_gpu_alone(self) -> None:
        assert not is_recorded("auto", torch.device("cpu"))
        assert is_recorded("auto", torch.device("cuda"))
        assert not is_recorded("plain", torch.device("cuda"))
        assert not is_recorded("higher", torch.device("cuda"))

    def test_a_graph_without_a_gpu_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"engine=graph .* needs a GPU, got device=cpu; take engine=auto"):
            check_engine("graph", torch.device("cpu"))


def square(x: Tensor, more: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    leaf = x.detach().requires_grad_()
    value = (leaf * leaf * more["factor"]).sum()
    return value.detach(), torch.autograd.grad(value, leaf)[0]


@pytest.mark.gpu
class TestRecorder:
    @pytest.fixture(autouse=True)
    def _there(self) -> None:
        if not torch.cuda.is_available():
            pytest.skip("torch sees no GPU")

    def test_gives_what_the_function_gives_for_new_values_and_shapes(self) -> None:
        record = Recorder()
        for size in (3, 3, 5, 3):
            x, more = torch.rand(size, device="cuda"), {"factor": torch.rand((), device="cuda")}
            for found, expected in zip(record("square", square, x, more), square(x, more), strict=True):
                assert torch.equal(found, expected)

    def test_what_it_gave_is_not_changed_by_the_next_call(self) -> None:
        record, more = Recorder(), {"factor": torch.ones((), device="cuda")}
        first = record("square", square, torch.ones(4, device="cuda"), more)
        before = [each.clone() for each in first]
        record("square", square, torch.zeros(4, device="cuda"), more)
        assert all(torch.equal(a, b) for a, b in zip(first, before, strict=True))

    def test_forgets_what_was_not_called_for_longest(self) -> None:
        record, more = Recorder(most=2), {"factor": torch.ones((), device="cuda")}
        for size in (1, 2, 3, 1):
            x = torch.full((size,), 2.0, device="cuda")
            assert record("square", square, x, more)[0].item() == 4 * size

    def test_a_look_at_a_value_is_refused(self) -> None:
        with pytest.raises(RunError, match=r"cannot be recorded as a CUDA graph .*; set inner.engine=plain"):
            Recorder()("item", lambda x: x * x.sum().item(), torch.ones(2, device="cuda"))
        assert torch.ones(2, device="cuda").sum().item() == 2
