import numpy as np
import pytest
import torch
from torch import nn

from agents import paper
from vae.images.synthetic import generate_hands


def test_the_paper_s_agent_is_dense_with_relu_twin_critics_and_kappa_one():
    model = paper(generate_hands(8, 32, seed=0).images, seed=0)
    env = model.get_env().envs[0].unwrapped
    assert (env.delta_scale, env.training.epochs, env.training.batch_size, env.latent_dim) == (1.0, 1, 8, 300)
    env.reset(seed=0)
    assert env.trainer.total_steps == 1  # an episode is one state
    assert len(model.critic.q_networks) == 2
    assert {type(layer) for layer in model.actor.latent_pi} == {nn.Linear, nn.ReLU}
    assert np.abs(model.predict(np.full((8, 300), 100.0, np.float32))[0]).max() <= 1


def test_too_few_pictures_are_refused_by_their_number_and_not_by_the_size_of_a_batch():
    with pytest.raises(ValueError, match=r"images must be at least 8, one minibatch, got 7\. Read more of them\."):
        paper(generate_hands(7, 32, seed=0).images, seed=0)


@pytest.mark.slow
def test_the_paper_s_agent_trains_over_episodes_of_fresh_vaes():
    model = paper(generate_hands(16, 32, seed=0).images, seed=0)
    model.learning_starts, before = 4, [p.detach().clone() for p in model.actor.parameters()]
    model.learn(12)
    assert len(model.ep_info_buffer) == 6
    assert any(not torch.equal(a, b) for a, b in zip(before, model.actor.parameters(), strict=True))
