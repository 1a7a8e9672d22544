"""Two processes, started as torchrun starts them, train as one."""

import in_parallel
import pytest
import torch
from processes import Job

from vae.acceleration import parallel

two_processes = pytest.mark.slow(seconds=5)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("processes")
    job = Job(folder / "errors", 2, in_parallel.work, folder)
    assert job.wait() == 1, job.errors.read_text()
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


@two_processes
def test_each_process_knows_its_place_and_its_rows(found):
    assert [each["facts"] for each in found] == [(2, True, slice(0, 3)), (2, False, slice(3, 6))]
    assert [each["after"] for each in found] == [1, 1]
    assert [each["parts"].tolist() for each in found] == [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]]


@two_processes
def test_messages_arrive_the_same_in_all_processes(found):
    for each in found:
        assert each["gathered"].tolist() == [[0], [1], [10], [11]]
        assert each["sent"].tolist() == [7]
        assert each["flag"] is True
        assert each["made"] == {"by": 0}
        assert each["alone"] == (1, True, "thread_local")  # where NCCL may still ask the GPU
        matrix, number = each["means"]
        assert torch.equal(matrix, torch.full((3, 2), 0.5))
        assert number == 2


@two_processes
def test_gradients_leave_while_the_backward_pass_goes_on(found):
    for each in found:
        *gradients, unused, also, sent = each["gradients"]
        assert [gradient.tolist() for gradient in gradients] == [[1.5, 1.5]] * 3
        assert (unused, also.item()) == (None, 2)
        assert sent == [5, "the pass reached the first parameter", 2]  # and none for nothing


@two_processes
def test_an_error_of_one_process_is_not_said_again(found):
    assert [each["raised"] for each in found] == ["ValueError", "AlreadySaid"]
    assert [each["ended"] for each in found] == ["AlreadySaid", "KeyError"]


@two_processes
def test_a_process_that_waits_for_a_killed_one_for_ever_says_so_and_ends(tmp_path):
    job = Job(tmp_path / "errors", 2, in_parallel.stuck)
    assert job.wait() != 0
    assert job.errors.read_text().count(parallel.STOPPED) == 1


@two_processes
def test_a_batch_that_the_processes_do_not_divide_is_refused(found):
    expected = (
        "batch_size must be a multiple of the number of processes, 2, got 7. It counts the pictures of all processes "
        "together."
    )
    assert [each["refused"] for each in found] == [expected] * 2


@two_processes
@pytest.mark.parametrize("way", in_parallel.WAYS)
def test_two_processes_train_as_one_with_the_same_batch(found, way):
    alone = in_parallel.curve(way)
    for each in (one[way] for one in found):
        for step, expected in zip(each["seen"], alone["seen"], strict=True):
            assert torch.equal(step[1], expected[1])  # the pictures, of both processes
            torch.testing.assert_close(step, expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(each["log_variance"], alone["log_variance"], rtol=1e-5, atol=1e-5)
        for name in ("weights", "averaged"):
            torch.testing.assert_close(each[name], alone[name], rtol=1e-3, atol=1e-4)
    for name in ("weights", "averaged", "log_variance"):  # or the processes would drift apart
        assert torch.equal(found[0][way][name], found[1][way][name])


def test_alone_everything_stays_as_it_is():
    tensor = torch.randn(2, 3)
    with parallel.process_group("cpu"):
        assert (parallel.world_size(), parallel.is_main(), parallel.local_rows(5)) == (1, True, slice(0, 5))
        assert parallel.all_gather(tensor) is tensor
        assert parallel.broadcast(tensor) is tensor
        assert parallel.local_parts(tensor, 3) is tensor
        assert parallel.capture_mode() == "global"
        assert parallel.from_main(lambda: 3) == 3
        assert parallel.flag_of_main(False) is False
        parallel.all_reduce_mean(None)  # not even looked at
        with parallel.averaged_gradients(None):
            pass


def test_each_process_takes_a_card_of_its_own(monkeypatch):
    taken: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    for rank in range(2):
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        assert parallel._backend("auto") == "cpu:gloo,cuda:nccl"
        assert parallel._backend("cpu") == "gloo"
    assert taken == [0, 1]
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ValueError, match=r"at most the number of CUDA devices of the machine, 2, got 3\. Lower it"):
        parallel._backend("cuda")
