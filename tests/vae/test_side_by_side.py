import copy
import pickle

import pytest
import torch

from vae.model import VAEConfig, build_vae
from vae.side_by_side import SideBySide
from vae.training import Trainer
from vae.training_config import TrainingConfig


def make_trainers(images, seeds=(0, 1, 2), **settings):
    config = TrainingConfig(**{"epochs": 3, "batch_size": 4, **settings})
    return [Trainer(build_vae(VAEConfig(32, 6), seed), images, config, seed) for seed in seeds]


def shifts(steps, seeds=3):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(seeds, 4, 6, generator=generator) for _ in range(steps)]


def check_close(first, second, limit):
    """Compare by the size of the difference: Adam moves a weight by its rate, however small its gradient."""
    for name, tensor in weights(second).items():
        difference = torch.linalg.vector_norm((weights(first)[name] - tensor).float())
        assert difference <= limit * (1e-3 + torch.linalg.vector_norm(tensor.float())), name


def weights(trainer):
    return {**trainer.vae.state_dict(), **{f"averaged.{k}": v for k, v in trainer.averaged.state_dict().items()}}


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
@pytest.mark.parametrize("augment", [False, True])
def test_vaes_side_by_side_train_as_each_does_alone(tiny_images, stacked, seeds, augment):
    together, alone = (make_trainers(tiny_images, seeds, augment=augment) for _ in range(2))
    rows = SideBySide(together, stacked=stacked)
    for shift in shifts(4, len(seeds)):
        encoded, losses = rows.encode().clone(), rows.step(shift)
        for row, trainer in enumerate(alone):
            torch.testing.assert_close(encoded[row], trainer.encode(), rtol=1e-4, atol=1e-4)
            expected = trainer.step(shift[row])
            assert torch.equal(losses.index[row], expected.index)
            torch.testing.assert_close(losses.total[row], expected.total, rtol=1e-3, atol=1e-1)
    for own, other in zip(together, alone, strict=True):
        assert own.steps_done == other.steps_done == 4
        check_close(own, other, 1e-3 if stacked else 0)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda trainer: pickle.loads(pickle.dumps(trainer))])
def test_a_stacked_trainer_is_copied_and_pickled_without_the_others_weights(tiny_images, clone):
    together, alone = make_trainers(tiny_images), make_trainers(tiny_images)[1]
    rows = SideBySide(together, stacked=True)
    for shift in shifts(3):
        rows.step(shift)
        alone.step(shift[1])
    assert len(pickle.dumps(together[1])) < 1.1 * len(pickle.dumps(alone))
    copied, before = clone(together[1]), weights(together[1])
    assert all(tensor.untyped_storage().nbytes() == tensor.nbytes for tensor in copied.vae.state_dict().values())
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(copied).items())
    rows.step()
    copied.step()
    alone.step()
    for trained in (copied, together[1]):
        check_close(trained, alone, 1e-3)


def test_stacked_vaes_go_on_alone_from_a_saved_state(tiny_images):
    together = make_trainers(tiny_images)
    rows = SideBySide(together, stacked=True)
    for shift in shifts(3):
        rows.step(shift)
    state = together[1].state_dict()
    assert all(t.untyped_storage().nbytes() == t.nbytes for t in state["vae"].values())  # no other VAE's weights
    alone = make_trainers(tiny_images)[1]
    alone.load_state_dict(state)
    rows.step()
    alone.step()
    check_close(together[1], alone, 1e-3)


def test_used_trainers_are_stacked_with_their_moments(tiny_images):
    used, alone = make_trainers(tiny_images), make_trainers(tiny_images)
    for trainer in used + alone:
        trainer.step()
    rows = SideBySide(used, stacked=True)
    rows.step()
    for own, other in zip(used, alone, strict=True):
        other.step()
        check_close(own, other, 1e-3)


