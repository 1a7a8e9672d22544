"""Train Tianshou's SAC with its own collector and trainer, with HandLatent-v0 in its single form."""

import gymnasium as gym
import numpy as np
from hands import HANDS, SEEN, check_learned, copied, ran
from tianshou.algorithm import SAC
from tianshou.algorithm.modelfree.sac import AutoAlpha, SACPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.trainer import OffPolicyTrainerParams
from tianshou.utils.net.common import Net
from tianshou.utils.net.continuous import ContinuousActorProbabilistic, ContinuousCritic


def make() -> gym.Env:
    """HandLatent-v0 with a flat action; Tianshou's networks make one axis of an observation, and of no action."""
    return gym.make("HandLatent-v0", flat=True, **HANDS)


def main() -> None:
    """Train SAC for 24 steps, and see that it and the VAE learned."""
    env = make()
    seen, size = env.observation_space.shape, env.action_space.shape
    body = Net(state_shape=seen, hidden_sizes=[32])
    actor = ContinuousActorProbabilistic(preprocess_net=body, action_shape=size, unbounded=True, conditioned_sigma=True)
    critics = [
        ContinuousCritic(preprocess_net=Net(state_shape=seen, action_shape=size, hidden_sizes=[32], concat=True))
        for _ in range(2)
    ]
    adam = AdamOptimizerFactory(lr=1e-3)
    agent = SAC(
        policy=SACPolicy(actor=actor, action_space=env.action_space),
        policy_optim=adam,
        critic=critics[0],
        critic_optim=adam,
        critic2=critics[1],
        critic2_optim=adam,
        alpha=AutoAlpha(-float(np.prod(size)), 0.0, adam),
    )
    before = copied(actor)
    result = agent.run_training(
        OffPolicyTrainerParams(
            training_collector=Collector(agent, DummyVectorEnv([make]), VectorReplayBuffer(100, 1)),
            max_epochs=2,
            epoch_num_steps=12,
            collection_step_num_env_steps=4,
            batch_size=8,
            update_step_num_gradient_steps_per_sample=0.5,
            show_progress=False,
            verbose=False,
        )
    )
    assert result.update_step > 0
    check_learned(before, actor)
    SEEN.check(24)
    ran("SAC: single, flat")


if __name__ == "__main__":
    main()
