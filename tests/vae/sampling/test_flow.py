"""The learned prior."""

from functools import partial

import pytest
import torch
from torch import nn

from vae.acceleration.cuda_graphs import GraphedSteps
from vae.sampling import flow_fit
from vae.sampling.flow import FlowPrior, Velocity
from vae.sampling.flow_fit import fit_flow, fit_flows


def two_places(n, generator):
    """Latents of three numbers around (4, 0, 0) and (-4, 0, 0)."""
    side = torch.randint(0, 2, (n, 1), generator=generator) * 8.0 - 4.0
    return torch.cat([side, torch.zeros(n, 2)], 1) + 0.3 * torch.randn(n, 3, generator=generator)


@pytest.fixture(scope="module")
def fitted():
    held_out = two_places(256, torch.Generator().manual_seed(9))
    return fit_flow(two_places, held_out, steps=1200, batch=256, width=48, blocks=2, seed=0)


def test_samples_lie_where_the_latents_lie(fitted):
    flow, _ = fitted
    latents = flow.sample(2000, seed=1)
    near = (latents[:, 0].abs() - 4).abs() < 1.2  # four standard deviations
    assert near.float().mean() > 0.9
    assert 0.4 < (latents[:, 0] > 0).float().mean() < 0.6
    torch.testing.assert_close(latents[:, 1:].std(0), torch.full((2,), 0.3), rtol=0.25, atol=0.0)


def test_the_training_log_falls(fitted):
    _, log = fitted
    assert [entry["step"] for entry in log] == [500, 1000, 1200]
    assert log[-1]["held_out"] < log[0]["held_out"]


def test_the_same_seed_gives_the_same_flow_and_samples():
    held_out = two_places(256, torch.Generator().manual_seed(9))
    settings = {"steps": 120, "batch": 256, "width": 48, "blocks": 2}
    first, again, other = (fit_flow(two_places, held_out, **settings, seed=seed)[0] for seed in (0, 0, 1))
    assert torch.equal(again.sample(8, seed=3), first.sample(8, seed=3))
    assert not torch.equal(again.sample(8, seed=3), again.sample(8, seed=4))
    assert not torch.equal(other.sample(8, seed=3), first.sample(8, seed=3))


def test_flows_side_by_side_are_those_that_are_trained_alone():
    def places(k):
        return lambda n, generator: two_places(n, generator) + k

    settings = {"steps": 30, "batch": 16, "width": 8, "blocks": 1}
    held_out = [places(k)(20, torch.Generator().manual_seed(k)) for k in range(3)]
    together = fit_flows([places(k) for k in range(3)], held_out, seeds=[0, 1, 0], **settings)
    for k, (flow, log) in enumerate(together):
        alone, expected = fit_flow(places(k), held_out[k], seed=[0, 1, 0][k], **settings)
        torch.testing.assert_close(flow.sample(8, seed=3), alone.sample(8, seed=3), rtol=1e-4, atol=1e-4)
        assert log[-1]["held_out"] == pytest.approx(expected[-1]["held_out"], rel=1e-4)


def test_the_global_random_state_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    fit_flow(two_places, two_places(8, torch.Generator().manual_seed(9)), steps=2, batch=8, width=8, blocks=1, seed=0)
    assert torch.equal(torch.rand(1), expected)


def test_settings_and_latents_that_fit_no_flow_are_refused():
    def nowhere(n, generator):
        return torch.full((n, 3), torch.nan)

    held_out = two_places(8, torch.Generator().manual_seed(9))
    settings = {"batch": 8, "width": 8, "blocks": 1}
    with pytest.raises(ValueError, match=r"^steps must be at least 1, got 0\.$"):
        fit_flow(two_places, held_out, steps=0, **settings)
    with pytest.raises(ValueError, match=r"^latents must be finite, got NaN or infinity"):
        fit_flow(nowhere, held_out, steps=2, **settings)
    with pytest.raises(ValueError, match=r"^held_out must be finite, got NaN or infinity"):
        fit_flow(two_places, held_out / 0, steps=2, **settings)
    with pytest.raises(
        ValueError, match=r"^the held-out loss must be finite, got \[nan\] at the end. Lower learning_rate"
    ):
        fit_flow(two_places, held_out, steps=2, learning_rate=1e38, **settings)


