"""The commands `handlatent hub pull` and `handlatent hub push`: sets of weights from the Hugging Face hub and to it."""

from agents.commands.hub.args import HubPullArgs, HubPushArgs
from agents.commands.hub.pull import pull_set
from agents.commands.hub.push import push_set

__all__ = ["HubPullArgs", "HubPushArgs", "pull_set", "push_set"]