def test_each_vae_may_have_its_own_pictures_and_kl_weight(tiny_images):
    config = TrainingConfig(epochs=3, batch_size=4)
    heavy = TrainingConfig(epochs=3, batch_size=4, kl_weight=8.0)

    def make():
        return [
            Trainer(build_vae(VAEConfig(32, 6), 0), images, own, 0)
            for images, own in ((tiny_images[:8], config), (tiny_images[8:16], config), (tiny_images[:8], heavy))
        ]

    together, alone = make(), make()
    rows = SideBySide(together, stacked=True)
    for _ in range(4):
        losses = rows.step()
        for row, trainer in enumerate(alone):
            torch.testing.assert_close(losses.total[row], trainer.step().total, rtol=1e-3, atol=1e-1)
    assert losses.kl[2].mean() < losses.kl[0].mean()


def test_trainers_that_differ_are_refused(tiny_images):
    other = make_trainers(tiny_images, batch_size=2)
    with pytest.raises(ValueError, match="must share their settings"):
        SideBySide([*make_trainers(tiny_images), *other])
    ahead = make_trainers(tiny_images)
    ahead[2].step()
    with pytest.raises(ValueError, match="steps done, got 1 at 2 and 0 at 0"):
        SideBySide(ahead)
    frozen = make_trainers(tiny_images)
    next(frozen[1].vae.parameters()).requires_grad_(False)
    with pytest.raises(ValueError, match=r"must share their frozen weights, got \['encoder\..*'\] at 1 and \[\] at 0"):
        SideBySide(frozen)


def test_different_views_of_the_same_pictures_are_different_pictures(tiny_images):
    views = [tiny_images[:10], tiny_images[::2]]
    config = TrainingConfig(epochs=2, batch_size=4, augment=False)
    losses = []
    for stacked in (False, True):
        trainers = [Trainer(build_vae(VAEConfig(32, 6), seed=0), view, config, seed=0) for view in views]
        losses.append(SideBySide(trainers, stacked=stacked).step().reconstruction)
    torch.testing.assert_close(*losses, rtol=1e-3, atol=0.1)
    assert not torch.allclose(losses[0][0], losses[0][1], rtol=1e-3, atol=0.1)


def test_a_shift_of_another_shape_is_refused_before_any_vae_takes_a_step(tiny_images):
    for stacked in (False, True):
        trainers = make_trainers(tiny_images)
        together = SideBySide(trainers, stacked=stacked)
        with pytest.raises(ValueError, match="shift must have the shape"):
            together.step(torch.zeros(1, 4, 6))
        assert [trainer.steps_done for trainer in trainers] == [0, 0, 0]


def test_states_loaded_by_stacked_trainers_are_stacked_again(tiny_images):
    together, alone = make_trainers(tiny_images), make_trainers(tiny_images)
    rows = SideBySide(together, stacked=True)
    for _ in range(2):
        rows.step()
        states = [trainer.state_dict() for trainer in together]
    rows.step()
    rows.encode()
    for trainer, other, state in zip(together, alone, states, strict=True):
        trainer.load_state_dict(state)
        other.load_state_dict(state)
    for _ in range(3):
        torch.testing.assert_close(rows.step().total, torch.stack([other.step().total for other in alone]))
    for own, other in zip(together, alone, strict=True):
        check_close(own, other, 1e-3)


@pytest.mark.parametrize("also", [(), (0, 2)])
def test_stacked_trainers_take_steps_alone_only_if_all_do(tiny_images, also):
    together, alone = make_trainers(tiny_images), make_trainers(tiny_images)
    rows = SideBySide(together, stacked=True)
    for trainer in [*alone, *(alone[row] for row in (1, *also))]:
        trainer.step()
    rows.step()
    for row in (1, *also):
        together[row].step()
    if not also:
        with pytest.raises(ValueError, match="must share their steps done, got 2 at 1 and 1 at 0"):
            rows.step()
        return
    for _ in range(2):
        torch.testing.assert_close(rows.step().total, torch.stack([other.step().total for other in alone]))


def test_encoded_means_are_the_caller_s_to_change(tiny_images):
    changed, kept = (SideBySide(make_trainers(tiny_images), stacked=True) for _ in range(2))
    changed.encode().add_(1.0)
    kept.encode()
    assert torch.equal(changed.step(shifts(1)[0]).total, kept.step(shifts(1)[0]).total)
