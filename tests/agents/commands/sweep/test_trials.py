import pytest

from agents.cli import main
from agents.commands.sweep import SweepArgs
from agents.commands.sweep.args import check_args, mode
from agents.commands.sweep.trials import make_trials
from agents.commands.train.args import TrainArgs


def trials(*words, **settings):
    return make_trials(SweepArgs([*words], **settings))


def refused(*words, **settings):
    def check(args):
        check_args(args)
        make_trials(args)

    with pytest.raises(ValueError, match=r".") as error:
        check(SweepArgs([*words], **settings))
    return str(error.value)


def test_every_setting_of_the_grid_runs_with_every_seed():
    found = trials("train", "--size", "32", grid=["kl-weight=1,2", "epochs=3,40"], seeds=[0, 7])
    assert len(found) == 8
    last = found[-1]
    assert last.words == ("train", "--size", "32", "--kl-weight", "2", "--epochs", "40", "--seed", "7")
    assert (last.name, last.setting) == ("kl-weight-2_epochs-40/seed-7", {"kl-weight": "2", "epochs": "40"})
    assert [trial.epochs for trial in found] == [3, 3, 40, 40] * 2


def test_without_a_grid_only_seeds_differ():
    found = trials("train", seeds=[3, 4])
    assert [trial.name for trial in found] == ["seed-3", "seed-4"]
    assert found[0].epochs == TrainArgs.epochs


def test_a_value_of_a_list_may_have_several_words_and_runs_may_vary_too():
    found = trials("compare", "--data", "hands", grid=["runs=one,two/three", "agents=none random,none"])
    assert found[0].words == ("compare", "one", "--data", "hands", "--agents", "none", "random", "--seed", "0")
    assert found[-1].name == "runs-two-three_agents-none/seed-0"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"grid": ["kl-weigth=1"]}, "--grid must name each setting of 'train' once, as NAME=VALUE,VALUE, got 'kl-weig"),
        ({"grid": ["seed=1,2"]}, "--grid must name each setting of 'train' once"),
        ({"grid": ["epochs=1", "epochs=2"]}, "once, as NAME=VALUE,VALUE, got 'epochs=2'"),
        ({"grid": ["epochs"]}, "as NAME=VALUE,VALUE, got 'epochs'"),
        ({"grid": ["epochs=1,,2"]}, "--grid must list values of 'epochs' between commas, none twice, got '1,,2'"),
        ({"grid": ["epochs=2,2"]}, "none twice, got '2,2'"),
        ({"grid": ["data=a/b,a-b"]}, "--grid must give each setting a folder of its own"),
        ({"grid": ["epochs=few"]}, "argument --epochs: invalid int value: 'few'"),
        ({"seeds": []}, "--seeds must list at least one value, none twice, got []"),
        ({"seeds": [1, 1]}, "none twice, got [1, 1]"),
        ({"seeds": [-1]}, "--seeds must lie in 0..4294967295, got -1"),
        ({"gpus_per_trial": 1.5}, "--gpus-per-trial must be a fraction in 0..1 or an integer, got 1.5"),
        ({"cpus_per_trial": 0}, "--cpus-per-trial must be at least 1, got 0"),
        ({"max_concurrent": 0}, "--max-concurrent must be at least 1, got 0"),
        ({"max_failures": -1}, "--max-failures must be at least 0, got -1"),
        ({"metric": "epoch"}, "--metric must be one of 'loss_nats', "),
        ({"resume": "runs"}, "--resume takes command, settings and seeds from the sweep; leave the command out."),
    ],
)
def test_wrong_settings_are_refused_before_anything_starts(given, said):
    assert said in refused("train", **given)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "The command must be one of 'train', 'refine', 'recipe', 'compare', got 'none'."),
        (["judge"], "got 'judge'."),
        (["train", "--seed", "3"], "--seed belongs to the sweep, not to 'train'. Use --seeds."),
        (["train", "--seed=3"], "Use --seeds."),
        (["train", "--sise", "32"], "unrecognized arguments: --sise 32"),
        (["refine"], "the following arguments are required"),
    ],
)
def test_a_wrong_command_is_refused_before_anything_starts(words, said):
    assert said in refused(*words)


def test_only_train_can_be_stopped_early():
    assert "--scheduler 'asha' belongs to 'train'" in refused("recipe", scheduler="asha")
    assert (mode("validation_loss_nats"), mode("reward")) == ("min", "max")


def test_the_command_line_hands_on_the_flags_that_are_not_its_own(capsys):
    assert main(["sweep", "refine", "runs/one", "--samples", "few", "--seeds", "0", "1"]) == 2
    assert capsys.readouterr().err == "handlatent sweep: argument --samples: invalid int value: 'few'\n"


def test_a_metric_that_ranks_nothing_is_refused(capsys, tmp_path):
    assert main(["sweep", "train", "--metric", "loss_nats", "--out", str(tmp_path / "new")]) == 2
    assert "--metric belongs to --scheduler asha, got 'loss_nats'. Leave it out, or name" in capsys.readouterr().err
