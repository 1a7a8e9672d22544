import shutil
from typing import Any

import pytest
import torch

from vae import device
from vae.device import channels_last, compiled, fastest_convolutions, host_memory, to_host

GPU = torch.device("cuda")  # to name one needs none
double: Any = torch.nn.Identity()


def test_functions_are_compiled_on_a_gpu_with_triton_and_a_c_compiler_alone(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: (function, dynamic))
    monkeypatch.setattr(device, "find_spec", lambda name: object() if name == "triton" else None)
    monkeypatch.setattr(shutil, "which", lambda name: "found" if name == "gcc" else None)
    assert compiled(double, GPU) == (double, False)
    assert compiled(double, GPU, wanted=False) is double
    assert compiled(double, torch.device("cpu")) is double
    with monkeypatch.context() as patch:
        patch.setattr(device, "find_spec", lambda name: None)
        assert compiled(double, GPU) is double
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert compiled(double, GPU) is double


def test_a_compiler_that_the_environment_names_counts(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: "compiled")
    monkeypatch.setattr(device, "find_spec", lambda name: object())
    monkeypatch.setattr(shutil, "which", lambda name: "found" if name == "my-cc" else None)
    assert compiled(double, GPU) is double
    monkeypatch.setenv("CC", "my-cc")
    assert compiled(double, GPU) == "compiled"


def test_convolutions_are_tried_for_the_fastest_kernel_inside_alone(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    for before in (False, True):
        torch.backends.cudnn.benchmark = before
        with fastest_convolutions():
            assert torch.backends.cudnn.benchmark
        assert torch.backends.cudnn.benchmark == before


def test_what_lies_on_the_cpu_is_not_copied_to_it():
    numbers = torch.arange(6.0).view(2, 3)
    assert to_host(numbers)() is numbers
    assert not host_memory((2, 3), "cpu").is_pinned()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_numbers_on_a_gpu_come_to_the_cpu_as_they_were_when_they_were_asked_for():
    numbers = torch.arange(2**20, device=GPU)
    copied = to_host(numbers)
    numbers.zero_()
    assert host_memory((2, 3), GPU).is_pinned()
    assert torch.equal(copied(), torch.arange(2**20))


def test_only_tensors_of_four_dimensions_go_to_the_channels_last_format():
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Conv3d(2, 4, 3), torch.nn.Conv2d(3, 8, 1))
    places = torch.randn(1, 3, 1, 4, 4)
    module.register_buffer("places", places)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    assert channels_last(module, "cpu") is module
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    kernel, cube, flat = (tensor for name, tensor in module.named_parameters() if name.endswith("weight"))
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    assert isinstance(kernel, torch.nn.Parameter)
    assert cube.stride() == before["1.weight"].stride()
    assert flat.stride() == torch.nn.Conv2d(3, 8, 1).weight.to(memory_format=torch.channels_last).stride()