def test_a_lower_temperature_is_less_diverse(fitted):
    flow, _ = fitted
    cooler = FlowPrior(flow.velocity, flow.mean, flow.scale, temperature=0.5)
    assert cooler.sample(500, seed=0)[:, 1:].std() < 0.8 * flow.sample(500, seed=0)[:, 1:].std()


def test_samples_with_a_final_denoising_step_lie_closer_to_the_mean_of_their_kind(fitted):
    flow, _ = fitted
    denoised = FlowPrior(flow.velocity, flow.mean, flow.scale, final_denoise=0.3).sample(500, seed=0)
    before = flow.sample(500, seed=0)
    shrunk = denoised[:, 1:].std() / before[:, 1:].std()  # of a Gaussian 0.7^2 / (0.7^2 + 0.3^2) remain
    assert shrunk == pytest.approx(0.845, abs=0.05)
    assert ((denoised[:, 0] > 0) == (before[:, 0] > 0)).float().mean() > 0.95  # and stay on their side


def test_a_saved_flow_comes_back(tmp_path, fitted):
    flow, _ = fitted
    flow.temperature, flow.final_denoise = 0.75, 0.25
    flow.save(tmp_path / "prior.safetensors")
    loaded = FlowPrior.load(tmp_path / "prior.safetensors")
    expected = flow.sample(16, seed=2)
    flow.temperature, flow.final_denoise = 1.0, 0.0
    assert (loaded.temperature, loaded.final_denoise) == (0.75, 0.25)
    torch.testing.assert_close(loaded.sample(16, seed=2), expected, atol=0.02, rtol=0.0)  # weights in half precision


def test_loading_a_flow_leaves_the_global_random_state_alone(tmp_path, fitted):
    fitted[0].save(tmp_path / "prior.safetensors")
    before = torch.get_rng_state()
    FlowPrior.load(tmp_path / "prior.safetensors")
    assert torch.equal(torch.get_rng_state(), before)


def test_rows_do_not_depend_on_one_another():
    velocity = Velocity(4, width=16, blocks=1)
    x, t = torch.randn(3, 4), torch.rand(3)
    torch.testing.assert_close(velocity(x, t)[:1], velocity(x[:1], t[:1]))


def test_a_sample_follows_the_velocity_and_then_gets_the_scale_and_the_mean():
    class Twice(nn.Module):
        """The velocity 2 t at every place, which Heun's method integrates exactly, to 1."""

        def forward(self, x, t):
            return (2 * t)[:, None].expand_as(x)

    mean, scale = torch.tensor([3.0, -1.0]), torch.tensor([0.5, 2.0])
    noise = torch.randn(5, 2, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(FlowPrior(Twice(), mean, scale).sample(5, 1), (noise + 1) * scale + mean)


def test_the_averaged_weights_with_the_lowest_held_out_loss_are_kept(monkeypatch):
    monkeypatch.setattr(flow_fit, "LOOK", 20)
    others = torch.randn(
        64, 3, generator=torch.Generator().manual_seed(9)
    )  # from elsewhere: their loss rises in the end
    flow, log = fit_flow(two_places, others, steps=300, batch=64, width=32, blocks=1, learning_rate=0.01, seed=0)
    losses = [entry["held_out"] for entry in log]
    assert losses.index(min(losses)) < len(losses) - 1
    fixed = (part[None] for part in flow_fit._Source(two_places, others, 0, 64).fixed)
    weights = {name: weight[None] for name, weight in flow.velocity.named_parameters()}
    assert float(flow_fit._losses(flow.velocity, weights, *fixed)) == pytest.approx(min(losses), rel=1e-4)
    assert all(entry["loss_low"] < entry["loss_high"] for entry in log)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_flow_that_a_cuda_graph_trains_is_the_one_trained_without(monkeypatch):
    rows = torch.randn(4000, 6, device="cuda", generator=torch.Generator("cuda").manual_seed(0))

    def some(n, generator):
        return rows[torch.randint(0, 3000, (n,), generator=generator, device="cuda")]

    losses = []
    for graphed in (True, False):
        monkeypatch.setattr(flow_fit, "GraphedSteps", partial(GraphedSteps, graphed=graphed))
        _, log = fit_flow(some, rows[3000:], steps=300, batch=256, width=48, blocks=2)
        losses.append(log[-1]["held_out"])
    assert losses[0] == pytest.approx(losses[1], rel=0.01)
