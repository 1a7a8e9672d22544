import gymnasium as gym
import pytest
from safetensors.torch import save_file
from stable_baselines3 import SAC


class Brightness:
    """Stands in for the package's rewarding judge."""

    @classmethod
    def load(cls, weights, *, device):
        return cls()

    def correct(self, pictures):
        return 0.5 * pictures.mean((1, 2, 3))


@pytest.fixture
def bright_drawn(monkeypatch):
    """Let the brightness of drawn hands pay."""
    monkeypatch.setattr("agents.commands.curriculum.agent_training.Judge", Brightness)


@pytest.fixture
def make_agent(tmp_path):
    """Write the weights of an agent of HandSchedule-v0; return the file and its policy."""

    def make(seed=0):
        policy = SAC("MlpPolicy", gym.make("HandSchedule-v0"), policy_kwargs={"net_arch": [16, 8]}, seed=seed).policy
        save_file(policy.state_dict(), tmp_path / f"agent-{seed}.safetensors")
        return tmp_path / f"agent-{seed}.safetensors", policy

    return make
