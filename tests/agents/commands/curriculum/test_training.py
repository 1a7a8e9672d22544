from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from agents.commands.curriculum import CurriculumArgs
from agents.commands.curriculum.args import batch_size
from agents.commands.curriculum.jobs import make_job
from agents.commands.curriculum.methods import parse_method
from agents.commands.curriculum.training import groups, make_shifts, train_group, untrained_agent
from agents.rl.schedule_agent import load_agent
from hand_env.schedule.deltas import shift_latents, step_generator
from vae import Trainer, VAEConfig, build_vae

ARGS = CurriculumArgs(size=32, latent_dim=6)


@pytest.fixture
def make(tiny_images):
    def jobs(*methods, seeds=(0,), epochs=1):
        return [make_job("8", epochs, parse_method(name), s, tiny_images[:8], ARGS) for s in seeds for name in methods]

    return jobs


def alone(job):
    return Trainer(build_vae(VAEConfig(32, 6), job.seed), job.images, job.config(ARGS), job.seed)


def weights(trainer):
    return torch.cat([tensor.flatten() for tensor in trainer.averaged_vae.state_dict().values()])


def test_half_of_the_pictures_and_at_most_64_make_a_minibatch():
    assert [batch_size(n, ARGS) for n in (2, 8, 80, 800, 1396)] == [1, 4, 40, 64, 64]
    assert batch_size(80, CurriculumArgs(batch_size=16)) == 16


def test_a_group_has_at_most_so_many_jobs_and_those_with_their_own_environment_are_alone(make):
    jobs = make("none", "rows", "schedule", "kl-2", "uniform-1", seeds=(0, 1))
    found = [[(job.method.name, job.seed) for job in group] for group in groups(jobs, 4)]
    assert found[:2] == [[("none", 0), ("kl-2", 0), ("uniform-1", 0), ("none", 1)], [("kl-2", 1), ("uniform-1", 1)]]
    assert found[2:] == [[("schedule", 0), ("schedule", 1)], [("rows", 0)], [("rows", 1)]]


def test_each_vae_of_a_group_is_the_one_that_its_method_trains_alone(make):
    jobs = make("none", "falling-2", "kl-4", "uniform-1+kl-2", seeds=(0, 1))
    for job, trained in zip(jobs, train_group(jobs, ARGS, "cpu"), strict=True):
        trainer = alone(job)
        for step in range(2):
            latents = trainer.encode()
            trainer.step(shift_latents(latents, job.method.deltas(step / 2), step_generator(trainer)))
        assert trained.job is job
        assert torch.equal(weights(trained.trainer), weights(trainer)), job.method.name
        assert trained.trainer.config.kl_weight == job.method.kl_weight


def test_nothing_moves_where_nothing_acts(make):
    jobs = make("none", "kl-2")
    trainers = [alone(job) for job in jobs]
    latents = torch.stack([trainer.encode() for trainer in trainers])
    assert make_shifts(jobs, trainers, latents, 0.0, {}) is None
    jobs = make("none", "uniform-0.5")
    shifts = make_shifts(jobs, trainers, latents, 0.0, {})
    assert shifts is not None
    assert not shifts[0].any()
    assert 0.3 < shifts[1].abs().max() <= 0.5


def test_the_untrained_agent_moves_latents_by_at_most_a_tenth_and_repeats_by_seed(make):
    (job,) = make("untrained")
    trainer = alone(job)
    shift = untrained_agent(job, trainer)(trainer, trainer.encode())
    assert shift.shape == (4, 6)
    assert 0.05 < shift.abs().max() <= 0.1
    assert torch.equal(untrained_agent(job, trainer)(trainer, trainer.encode()), shift)
    (other,) = make("untrained", seeds=(1,))
    assert not torch.equal(untrained_agent(other, trainer)(trainer, trainer.encode()), shift)


def test_the_untrained_agent_leaves_the_global_random_states_alone(make, monkeypatch):
    (job,) = make("untrained")
    trainer = alone(job)
    before, seeds_of_gpus = torch.get_rng_state(), list[int]()
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds_of_gpus.append)
    untrained_agent(job, trainer)
    assert torch.equal(before, torch.get_rng_state())
    assert seeds_of_gpus == []
    trained = train_group([job, *make("none")], ARGS, "cpu")
    assert not torch.equal(weights(trained[0].trainer), weights(trained[1].trainer))


def test_sac_in_the_row_form_trains_a_vae_to_the_end_of_one_episode(make):
    (trained,) = train_group(make("rows", epochs=2), ARGS, "cpu")
    assert trained.trainer.steps_done == trained.trainer.total_steps == 4


def test_a_trained_agent_of_the_schedule_trains_vaes_to_the_end_of_their_episodes(make, make_agent, bright_drawn):
    path, policy = make_agent()
    jobs, args = make("schedule+kl-2", seeds=(0, 1), epochs=3), replace(ARGS, agent=path)
    trained = train_group(jobs, args, "cpu")
    assert [one.trainer.steps_done for one in trained] == [6, 6]
    assert {one.trainer.config.kl_weight for one in trained} == {2.0}
    assert not torch.equal(*(weights(one.trainer) for one in trained))
    observation = np.random.default_rng(0).normal(size=(1, 14)).astype(np.float32)
    expected = policy.predict(observation, deterministic=True)[0]
    np.testing.assert_allclose(load_agent(path).predict(observation, deterministic=True)[0], expected, atol=1e-6)


def test_a_file_that_holds_no_agent_is_refused(make, tmp_path):
    (job,) = make("schedule")
    with pytest.raises(FileNotFoundError, match=r"--agent '.*absent' must be the file of a trained agent"):
        train_group([job], replace(ARGS, agent=tmp_path / "absent"), "cpu")
    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"must hold the weights of SAC's policy for HandSchedule-v0, got:"):
        train_group([job], replace(ARGS, agent=tmp_path / "other.safetensors"), "cpu")
