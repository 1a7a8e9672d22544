import copy

import pytest
import torch
from torch.optim import Adam

from agents.rl import adam
from agents.rl.adam import AdamSteps, as_stock, is_capturable, make_capturable


def weights():
    generator = torch.Generator().manual_seed(0)
    shapes = ((5, 7), (5,), (3, 4, 3, 3))
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


def losses(own, steps=6):
    """Each uses all weights but the third loss, which leaves out the second."""
    generator = torch.Generator().manual_seed(1)
    for number in range(steps):
        yield sum(
            (weight * torch.randn(weight.shape, generator=generator)).square().sum()
            for place, weight in enumerate(own)
            if (number, place) != (2, 1)
        )


def stepped(optimizer, own, together=()):
    """Take torch's steps, or ours: `together` says how many before each `write_counts`."""
    source = losses(own)
    for _ in range(0 if together else 6):
        optimizer.zero_grad()
        next(source).backward()
        optimizer.step()
    for count in together:
        steps = AdamSteps(optimizer)
        for _ in range(count):
            steps.step(next(source))
        steps.write_counts()
    return optimizer.state_dict(), own


@pytest.mark.parametrize("part", [1, 40, 10**6])
@pytest.mark.parametrize("settings", [{}, {"weight_decay": 0.1}, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3}])
def test_weights_and_states_are_torchs_bit_for_bit(settings, part, monkeypatch):
    monkeypatch.setattr(adam, "PART", part)
    (state, own), (others, other) = (
        stepped(Adam(each := weights(), **{"lr": 0.01, **settings}), each, together) for together in ((), (1, 3, 2))
    )
    torch.testing.assert_close(others, state, rtol=0, atol=0)
    torch.testing.assert_close(other, own, rtol=0, atol=0)
    assert int(state["state"][0]["step"]) == 6
    assert int(state["state"][1]["step"]) == 5


@pytest.mark.parametrize("fused", [False, True])
def test_a_gradient_in_another_memory_order_is_not_mixed_up(fused):
    weight = torch.randn(3, 4, 3, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    factor = torch.randn(3, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    before = weight.detach().clone()
    steps = AdamSteps(Adam([weight], lr=0.01, fused=fused))
    for _ in range(2):
        steps.step((weight * factor.contiguous(memory_format=torch.channels_last)).sum())
    torch.testing.assert_close(before - weight, 0.02 * factor.sign(), rtol=1e-3, atol=1e-5)


def test_what_a_graph_needs_is_not_saved():
    stock, rate = Adam(weights(), lr=0.01, betas=(0.5, 0.9)), torch.zeros(())
    stepped(stock, stock.param_groups[0]["params"])
    before = copy.deepcopy(stock.state_dict())
    assert as_stock(stock, stock.state_dict()) == stock.state_dict()
    make_capturable(stock, rate)
    group = stock.param_groups[0]
    assert float(rate) == pytest.approx(0.01)
    assert group["lr"] is rate
    assert group["capturable"]
    assert group["fused"]
    after = as_stock(stock, stock.state_dict())
    torch.testing.assert_close(after["state"], before["state"], rtol=0, atol=0)
    (saved,), (own,) = after["param_groups"], before["param_groups"]
    assert saved.pop("lr") == pytest.approx(own.pop("lr"))
    assert saved == own


def test_only_adam_is_made_capturable():
    kinds = (Adam, torch.optim.AdamW, torch.optim.SGD)
    assert [is_capturable(kind(weights(), lr=0.1)) for kind in kinds] == [True, True, False]
