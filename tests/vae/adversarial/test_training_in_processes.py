"""Two processes, started as torchrun starts them, train the recipe's VAE as one."""

import adversarial_in_parallel
import pytest
import torch
from adversarial_in_parallel import NARROW, SLOW
from processes import Job

from vae.acceleration import parallel
from vae.adversarial.training import own_rows


@pytest.mark.slow(seconds=10)
def test_two_processes_train_the_recipe_s_vae_as_one_with_the_same_batch(tmp_path, monkeypatch):
    job = Job(tmp_path / "errors", 2, adversarial_in_parallel.work, tmp_path, patches={**NARROW, **SLOW})
    for name, value in {**NARROW, **SLOW}.items():
        monkeypatch.setattr(name, value)
    alone = adversarial_in_parallel.curve()
    assert job.wait() == 0, job.errors.read_text()
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for each in found:
        torch.testing.assert_close(each["terms"], alone["terms"], rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(each["weights"], alone["weights"], rtol=1e-5, atol=2e-6)
        assert each["log_weight"] == pytest.approx(alone["log_weight"], rel=1e-6)
        for ours, theirs, rounding in zip(each["gradients"], alone["gradients"], (1e-2, 1e-4), strict=True):
            assert (ours - theirs).norm() < rounding * theirs.norm()
    torch.testing.assert_close(*found, rtol=0, atol=0)  # or the processes would drift apart


def test_a_batch_whose_every_other_picture_the_processes_do_not_divide_is_refused(monkeypatch):
    assert own_rows(5) == (slice(0, 5), slice(0, 3))
    monkeypatch.setattr(parallel, "_group", parallel._Group(rank=1, size=3))
    assert own_rows(12) == (slice(4, 8), slice(2, 4))
    with pytest.raises(
        ValueError, match=r"multiple of twice the number of processes, 6, got 9\. It counts the pictures"
    ):
        own_rows(9)
