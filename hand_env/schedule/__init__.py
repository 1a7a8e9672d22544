"""HandSchedule-v0: how far, in what way and when to shift the latents while a VAE learns. Rewards are `hand_env`'s.

The names here make the same shifts in a training script with a fixed schedule; `hand_env` exports the environment.
"""

from hand_env.schedule.deltas import Deltas, Schedule, constant, falling, shift_latents, step_generator

__all__ = ["Deltas", "Schedule", "constant", "falling", "shift_latents", "step_generator"]
