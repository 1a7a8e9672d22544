"""Train skrl's SAC and PPO with its own runner and trainer, in both forms of HandLatent-v0.

skrl's trainers take each step of the environment under `torch.no_grad()`. The VAE trains all the same.
"""

from copy import deepcopy
from typing import Any

import gymnasium as gym
from hands import HANDS, SEEN, check_learned, copied, ran
from skrl.envs.wrappers.torch import wrap_env
from skrl.utils.runner.torch import Runner

LAYERS = {"layers": [32, 32], "activations": "relu"}
ACTOR = {
    "class": "GaussianMixin",
    "clip_actions": True,
    "network": [{"name": "net", "input": "OBSERVATIONS", **LAYERS}],
    "output": "ACTIONS",
}
VALUE = {
    "class": "DeterministicMixin",
    "network": [{"name": "net", "input": "OBSERVATIONS", **LAYERS}],
    "output": "ONE",
}
CRITIC = VALUE | {"network": [{"name": "net", "input": "concatenate([OBSERVATIONS, ACTIONS])", **LAYERS}]}
CRITICS = ("critic_1", "critic_2", "target_critic_1", "target_critic_2")
ALGORITHMS: dict[str, dict[str, Any]] = {
    "SAC": {
        "models": {"policy": ACTOR, **dict.fromkeys(CRITICS, CRITIC)},
        "memory": {"class": "RandomMemory", "memory_size": 100},
        "agent": {"class": "SAC", "batch_size": 8, "random_timesteps": 4, "learning_starts": 4},
    },
    "PPO": {
        "models": {"policy": ACTOR, "value": VALUE},
        "memory": {"class": "RandomMemory", "memory_size": -1},
        "agent": {"class": "PPO", "rollouts": 8, "learning_epochs": 2, "mini_batches": 2},
    },
}


def train(name: str, env: Any) -> None:
    """Train an agent for 24 steps, and see that it and the VAE learned."""
    config = deepcopy(ALGORITHMS[name])
    config["models"] = {"separate": True} | {role: deepcopy(model) for role, model in config["models"].items()}
    config["agent"]["experiment"] = {"write_interval": 0, "checkpoint_interval": 0}
    # headless: else skrl calls the method `call` of the vector form, which SyncVectorEnv alone has
    config["trainer"] = {"class": "SequentialTrainer", "timesteps": 24, "headless": True, "disable_progressbar": True}
    runner = Runner(wrap_env(env, verbose=False), {"seed": 0, **config})
    before = copied(runner.agent.policy)
    runner.run("train")
    check_learned(before, runner.agent.policy)
    SEEN.check(20)  # of the vector form's 24 steps, each seventh resets


if __name__ == "__main__":
    for name in ALGORITHMS:
        train(name, gym.make("HandLatent-v0", flat=True, **HANDS))  # its models give B actions for a (B, D) Box
        train(name, gym.make_vec("HandLatent-v0", num_envs=4, **HANDS))
        ran(f"{name}: single, flat; rows")
