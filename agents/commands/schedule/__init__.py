"""`handlatent schedule`: train the agent that decides how the latents are shifted while a VAE learns."""

from agents.commands.schedule.args import ScheduleArgs
from agents.commands.schedule.command import schedule

__all__ = ["ScheduleArgs", "schedule"]
