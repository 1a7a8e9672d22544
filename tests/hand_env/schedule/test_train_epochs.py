import numpy as np
import pytest

CHOICE = np.array([-0.5, -1, -1], np.float32)


def test_an_interrupted_stretch_s_loss_is_the_mean_over_the_steps_that_it_took(make_schedule, monkeypatch):
    env = make_schedule(reward="loss_change")
    env.reset(seed=0)
    env.step(CHOICE), env.step(CHOICE)
    trainer, real, seen = env.env.trainer, env.env.trainer.step, []
    for _ in range(2):  # of the five steps of the last stretch
        env.env.scorer.score(real(), trainer.epoch + 1)

    def step(*args, **settings):
        losses = real(*args, **settings)
        seen.append(float(losses.total.mean()))
        return losses

    monkeypatch.setattr(trainer, "step", step)
    info = env.step(CHOICE)[4]
    assert len(seen) == 3
    assert info["loss_nats"] == pytest.approx(np.mean(seen), rel=1e-6)


def test_changes_are_sums_over_the_stretch(make_schedule):
    env = make_schedule(reward="loss_change")
    env.reset(seed=0)
    env.step(CHOICE)
    _, reward, _, _, info = env.step(CHOICE)
    assert reward != 0
    assert info["loss_change_nats"] == pytest.approx(-reward / env.reward_scale)


def test_the_validation_s_change_is_reported_beside_what_is_drawn(make_schedule, tiny_images):
    env = make_schedule(validation_images=tiny_images[:3])
    assert env.reset(seed=0)[1]["validation_change_nats"] == 0
    env.step(CHOICE)
    assert env.step(CHOICE)[4]["validation_change_nats"] != 0
