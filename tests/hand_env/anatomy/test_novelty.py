import torch

from hand_env.anatomy import judge_novelty


def test_a_copy_is_not_new_even_mirrored_and_a_stranger_is(judge):
    pictures = torch.rand(30, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    training, held_out, stranger = pictures[:10], pictures[10:29], pictures[29:].flip(1) * 0.5
    made = torch.cat([training[3:4], training[5:6].flip(3), stranger])
    found = judge_novelty(judge, made, training, held_out)
    assert found.new.tolist()[:2] == [False, False]
    assert found.nearest[0] == 3
    assert found.nearest_by_pixels.tolist()[:2] == [3, 5]
    assert found.pixels[0] < 1e-3 < found.pixels[2]
    assert found.pixels[2] >= found.pixels_limit
