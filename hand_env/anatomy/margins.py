"""Turn a network's answers into the few numbers that limits are set on."""

from torch import Tensor

from hand_env.anatomy.network import Parse
from vae.images.labelled.vocabulary import NO_EXTRA, NORMAL


def margins(parse: Parse) -> dict[str, Tensor]:
    """Say how sure the network is that all is right.

    Args:
        parse: Of n pictures.

    Returns:
        (n,) logits each, the larger the surer: of the hand as a whole, of there being a hand, of the digit that is
        least likely normal, of there being no other digit.
    """
    states, extra = parse.states.log_softmax(-1), parse.extra.log_softmax(-1)
    return {
        "whole": parse.whole,
        "hand": parse.hand,
        "states": (states[..., NORMAL] - states[..., NORMAL + 1 :].logsumexp(-1)).amin(1),
        "extra": extra[:, NO_EXTRA] - extra[:, NO_EXTRA + 1 :].logsumexp(-1),
    }
