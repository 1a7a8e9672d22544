"""Every command says how far it is and how long it still takes: with bars on a terminal, else with lines."""

import re
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from drawn_hands import write_download
from terminal import terminal

from agents import cli
from agents.cli import COMMANDS, main
from agents.commands.blind import BlindSheetsArgs, blind_sheets
from agents.commands.recipe.selection import Judged
from agents.commands.synth import SynthArgs, synth
from agents.figures.yardstick import COLUMNS
from agents.runs.manifest import PRIOR
from agents.runs.run_folder import CONFIG, REPORT
from hand_env.anatomy.network import build_network
from hand_env.anatomy.training.validate import Examples
from hand_env.anatomy.weights import Calibration, save_network
from vae.distribution import Estimate
from vae.files import save_hashed_json
from vae.images.overview import is_overview
from vae.model import VAEConfig, build_vae
from vae.progress import show_progress
from vae.sampling.flow import FlowPrior, Velocity
from vae.sampling.flow_fit import fit_flow

AT_ONCE = {"between_lines": 0.0, "between_frames": 0.0, "unseen": 0.0}
LIMITS = dict.fromkeys(("whole", "hand", "states", "extra"), 0.0)
LEFT = r"\d\d:\d\d left"


class Brightness:
    """Stands in for the package's rewarding judge, which judges 30 pictures a second on a core."""

    @classmethod
    def load(cls, weights, *, device):
        return cls()

    def correct(self, pictures):
        return 0.5 * pictures.mean((1, 2, 3))


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """Weights of the smaller network, untrained."""
    path = tmp_path_factory.mktemp("weights") / "judge.safetensors"
    save_network(path, build_network("reporter", 0), Calibration("reporter", LIMITS))
    return path


@pytest.fixture(scope="module")
def download(tmp_path_factory):
    return write_download(tmp_path_factory.mktemp("photographs"))


@pytest.fixture(scope="module")
def hands(tmp_path_factory):
    return synth(SynthArgs(n=70, size=32, out=tmp_path_factory.mktemp("synthetic") / "hands"))


@pytest.fixture(scope="module")
def sheets(narrow_run, download, tmp_path_factory):
    out = blind_sheets(BlindSheetsArgs(narrow_run, data=download, n=4, out=tmp_path_factory.mktemp("made") / "blind"))
    (out / "wrong.txt").write_text("1 2")
    return out


@pytest.fixture(scope="module")
def packable(tmp_path_factory):
    """The folder of a run with a learned prior; its VAE is in `run_to_pack`."""
    folder = tmp_path_factory.mktemp("packable")
    FlowPrior(Velocity(6, width=16, blocks=1), torch.zeros(6), torch.ones(6)).save(folder / PRIOR)
    (folder / CONFIG).touch()
    save_hashed_json(folder / REPORT, {"pictures": {"photographs": 0, "drawn": 24}})
    return folder


