"""The agent of a set of weights in the form that Stable-Baselines3 saves and huggingface_sb3 looks for.

It is written for others and never read here, because Stable-Baselines3 unpickles what it loads.
"""

from pathlib import Path

from stable_baselines3 import SAC

from agents.rl.picture_policy import RefinePolicy
from agents.rl.row_agent import RowAgent
from agents.rl.sac import make_sac
from hand_env import HandRefineEnv
from vae.model import VAE


def zip_name(agent: RowAgent) -> str:
    """Return the file's name as huggingface_sb3 has it: the algorithm, then the environment."""
    return f"sac-{agent.notes.env_id}.zip"


def write_zip(agent: RowAgent, vae: VAE, folder: Path) -> Path:
    """Write a SAC whose actor is the agent; a set holds no critics, so these are untrained.

    If the agent sees pictures, the file also holds the VAE that decodes them, and loading it needs handlatent.

    Args:
        agent: The agent, on the CPU.
        vae: The VAE of its latents.
        folder: Folder for the file.

    Returns:
        The file.
    """
    notes = agent.notes
    env = HandRefineEnv(
        vae,
        judge=lambda pictures: pictures.mean((1, 2, 3)),  # gives the spaces only: nothing is judged
        delta_scale=notes.delta_scale,
        steps_per_episode=notes.steps_per_episode,
    )
    policy = RefinePolicy if notes.sees_pictures else "MlpPolicy"
    model = make_sac(env, seed=0, policy=policy, algorithm=SAC, policy_kwargs={"net_arch": list(notes.net_arch)})
    model.actor.load_state_dict(agent.actor.state_dict())
    path = folder / zip_name(agent)
    model.save(path)
    return path
