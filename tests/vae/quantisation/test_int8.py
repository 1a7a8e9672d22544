import pytest
import torch
from safetensors.torch import save_file

from vae.files import DamagedError, load_weights, save_tensors
from vae.model import VAEConfig, build_vae
from vae.quantisation.int8 import LARGE, SCALES, quantised, restored
from vae.sampling.flow import FlowPrior, Velocity


def made(*shape, seed=0):
    """Weights whose rows differ in size by up to a million, as no float16 could hold them side by side."""
    generator = torch.Generator().manual_seed(seed)
    sizes = 10.0 ** (6 * torch.rand(shape[0], generator=generator) - 4)
    return torch.randn(shape, generator=generator) * sizes.reshape(-1, *[1] * (len(shape) - 1))


@pytest.mark.parametrize("shape", [(128, 256), (32, 64, 3, 3), (1, LARGE), (LARGE, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_a_weight_is_off_by_at_most_half_a_step_of_its_row(shape, dtype):
    weights = (made(*shape) / 10).to(dtype)
    stored = quantised({"w": weights})
    assert {name: tensor.dtype for name, tensor in stored.items()} == {"w": torch.int8, "w" + SCALES: torch.float32}
    assert stored["w"].shape == shape
    assert stored["w" + SCALES].shape == shape[:1]
    assert int(stored["w"].min()) >= -127
    back = restored(stored)["w"]
    assert back.dtype == torch.float32
    rows = weights.double().flatten(1)
    largest = rows.abs().amax(1)
    off = (back.double().flatten(1) - rows).abs().amax(1)
    assert (off <= largest / 254 * (1 + 1e-4)).all()
    if shape[1] > 1:
        assert (off > largest / 1000).any()  # the bound is near


def test_the_largest_weight_of_a_row_is_kept_and_a_row_of_zeros_stays_zeros():
    weights = made(64, 512)
    weights[3] = 0
    back = restored(quantised({"w": weights}))["w"]
    assert torch.equal(back[3], torch.zeros(512))
    places = weights.abs().argmax(1, keepdim=True)
    torch.testing.assert_close(back.gather(1, places), weights.gather(1, places), rtol=1e-6, atol=0.0)


def test_small_tensors_vectors_and_integers_are_left_as_they_are():
    tensors = {
        "small": made(127, 128),
        "bias": made(LARGE),
        "count": torch.zeros(2, LARGE, dtype=torch.int64),
        "half": made(8, 8).half(),
    }
    stored = quantised(tensors)
    assert stored.keys() == tensors.keys()
    for name, tensor in restored(stored).items():
        assert tensor.dtype == tensors[name].dtype
        assert torch.equal(tensor, tensors[name])


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_refused(wrong):
    weights = made(128, 128)
    weights[5, 7] = wrong
    with pytest.raises(ValueError, match="must be finite to be stored as int8, and 'w' holds NaN or infinity"):
        quantised({"w": weights})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda stored: stored.pop("w" + SCALES), "must stand in pairs, and 'w' has one of the two only"),
        (lambda stored: stored.pop("w"), "must stand in pairs, and 'w' has one of the two only"),
        (lambda stored: stored.update(w=made(128, 128)), "must stand in pairs, and 'w' has one of the two only"),
        (lambda stored: stored.update({"w" + SCALES: torch.ones(127)}), r"got torch.float32 of shape \[127\]"),
        (lambda stored: stored.update({"w" + SCALES: torch.ones(128, 1)}), r"got torch.float32 of shape \[128, 1\]"),
        (lambda stored: stored.update({"w" + SCALES: torch.tensor(1.0)}), r"got torch.float32 of shape \[\]"),
        (lambda stored: stored.update({"w" + SCALES: torch.ones(128).half()}), r"got torch.float16 of shape \[128\]"),
        (
            lambda stored: stored.update(w=torch.tensor(1, dtype=torch.int8)),
            r"one for each of the rows of \[\], got .*",
        ),
        (lambda stored: stored["w" + SCALES].fill_(float("nan")), "must be finite and at least 0, got nan"),
        (lambda stored: stored["w" + SCALES].fill_(float("inf")), "must be finite and at least 0, got inf"),
        (lambda stored: stored["w" + SCALES].fill_(-0.5), "must be finite and at least 0, got -0.5"),
        (lambda stored: stored["w" + SCALES].fill_(3e38), "holds numbers that are not finite, in 'w'"),
    ],
)
def test_a_file_whose_scales_do_not_fit_is_damaged(tmp_path, change, message):
    stored = quantised({"w": made(128, 128)})
    change(stored)
    save_tensors(tmp_path / "w.safetensors", stored)
    with pytest.raises(DamagedError, match=rf"^'.*w\.safetensors' is damaged: .*{message}$"):
        load_weights(tmp_path / "w.safetensors")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_files_without_int8_are_read_bit_for_bit(tmp_path, dtype):
    state = build_vae(VAEConfig(32, 6), seed=1).state_dict()
    tensors = {name: tensor.to(dtype).contiguous() for name, tensor in state.items()}
    save_tensors(tmp_path / "new.safetensors", tensors)
    save_file(tensors, tmp_path / "old.safetensors")  # by a version that wrote no hash
    for file in ("new", "old"):
        back = load_weights(tmp_path / f"{file}.safetensors")
        assert back.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert back[name].dtype == dtype
            assert torch.equal(back[name], tensor)


def test_a_prior_of_int8_is_read_as_any_other_and_draws_nearly_the_same(tmp_path):
    torch.manual_seed(0)
    prior = FlowPrior(Velocity(20, width=160, blocks=2), torch.zeros(20), torch.ones(20), 0.9, 0.2)
    prior.save(tmp_path / "half.safetensors")
    save_tensors(tmp_path / "int8.safetensors", quantised(load_weights(tmp_path / "half.safetensors")))
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "int8")]
    assert sizes[1] < 0.6 * sizes[0]
    half, int8 = (FlowPrior.load(tmp_path / f"{name}.safetensors") for name in ("half", "int8"))
    assert (int8.temperature, int8.final_denoise) == (half.temperature, half.final_denoise)
    expected, found = half.sample(64, seed=1), int8.sample(64, seed=1)
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=0.0, atol=0.02)