TINY = "--size 32 --latent-dim 5 --batch-size 4 --device cpu"
CASES: dict[str, tuple[str, set[str], set[str]]] = {
    # command: its words, with fixtures in braces; parts of its work that it must show; plots that it must leave
    "train": (
        f"--images 24 --epochs 2 --agent none {TINY} --out {{out}}",
        {"Rendering hands", "Training", "Fitting the mixture"},
        {"curves.png"},
    ),
    "refine": (
        "{narrow_run} --samples 32 --rows 16 --width 16 --held-out 65 --policy latents --device cpu --out {out}",
        {"Drawing 64 latents", "Learning", "Correcting latents", "Decoding", "Judging"},
        {"refine-curves.png"},
    ),
    "generate": ("{narrow_run} --n 65 --out {out}", {"Decoding", "Writing"}, set()),
    "blind sheets": ("{narrow_run} --data {download} --n 4 --out {out}", {"Checking pictures", "Writing"}, set()),
    "blind score": ("{sheets} --wrong {sheets}/wrong.txt", {"Reading sheets"}, set()),
    "compare": (
        "{narrow_run} --data {hands} --n 20 --samplers normal --agents none gradient --gradient-steps 1 --rounds 1 "
        "--parser {judge} --reporter {judge} --features lite0 --device cpu --out {out}",
        {"Comparing", "Gradient ascent", "Finding features"},
        {"compare.png"},
    ),
    "curriculum": (
        "--images 200 --size 32 --latent-dim 6 --n 8 --epochs 1 --device cpu --pack {tmp_path}/pack --out {out} "
        "--methods none rows --seeds 0 --samplers normal",
        {"Training and measuring", "Training 1 VAEs", "Training 1 VAE"},
        set(),
    ),
    "schedule": (
        "--images 200 --size 32 --latent-dim 6 --n 8 --batch-size 4 --rows 2 --steps 4 --decisions 2 --drawn 8 "
        "--explore 1 --rounds 2 --updates 1 --device cpu --pack {tmp_path}/pack --out {out}",
        {"Learning", "Training VAEs"},
        set(),
    ),
    "recipe": (
        "--width small --drawn 40 --workers 0 --steps 4 --batch 4 --varied 4 --flow-steps 4 --prior-from 1 "
        "--candidates 65 --accept 1 --latent-samples 64 --refine-samples 0 --device cpu --out {out}",
        {
            *("Rendering hands", "Training the VAE", "Measuring", "Encoding", "Fitting the prior", "Selecting"),
            *("Drawing from the prior", "Fitting the mixture", "Learning on HandLatent-v0"),
        },
        {"curves.png", "prior-curves.png", "selected-prior-curves.png"},
    ),
    "package": ("{packable} --out {out}", {"Rounding", "Hashing"}, set()),
    "hub pull": ("someone/hands --out {out}", {"Fetching"}, set()),
    "hub push": ("{small_set} someone/hands", {"Sending"}, set()),
    "synth": ("--n 2 --size 32 --out {out}", {"Rendering hands", "Writing"}, set()),
    "judge": (
        "{hands}/hand-000000.png {hands}/hand-000001.png --overlay {out}",
        {"Reading pictures", "Judging", "Drawing what was found"},
        set(),
    ),
    "judge-report": ("--n 1 --architecture reporter --weights {judge}", {"Measuring", "Rendering hands"}, set()),
    "judge-attack": (
        "{narrow_run} --n 2 --steps 1 --parser {judge} --reporter {judge}",
        {"Gradient ascent"},
        set(),
    ),
    "judge-train": (
        "--pack {judge_pack} --grounds {grounds} --architecture reporter --seconds 0.2 --imitation-seconds 0.1 "
        "--drawn 64 --capacity 64 --batch 8 --workers 0 --examples 1 --device cpu --out {out}",
        {"Training an imitator", "Training the judge", "Waiting for synthetic hands", "Rendering validation hands"},
        set(),
    ),
}
LONG = ("compare", "recipe", "judge-train")  # too long to run again for a terminal, which is chosen as for all others
LINE = re.compile(rf"([^:;]+: \d+ %, [\d.]+ of [\d.]+ [^,;]+, \d\d:\d\d so far, ({LEFT}|\? left)[^;]*(; |\n))+")


