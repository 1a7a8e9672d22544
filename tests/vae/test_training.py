import copy
import itertools
import pickle

import pytest
import torch

from vae.evaluation import encode_all
from vae.images.synthetic import generate_hands
from vae.model import VAEConfig, build_vae
from vae.training import Trainer, functions_of, learning_rate
from vae.training_config import TrainingConfig


def make_trainer(images, seed=0, **settings):
    config = TrainingConfig(**{"epochs": 3, "batch_size": 4, **settings})
    return Trainer(build_vae(VAEConfig(32, 6), seed), images, config, seed)


def weights(trainer):
    return [p.detach().clone() for p in trainer.vae.parameters()]


def equal(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_same_seed_gives_the_same_training_bit_for_bit(tiny_images):
    runs = []
    for seed in (0, 0, 1):
        trainer = make_trainer(tiny_images, seed)
        losses = [trainer.step().total for _ in range(6)]
        runs.append((losses, weights(trainer)))
    assert equal(runs[0][0], runs[1][0])
    assert equal(runs[0][1], runs[1][1])
    assert not equal(runs[0][0], runs[2][0])


def test_training_touches_no_global_random_state(tiny_images):
    before = torch.get_rng_state()
    make_trainer(tiny_images).step()
    assert torch.equal(torch.get_rng_state(), before)


def test_zero_shift_trains_exactly_as_no_shift(tiny_images):
    with_zeros, without = make_trainer(tiny_images), make_trainer(tiny_images)
    for _ in range(6):
        with_zeros.step(torch.zeros(4, 6))
        without.step()
    assert equal(weights(with_zeros), weights(without))


def test_a_shift_moves_the_latents_that_are_scored(tiny_images):
    shifted, plain = make_trainer(tiny_images), make_trainer(tiny_images)
    mean = plain.encode()
    kl_shifted, kl_plain = shifted.step(torch.ones(4, 6)).kl, plain.step().kl
    expected = kl_plain + 0.5 * ((mean + 1) ** 2 - mean**2).sum(1)
    torch.testing.assert_close(kl_shifted, expected)


def test_encode_gives_the_minibatch_of_the_next_step_each_time_it_is_asked(tiny_images):
    trainer = make_trainer(tiny_images)
    first, again = trainer.encode(), trainer.encode()
    assert torch.equal(first, again)
    assert not first.requires_grad
    trainer.step()
    assert not torch.equal(trainer.encode(), first)


def test_changing_the_encoded_means_changes_no_training(tiny_images, quick_vae):
    def two_heads(seed):
        vae = quick_vae(seed)
        encoder, log_var = vae.encoder, torch.zeros(4, 4)
        vae.encode = lambda images: (encoder(images)[0].clone(), log_var)  # a view refuses changes in place
        return vae

    changed, kept = (Trainer(two_heads(0), tiny_images, TrainingConfig(batch_size=4), 0) for _ in range(2))
    means = changed.encode()
    means += 1.0
    assert torch.equal(changed.encode(), kept.encode())
    assert torch.equal(changed.step().total, kept.step().total)


def test_a_shift_keeps_its_graph_to_itself(tiny_images):
    trainer, agent = make_trainer(tiny_images), torch.nn.Linear(6, 6)
    trainer.step(agent(trainer.encode()))
    assert agent.weight.grad is None


def test_a_shift_of_another_shape_is_refused(tiny_images):
    trainer = make_trainer(tiny_images)
    for shape in ((4, 1), (6,), (3, 6)):
        with pytest.raises(
            ValueError, match=rf"shift must have the shape \(picture, latent\), \(4, 6\), got \({shape[0]},"
        ):
            trainer.step(torch.zeros(shape))
    assert trainer.steps_done == 0


@pytest.mark.parametrize(("n", "batch_size"), [(20, 20), (20, 4), (20, 7)])
def test_an_epoch_visits_every_picture_and_fills_the_last_minibatch_from_its_beginning(tiny_images, n, batch_size):
    trainer = make_trainer(tiny_images[:n], batch_size=batch_size)
    visited = torch.cat([trainer.step().index for _ in range(trainer.steps_per_epoch)])
    assert trainer.epoch == 1
    assert sorted(visited[:n].tolist()) == list(range(n))
    assert visited[n:].tolist() == visited[: len(visited) - n].tolist()
    second = torch.cat([trainer.step().index for _ in range(trainer.steps_per_epoch)])
    assert second.tolist() != visited.tolist()


@pytest.mark.parametrize("pending", [False, True])
def test_a_trainer_resumed_from_its_state_goes_on_bit_for_bit(tiny_images, pending):
    whole = make_trainer(tiny_images)
    for _ in range(7):
        whole.step()
    if pending:
        whole.encode()
    state = whole.state_dict()
    continued = [whole.step().total for _ in range(5)]
    copy = make_trainer(tiny_images)
    copy.load_state_dict(state)
    resumed = [copy.step().total for _ in range(5)]
    assert equal(resumed, continued)
    assert equal(weights(copy), weights(whole))
    assert equal(copy.averaged_vae.parameters(), whole.averaged_vae.parameters())


def test_a_trainer_of_another_seed_takes_over_the_seed_of_a_state(tiny_images):
    whole = make_trainer(tiny_images)
    whole.step()
    other = Trainer(build_vae(VAEConfig(32, 6), 1), tiny_images, whole.config, seed=9)
    other.load_state_dict(whole.state_dict())
    assert torch.equal(other.step().total, whole.step().total)


@pytest.mark.usefixtures("real_channels")
def test_the_pixels_variance_follows_the_mean_squared_error(tiny_images):
    trainer = make_trainer(tiny_images, epochs=15, augment=False)
    for _ in range(trainer.total_steps):
        trainer.step()
    decoded = trainer.vae.decode(encode_all(trainer.vae, tiny_images)[0])
    error = (decoded - tiny_images / 255).square().mean().item()
    assert 0.05 < error < 0.1  # noise of variance 1/12 cannot be coded in six numbers
    assert trainer.vae.log_variance.exp().item() == pytest.approx(error, rel=0.1)


@pytest.mark.slow
@pytest.mark.usefixtures("real_channels")
def test_training_on_hands_lowers_the_loss_of_hands_not_trained_on():
    hands = generate_hands(100, 32, seed=0).images
    trainer = Trainer(build_vae(VAEConfig(32, 64), 0), hands[:80], TrainingConfig(epochs=6, batch_size=8), 0)
    before = trainer.measure(hands[80:]).total.mean().item()
    for _ in range(trainer.total_steps):
        trainer.step()
    after = trainer.measure(hands[80:], averaged=True)
    assert after.total.mean().item() < before - 2000
    assert after.kl.mean().item() > 20


def test_measure_gives_the_same_each_time_and_trains_nothing(tiny_images):
    trainer = make_trainer(tiny_images)
    before = weights(trainer)
    first, again = trainer.measure(), trainer.measure(tiny_images)
    assert torch.equal(first.total, again.total)
    assert first.index.tolist() == list(range(20))
    assert equal(before, weights(trainer))


def test_the_noise_of_a_measurement_is_the_same_after_training(tiny_images):
    trainer = make_trainer(tiny_images, learning_rate=0.0)
    before = trainer.measure().total
    trainer.step()
    assert torch.equal(trainer.measure().total, before)


def test_the_averaged_weights_are_measured_where_they_are_asked_for(tiny_images):
    trainer = make_trainer(tiny_images, learning_rate=0.01, warmup_steps=0)
    for _ in range(3):
        trainer.step()
    found = trainer.measure(averaged=True).total
    own = Trainer(trainer.averaged_vae, tiny_images, trainer.config, trainer.seed)
    assert torch.equal(found, own.measure().total)
    assert not torch.equal(found, trainer.measure().total)


def test_learning_rate_rises_then_falls_to_a_hundredth():
    config = TrainingConfig(learning_rate=1.0, warmup_steps=10)
    rates = [learning_rate(step, 1000, config) for step in range(1001)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == pytest.approx(1.0)
    assert rates[505] == pytest.approx(0.505, abs=1e-3)
    assert rates[1000] == pytest.approx(0.01)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


def test_trainer_raises_when_pictures_are_wrong_or_too_few(tiny_images):
    with pytest.raises(ValueError, match=r"images must be uint8 of shape \(image, 3, 32, 32\), got torch.float32"):
        make_trainer(tiny_images.float())
    with pytest.raises(ValueError, match="batch_size must be at most the number of training images, 3, got 4"):
        make_trainer(tiny_images[:3])


def gradients(images, kl_weight):
    """Take a step, and return the gradient that it descended and the losses that it returned."""
    trainer = make_trainer(images, kl_weight=kl_weight, gradient_norm=1e9)
    losses = trainer.step(torch.full((4, 6), 0.5))
    return torch.cat([parameter.grad.flatten() for parameter in trainer.vae.parameters()]), losses


def test_the_kl_weight_scales_the_gradient_of_the_kl_alone(tiny_images):
    (none, losses), (some, others), (thrice, _) = (gradients(tiny_images, weight) for weight in (0.0, 1e3, 3e3))
    torch.testing.assert_close(thrice - none, 3 * (some - none), rtol=1e-3, atol=1e-5)
    assert (some - none).abs().max() > 0.1
    assert torch.equal(losses.total, others.total)  # the losses that are returned do not contain it


def test_a_kl_weight_of_zero_gives_the_gradient_of_the_reconstruction(tiny_images):
    trainer = make_trainer(tiny_images)
    trainer.encode()
    batch, noise = trainer._pending, trainer.next_noise()
    mean = batch.mean + 0.5
    reconstruction, _, _ = trainer._decode_and_score(mean, batch.log_var, noise, batch.images)
    parameters = list(trainer.vae.parameters())
    expected = torch.autograd.grad(reconstruction.mean() / batch.images[0].numel(), parameters)
    own, _ = gradients(tiny_images, 0.0)
    torch.testing.assert_close(own, torch.cat([gradient.flatten() for gradient in expected]))


def test_a_learning_rate_of_zero_freezes_the_model_and_its_variance(tiny_images):
    trainer = make_trainer(tiny_images, learning_rate=0.0)
    before = {name: value.clone() for name, value in trainer.vae.state_dict().items()}
    first = trainer.step().total
    for _ in range(7):
        trainer.step()
    assert all(torch.equal(before[name], value) for name, value in trainer.vae.state_dict().items())
    assert first.isfinite().all()
    assert trainer.steps_done == 8


@pytest.mark.parametrize("rate", [1e-3, 0.0])
def test_a_model_that_learns_is_in_training_mode_and_what_is_drawn_from_is_not(tiny_images, rate):
    trainer = make_trainer(tiny_images, learning_rate=rate)
    assert trainer.vae.training == (rate > 0)
    assert not trainer.averaged_vae.training


def test_the_loss_s_gradient_by_a_shift_is_that_of_finite_differences(tiny_images):
    trainer = make_trainer(tiny_images)
    shift = torch.full((4, 6), 0.3)
    gradient = trainer.loss_gradient(shift, torch.Generator().manual_seed(5))
    direction = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    noise = torch.randn(4, 6, generator=torch.Generator().manual_seed(5))
    batch = trainer._pending
    at = [
        sum(trainer._decode_and_score(batch.mean + shift + step * direction, batch.log_var, noise, batch.images)[:2])
        for step in (-1e-2, 1e-2)
    ]
    torch.testing.assert_close((gradient * direction).sum(1), ((at[1] - at[0]) / 2e-2).detach(), rtol=2e-2, atol=0.5)
    assert all(parameter.grad is None for parameter in trainer.vae.parameters())


def test_the_loss_s_gradient_by_a_shift_contains_that_of_the_kl(tiny_images):
    trainer = make_trainer(tiny_images)
    mean = trainer.encode()
    with torch.no_grad():
        trainer.vae.log_variance.fill_(20.0)  # the pictures hardly count
    gradient = trainer.loss_gradient(torch.full((4, 6), 0.3), torch.Generator().manual_seed(5))
    torch.testing.assert_close(gradient, mean + 0.3, rtol=1e-3, atol=1e-3)


def test_a_state_whose_tensors_lie_otherwise_in_memory_goes_on_the_same(tiny_images):
    whole = make_trainer(tiny_images)
    for _ in range(3):
        whole.step()
    state = whole.state_dict()
    for moments in state["optimizer"]["state"].values():  # as a file gives them back
        moments.update(exp_avg=moments["exp_avg"].contiguous(), exp_avg_sq=moments["exp_avg_sq"].contiguous())
    resumed = make_trainer(tiny_images)
    resumed.load_state_dict(state)
    for _ in range(3):
        whole.step()
        resumed.step()
    assert equal(weights(whole), weights(resumed))


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda trainer: pickle.loads(pickle.dumps(trainer))])
def test_a_copy_of_a_compiled_trainer_trains_its_own_model(tiny_images, monkeypatch, clone):
    """What torch.compile gives on a GPU is a function of one trainer, which a copy shares and pickle refuses."""

    def as_on_a_gpu(self):
        encode, score = functions_of(self.vae, self.device)
        self._encode_images = lambda *tensors: encode(*tensors)
        self._decode_and_score = lambda *tensors: score(*tensors)

    monkeypatch.setattr(Trainer, "_compile", as_on_a_gpu)
    trainer = make_trainer(tiny_images)
    trainer.step()
    other, before = clone(trainer), weights(trainer)
    other.step()
    assert equal(before, weights(trainer))
    assert not equal(before, weights(other))
    trainer.step()
    assert equal(weights(trainer), weights(other))


