"""Reduce a network's answers to the few numbers that have limits."""

from torch import Tensor

from hand_env.anatomy.network import Parse
from vae.images.labelled.vocabulary import NO_EXTRA, NORMAL


def raw_margins(parse: Parse) -> dict[str, Tensor]:
    """Measure how sure the network is that everything is right, before any limit is subtracted.

    Args:
        parse: The network's answers for n pictures.

    Returns:
        (n,) logits each; a larger value means that the network is surer.

        - "whole": The hand as a whole is right.
        - "hand": There is a hand.
        - "states": The digit that is least likely normal is normal.
        - "extra": There is no additional digit.
    """
    states, extra = parse.states.log_softmax(-1), parse.extra.log_softmax(-1)
    return {
        "whole": parse.whole,
        "hand": parse.hand,
        "states": (states[..., NORMAL] - states[..., NORMAL + 1 :].logsumexp(-1)).amin(1),
        "extra": extra[:, NO_EXTRA] - extra[:, NO_EXTRA + 1 :].logsumexp(-1),
    }