@pytest.fixture
def prepared(request, monkeypatch, bright, hub, logged_in):
    """Return the words of a command; what would take seconds is replaced by what takes less."""
    monkeypatch.setattr("agents.commands.curriculum.measuring.Yardstick", Quick)
    monkeypatch.setattr("agents.commands.schedule.command.Judge", Brightness)
    monkeypatch.setattr("agents.commands.recipe.command.LOGGED", 1)
    monkeypatch.setattr("agents.commands.recipe.command.MIXTURE", 1024)
    monkeypatch.setattr("agents.commands.recipe.first_prior.fit_flow", partial(fit_flow, width=72))
    monkeypatch.setattr("agents.commands.recipe.command.right_and_new", lambda *_: accept_all)
    monkeypatch.setattr("agents.commands.recipe.selection.WIDTH", 72)
    monkeypatch.setattr("agents.commands.recipe.selection.FEWEST", 20)
    monkeypatch.setattr("agents.commands.recipe.command.FEWEST", 20)
    monkeypatch.setattr("agents.commands.compare.photographs.FEWEST", 7)
    monkeypatch.setattr("vae.adversarial.critics.WIDTHS", (8, 16, 32, 32))
    monkeypatch.setattr("vae.adversarial.encode.CHUNK", 32)
    monkeypatch.setattr("agents.commands.package.command.load_run", lambda _: run_to_pack())
    monkeypatch.setattr("hand_env.anatomy.training.train.NEAR", 4)
    monkeypatch.setattr("hand_env.anatomy.training.train.Examples", few_kinds)
    monkeypatch.setattr(cli, "show_progress", partial(show_progress, **AT_ONCE))

    def words(command, out):
        if command == "hub pull":
            small_set = request.getfixturevalue("small_set")
            hub.put("someone/hands", {path.name: path.read_bytes() for path in small_set.iterdir()})
        text = CASES[command][0]
        names = set(re.findall(r"\{(\w+)\}", text)) - {"out"}
        fixtures = {name: request.getfixturevalue(name) for name in names}
        return [*command.split(), *text.format(out=out, **fixtures).split()]

    return words


def run_to_pack():
    settings = {"size": 32, "latent_dim": 6, "width": "small", "batch_size": 4, "agent": "none", "seed": 0}
    settings |= {"data": "synthetic", "reencode_passes": 1, "split_seed": 0, "latent_samples": 0}
    vae, samplers = build_vae(VAEConfig(32, 6), 0), {"prior": None}
    return SimpleNamespace(settings=settings, samplers=samplers, vae=vae, refiner=None, split_seed=0)


def few_kinds(*arguments):
    examples = Examples(*arguments)
    examples.kinds = {name: examples.kinds[name] for name in ("photographs", "edit erase", "drawn none")}
    return examples


def accept_all(pictures):
    return Judged(torch.ones(len(pictures), 1, dtype=torch.bool), pictures[:, 0, 0, :4])


class Quick:
    """Stands in for the yardstick of `curriculum`."""

    def __init__(self, judges, training, held_out):
        pass

    def measure(self, vae, sampler, n, seed):
        return dict.fromkeys(COLUMNS, Estimate(0.5, 0.4, 0.6)), torch.zeros(n, 3, 32, 32, dtype=torch.uint8)


@pytest.mark.parametrize("command", CASES)
def test_a_command_shows_what_it_does_and_how_long_it_still_takes(command, prepared, tmp_path, capsys):
    _, parts, plots = CASES[command]
    words = prepared(command, tmp_path / "lines")
    capsys.readouterr()
    assert main(words) == 0
    out, said = capsys.readouterr()
    assert command != "judge-train" or re.search(r"(?m)^ +\d+ s, 0 s left, step 1 drawn \d+ ", out), out  # its log
    assert "\r" not in said
    lines = [line for line in said.splitlines(keepends=True) if re.search("%, .* left", line)]
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    for part in parts:
        assert any(re.search(f"(^|; ){part}: .*{LEFT}", line) for line in lines), part
    assert all(is_overview(tmp_path / "lines" / plot) for plot in plots)
    if command in LONG:
        return
    words = prepared(command, tmp_path / "bars")
    with terminal() as shown:
        assert main(words) == 0
    for part in parts:
        assert re.search(rf"\r[\s\x1b\[A]*{part}:[^\r]*{LEFT}", shown[0]), part


@pytest.mark.parametrize("command", ["synth", "blind score", "hub push"])
def test_a_quick_command_writes_no_line(command, prepared, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli, "show_progress", show_progress)
    assert main(prepared(command, tmp_path / "quick")) == 0
    assert capsys.readouterr().err == ""


def test_every_command_that_works_longer_than_a_moment_is_among_them():
    elsewhere = {
        "demo",  # shows how far it is on its page
        "sweep",  # tests/agents/commands/sweep/test_sweep.py
    }
    assert CASES.keys() | elsewhere == COMMANDS.keys()
