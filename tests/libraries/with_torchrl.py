"""Train TorchRL's SAC on transitions from its Collector, with HandLatent-v0 in its single form.

`GymEnv` takes the argument `batch_size` itself, so the minibatch is named `minibatch_size`. The Collector takes each
step of the environment under `torch.no_grad()`. The VAE trains all the same.
"""

from typing import Any

import gymnasium as gym
import torch
from hands import HANDS, SEEN, check_learned, copied, ran
from tensordict.nn import InteractionType, NormalParamExtractor, TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.envs import GymEnv, GymWrapper, check_env_specs
from torchrl.modules import MLP, ProbabilisticActor, TanhNormal, ValueOperator
from torchrl.objectives import SACLoss, SoftUpdate


def make(**settings: Any) -> GymEnv:
    """HandLatent-v0 with 4 of 8 pictures a step."""
    return GymEnv("hand_env:HandLatent-v0", minibatch_size=4, **HANDS, **settings)


def train() -> None:
    """Train SAC for 24 steps, and see that it and the VAE learned."""
    env = make(flat=True)
    size = env.action_spec.shape[-1]
    net = nn.Sequential(MLP(in_features=size, out_features=2 * size, num_cells=[32]), NormalParamExtractor())
    actor = ProbabilisticActor(
        TensorDictModule(net, ["observation"], ["loc", "scale"]),
        spec=env.action_spec,
        in_keys=["loc", "scale"],
        distribution_class=TanhNormal,
        distribution_kwargs={"low": env.action_spec.space.low, "high": env.action_spec.space.high},
        default_interaction_type=InteractionType.RANDOM,
        return_log_prob=False,
    )
    value = ValueOperator(MLP(in_features=2 * size, out_features=1, num_cells=[32]), ["observation", "action"])
    loss = SACLoss(actor, value, num_qvalue_nets=2)
    loss.make_value_estimator(gamma=0.99)
    target, optimizer = SoftUpdate(loss, tau=0.005), torch.optim.Adam(loss.parameters(), 1e-3)
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(100), batch_size=8)
    before = copied(net)
    for data in Collector(env, actor, frames_per_batch=8, total_frames=24):
        buffer.extend(data.reshape(-1))
        losses = loss(buffer.sample())
        sum(losses[name] for name in ("loss_actor", "loss_qvalue", "loss_alpha")).backward()
        optimizer.step()
        optimizer.zero_grad()
        target.step()
    check_learned(before, net)
    SEEN.check(24)


if __name__ == "__main__":
    check_env_specs(make())
    check_env_specs(make(flat=True))
    for mode in ("SameStep", "Disabled"):  # it refuses NextStep
        check_env_specs(GymWrapper(gym.make_vec("HandLatent-v0", num_envs=4, autoreset_mode=mode, **HANDS)))
    ran("`check_env_specs`: single; single, flat; rows")
    SEEN.losses.clear()
    train()
    ran("`SACLoss` and `Collector`: single, flat")
