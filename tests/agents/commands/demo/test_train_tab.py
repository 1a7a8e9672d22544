import numpy as np
import pytest
import torch

from agents.commands.demo import train_tab
from agents.commands.demo.train_tab import SIDES, Side, TrainSettings, train
from hand_env import HandLatentEnv
from vae.images.synthetic import generate_hands

SMALL = TrainSettings(images=33, epochs=2, seed=5)


@pytest.fixture(scope="module")
def events():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agents.rl.schedule_actor.N_DRAWN", 4)
        patch.setattr(train_tab, "SHOWN", 4)
        yield list(train(SMALL))


def of(events, side, key):
    return [event[key] for event in events if event.get("side") == side and key in event]


def test_without_the_agent_it_is_plain_training_on_drawn_hands(events):
    images = generate_hands(33, 32, seed=5).images
    env = HandLatentEnv(images, batch_size=16, epochs_per_episode=2, training=train_tab.TRAINING)
    env.reset(seed=5)
    losses = []
    for _ in range(2):
        steps = [env.step(np.zeros(env.action_space.shape, np.float32))[4] for _ in range(env.trainer.steps_per_epoch)]
        losses.append(np.mean([info["loss_nats"] for info in steps]))
    assert of(events, "without", "loss") == pytest.approx(losses)


def test_both_sides_give_a_grid_a_loss_and_a_score_after_each_epoch_in_turn(events):
    ends = [(event["side"], event["epoch"]) for event in events if "grid" in event]
    assert ends == [(side, epoch) for epoch in (1, 2) for side in SIDES]
    for side in SIDES:
        assert len(set(of(events, side, "grid"))) == 2
        assert all(grid.startswith("data:image/png;base64,") for grid in of(events, side, "grid"))
        assert all(0 <= score <= 1 for score in of(events, side, "score"))
    assert of(events, "with", "loss") != of(events, "without", "loss")


def test_the_agent_says_what_it_decides(events):
    assert of(events, "without", "decision") == []
    first, second = of(events, "with", "decision")
    assert first.startswith("Before epoch 1: shift latents by up to ")
    assert second.startswith("Before epoch 2: ")


def test_steps_are_counted_for_both_sides(events):
    steps = 2 * 2 * 3  # sides, epochs, minibatches of 33 hands
    assert [event["done"] for event in events if "done" in event] == list(range(1, steps + 1))
    assert {event["of"] for event in events if "of" in event} == {steps}
    assert events[0] == {"status": "Rendering hands to train on: 0 of 33."}


def test_a_vae_that_diverges_is_said_in_one_sentence(monkeypatch, tiny_images):
    side = Side(tiny_images, TrainSettings(seed=1), acts=False)
    monkeypatch.setattr(side.env, "step", lambda action: (None, 0.0, True, False, {"epoch": 0}))
    with pytest.raises(ValueError, match=r"The VAE diverged\. Choose another seed\."):
        side.step()
    side.losses = [1.0]
    monkeypatch.setattr(side.drawn, "draw", lambda: None)
    with pytest.raises(ValueError, match=r"The VAE diverged\. Choose another seed\."):
        side.end_epoch()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": 31}, "images must be at least 32"),
        ({"images": 2001}, "images must be at most 2000"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainSettings(**settings)
    assert torch.is_grad_enabled()
