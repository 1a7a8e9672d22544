"""Where training episodes begin: at drawn latents, and at what earlier episodes have raised but not enough."""

import numpy as np
import torch

from agents.commands.refine.start_latents import Starts

ROWS, D = 4, 3


class Counter:
    """A sampler whose latents are 1, 2, 3, ... in every dimension, whatever the seed."""

    def __init__(self):
        self.drawn = 0

    def sample(self, n, seed):
        self.drawn += n
        return torch.arange(self.drawn - n + 1, self.drawn + 1).float()[:, None].expand(n, D)


def begin(starts):
    """Begin an episode in every row, as the environment does, one by one; return the latents' first numbers."""
    return [float(starts.sample(1, seed)[0, 0]) for seed in range(ROWS)]


def end(starts, ends, rewards, scores):
    """End all rows' episodes, after the next ones have begun; return where these begin."""
    begun = begin(starts)
    ends = np.repeat(np.array(ends, np.float32)[:, None], D, 1)
    starts.after_step(np.array(rewards, np.float32), np.array(scores, float), ends)
    return begun


def test_what_was_raised_but_not_enough_is_tried_again_and_nothing_else():
    starts = Starts(Counter(), ROWS, refine_below=2.0)
    assert begin(starts) == [1, 2, 3, 4]
    # the episodes that follow have begun when these end: what is to be tried again waits for the ones after them
    assert end(starts, [10, 20, 30, 40], rewards=[1, -1, 1, 0], scores=[0, 0, 3, 0]) == [5, 6, 7, 8]
    assert starts.later == 0
    assert end(starts, [50, 60, 70, 80], [-1] * ROWS, [0] * ROWS) == [10, 9, 10, 11]  # row 0 begins at its own end
    assert starts.later == 1 / ROWS
    assert end(starts, [0] * ROWS, [-1] * ROWS, [0] * ROWS) == [12, 13, 14, 15]


def test_a_latent_goes_through_so_many_rounds_at_most():
    starts = Starts(Counter(), ROWS, refine_below=np.inf, rounds=2)
    begin(starts)
    end(starts, [10, 20, 30, 40], [1] * ROWS, [0] * ROWS)
    assert end(starts, [50, 60, 70, 80], [-1] * ROWS, [0] * ROWS) == [10, 20, 30, 40]
    assert starts.later == 1
    end(starts, [11, 21, 31, 41], [1] * ROWS, [0] * ROWS)
    assert begin(starts) == [13, 14, 15, 16]


def test_an_episode_of_several_steps_is_raised_where_its_end_is_above_its_beginning():
    starts = Starts(Counter(), ROWS, refine_below=2.0)
    begin(starts)
    starts.after_step(np.array([3, -3, 1, -1], np.float32), np.zeros(ROWS), None)
    end(starts, [10, 20, 30, 40], rewards=[-2, 2, -2, 2], scores=[0] * ROWS)
    assert begin(starts) == [10, 40, 9, 10]


def test_it_knows_the_scores_of_what_it_returns():
    def scores(first):
        return starts.scores(np.repeat(np.array(first, np.float32)[:, None], D, 1)).tolist()

    drawn = np.full(D, 2, np.float32).tobytes()
    starts = Starts(Counter(), ROWS, refine_below=2.0, known={drawn: -7.0})
    begin(starts)
    assert np.array_equal(scores([1, 2]), [np.nan, -7], equal_nan=True)
    end(starts, [10, 20, 30, 40], rewards=[1, -1, 1, -1], scores=[0.5, 0, 1.5, 0])
    restored = starts.state_dict()
    for _ in range(2):
        assert begin(starts) == [10, 30, 9, 10]
        assert np.array_equal(scores([10, 30, 9, 20]), [0.5, 1.5, np.nan, np.nan], equal_nan=True)
        counter = Counter()
        counter.drawn = 8
        starts = Starts(counter, ROWS, refine_below=2.0)
        starts.load_state_dict(restored)
    begin(starts)
    starts.after_step(np.zeros(ROWS), np.zeros(ROWS), np.zeros((ROWS, D), np.float32))
    assert np.isnan(scores([10, 30])).all()  # they have begun


def test_a_restored_one_goes_on_the_same():
    counters = Counter(), Counter()
    first, second = (Starts(counter, ROWS, refine_below=2.0) for counter in counters)
    for starts in (first, second):
        begin(starts)
    end(first, [10, 20, 30, 40], [1, 1, -1, -1], [0] * ROWS)
    first.after_step(np.ones(ROWS, np.float32), np.zeros(ROWS), None)
    counters[1].drawn = counters[0].drawn
    second.load_state_dict(first.state_dict())
    for starts in (first, second):  # by now -1 + 1: not raised; where it was tried again, in the second round
        end(starts, [1, 2, 3, 4], [0, -1, 0, -1], [0] * ROWS)
    assert begin(first) == begin(second)
    assert first.later == second.later == 2 / ROWS
    empty = Starts(Counter(), ROWS, refine_below=2.0)
    empty.load_state_dict(Starts(Counter(), ROWS, refine_below=2.0).state_dict())
    assert begin(empty) == [1, 2, 3, 4]


def test_several_at_once_are_what_is_tried_again_and_then_drawn():
    starts = Starts(Counter(), ROWS, refine_below=2.0)
    begin(starts)
    end(starts, [10, 20, 30, 40], [1, 1, -1, -1], [0] * ROWS)
    latents = starts.sample(5, 0)
    assert latents.shape == (5, D)
    assert latents.dtype == torch.float32
    assert latents[:, 0].tolist() == [10, 20, 9, 10, 11]