def test_an_encoder_that_answers_in_bfloat16_gives_float32_latents(tiny_images):
    trainer = make_trainer(tiny_images)
    encode = trainer.vae.encode
    trainer.vae.encode = lambda images: tuple(x.bfloat16() for x in encode(images))
    assert trainer.encode().dtype == torch.float32
    assert trainer.step().kl.dtype == torch.float32


def test_a_state_of_another_optimiser_is_refused_before_any_weight_is_replaced(tiny_images):
    config = TrainingConfig(epochs=1, batch_size=4)
    one, other = (Trainer(build_vae(VAEConfig(32, 6), seed), tiny_images, config, seed) for seed in (0, 1))
    state = one.state_dict()
    state["optimizer"]["param_groups"][0]["weight_decay"] = 0.5
    before = copy.deepcopy(other.vae.state_dict())
    with pytest.raises(ValueError, match="weight_decay"):
        other.load_state_dict(state)
    assert all(torch.equal(weight, before[name]) for name, weight in other.vae.state_dict().items())


def with_buffers(seed):
    vae = build_vae(VAEConfig(32, 6), seed)
    vae.encoder.register_buffer("mask", torch.full((4, 4), -torch.inf).triu(1))
    vae.decoder.register_buffer("waves", torch.ones(4, dtype=torch.complex64))
    return vae


def test_a_state_may_hold_any_numbers_in_buffers_of_one_s_own_but_not_in_weights(tiny_images):
    config = TrainingConfig(epochs=3, batch_size=4)
    whole, resumed = (Trainer(with_buffers(seed), tiny_images, config, seed) for seed in (0, 1))
    whole.step()
    resumed.load_state_dict(whole.state_dict())
    assert torch.equal(resumed.step().total, whole.step().total)
    for part, name in (("vae", "log_variance"), ("averaged", "module.decoder.body.12.weight")):
        state = whole.state_dict()
        state[part][name].fill_(torch.nan)
        with pytest.raises(ValueError, match=rf"'trainer\.{part}\.{name}' must hold finite real numbers"):
            resumed.load_state_dict(state)
