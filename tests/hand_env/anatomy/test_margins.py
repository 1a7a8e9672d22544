from types import SimpleNamespace

import torch

from hand_env.anatomy.margins import raw_margins


def test_margins_are_the_log_odds_of_the_worst_digit_and_of_no_additional_one(generator):
    states, extra = torch.randn(3, 5, 9, generator=generator), torch.randn(3, 4, generator=generator)
    margins = raw_margins(SimpleNamespace(states=states, extra=extra, whole=torch.zeros(3), hand=torch.zeros(3)))
    torch.testing.assert_close(margins["states"], torch.logit(states.softmax(-1)[..., 0]).amin(1))
    torch.testing.assert_close(margins["extra"], torch.logit(extra.softmax(-1)[:, 0]))
