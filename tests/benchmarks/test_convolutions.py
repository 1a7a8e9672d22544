"""The convolutions that `benchmarks/convolutions.py` times are those of a training step."""

import pytest
import torch

from vae import VAEConfig, build_vae


@pytest.fixture(scope="module")
def vae():
    return build_vae(VAEConfig(32, 8, "small"), seed=0)


def test_their_operations_are_those_of_the_step_but_for_its_linear_layers(benchmark, vae):
    found = benchmark("convolutions").convolutions_of(vae)
    counted = sum(times * case.operations for case, times in found.items())
    linear = sum(part.weight.numel() for part in vae.modules() if hasattr(part, "in_features"))
    assert counted + 3 * 2 * linear == pytest.approx(benchmark("operations").of_training(vae), rel=1e-6)


def test_each_convolution_is_timed_and_its_bound_is_the_slower_of_both(benchmark, vae):
    convolutions = benchmark("convolutions")
    bench = convolutions.Bench("cpu", batch=2)
    bench.product, bench.copy = 1e9, 1e12
    for case in convolutions.convolutions_of(vae):
        assert bench.seconds(case) > 0
        assert bench.allowed(case) == bench.operations(case) / 1e9  # memory is fast
    bench.copy = 1.0  # and now slow
    assert bench.allowed(case) > 4 * 2 * case.outputs


def test_what_lies_between_convolutions_moves_five_numbers_for_each_that_they_put_out(benchmark, vae):
    convolutions = benchmark("convolutions")
    bench = convolutions.Bench("cpu", batch=2)
    bench.copy = 1.0
    outputs = 0

    def count(layer, inputs, output):
        nonlocal outputs
        outputs += output.numel()

    hooks = [part.register_forward_hook(count) for part in vae.modules() if isinstance(part, torch.nn.Conv2d)]
    vae.decode(vae.encode(torch.zeros(2, 3, 32, 32))[0])
    for hook in hooks:
        hook.remove()
    weights = sum(part.numel() for part in vae.parameters())
    assert bench.between(vae, convolutions.convolutions_of(vae)) == 4 * (5 * outputs + 9 * weights)
