"""What README and the pages show works as it stands."""

import importlib.util
import json
import re
import shlex
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from PIL import Image

from agents import cli, load_packaged
from agents.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in ROOT.glob("docs/**/*.md")}
TEXTS = {"README.md": README, "CONTRIBUTING.md": (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), **PAGES}
COMMANDS = [
    line
    for text in TEXTS.values()
    for block in re.findall(r"```sh\n(.*?)```", text, re.S)
    for line in block.replace("\\\n", " ").splitlines()
]
RESULTS = {  # README's table: record and agent, with latents of the prior or, where the name says so, of rejection
    "none": ("varied", "none"),
    "random corrections, 3 rounds": ("rejection/agents", "random-3"),
    "SAC agent, 3 rounds": ("varied", "sac-refine-3"),
    "3 gradient steps": ("varied", "gradient-3"),
    "3 gradient steps of 3 times the size": ("rejection/agents", "gradient-3"),
    "best of 2 draws": ("rejection/agents", "best-of-2"),
    "none, with rejection": ("varied", "none"),
    "SAC agent, 3 rounds, with rejection": ("varied", "sac-refine-3"),
}


def python_blocks(text):
    return re.findall(r"```python\n(.*?)```", text, re.S)


def words(text):
    return len(re.sub(r"^```.*?^```", "", text, flags=re.S | re.M).split())


def test_the_readme_has_at_most_700_words_outside_its_code():
    assert words(README) <= 700


def test_the_lines_of_python_that_draw_hands_give_what_they_say():
    draw, _ = python_blocks(README)
    names: dict[str, Any] = {}
    exec(compile(draw.replace("20", "2"), "README.md", "exec"), names)
    assert tuple(names["hands"].images.shape) == (2, 3, 128, 128)
    assert tuple(names["hands"].latents.shape) == (2, 300)
    assert len([line for line in draw.splitlines() if line]) == 2


def test_the_lines_of_python_that_train_run(capsys):
    _, train = python_blocks(README)
    exec(compile(train, "README.md", "exec"), {})
    reward, info = capsys.readouterr().out.split(" ", 1)
    assert float(reward) == 0.0  # the first epoch pays nothing
    assert "reconstruction_nats" in info
    assert len([line for line in train.splitlines() if line]) <= 10


def test_the_package_s_page_needs_no_other_file_and_its_code_runs():
    page = PAGES["docs/package.md"]
    assert not re.findall(r"\]\((?!https?://)", page)  # an index shows it alone
    draw, step = python_blocks(page)
    assert [draw] == python_blocks(PAGES["docs/index.md"]) == python_blocks(README)[:1]
    names: dict[str, Any] = {}
    exec(compile(step, "package.md", "exec"), names)
    assert names["observation"].shape == (8, 300)


def test_the_algorithms_page_trains_fast_sac():
    code, *_ = python_blocks(PAGES["docs/algorithms.md"])
    names: dict[str, Any] = {}
    exec(compile(code, "algorithms.md", "exec"), names)
    assert names["agent"].num_timesteps == 200


def test_the_algorithms_page_trains_on_tensors():
    _, code, _ = python_blocks(PAGES["docs/algorithms.md"])
    names: dict[str, Any] = {}
    exec(compile(code, "algorithms.md", "exec"), names)
    assert names["agent"].num_timesteps == 640
    assert isinstance(names["agent"]._last_obs, torch.Tensor)


def test_the_algorithms_page_trains_on_rows():
    *_, code = python_blocks(PAGES["docs/algorithms.md"])
    names: dict[str, Any] = {}
    exec(compile(code, "algorithms.md", "exec"), names)
    assert names["rows"].num_envs == 16


def test_the_command_line_s_page_trains_on_pictures_of_your_own(tmp_path):
    (code,) = [block for block in python_blocks(PAGES["docs/cli.md"]) if "load_folder" in block]
    for number in range(16):
        Image.new("RGB", (20, 30), (number, 0, 0)).save(tmp_path / f"{number}.png")
    names: dict[str, Any] = {}
    exec(compile(code.replace("path/to/pictures", str(tmp_path)), "cli.md", "exec"), names)
    assert tuple(names["pictures"].shape) == (16, 3, 64, 64)
    observation, _ = names["env"].reset(seed=0)
    assert observation.shape[1] == 300


def test_the_start_page_has_a_row_for_each_example():
    shown = re.findall(r"^\| `examples/([\w.]+)` \|", PAGES["docs/index.md"], re.M)
    assert shown == sorted(path.name for path in (ROOT / "examples").iterdir() if path.suffix in {".py", ".ipynb"})


def test_the_libraries_page_gives_an_environment_other_defaults_for_cleanrl(monkeypatch):
    code, *_ = python_blocks(PAGES["docs/libraries.md"])
    monkeypatch.setattr(gym.spec("HandLatent-v0"), "kwargs", {})
    exec(compile(code, "my_hands.py", "exec"), {})
    env: Any = gym.make("HandLatent-v0", n_images=8, latent_dim=5)
    assert env.action_space.shape == (4 * 5,)
    assert env.unwrapped.training.epochs == 1000


def test_the_libraries_page_reports_the_end_of_a_schedule_as_terminated(make_schedule, make_schedule_rows):
    _, code, _ = python_blocks(PAGES["docs/libraries.md"])
    names: dict[str, Any] = {}
    exec(compile(code, "libraries.md", "exec"), names)
    single = names["AsTerminated"](make_schedule())
    single.reset(seed=0)
    assert [single.step(np.zeros(3, np.float32))[2:4] for _ in range(3)] == [(False, False)] * 2 + [(True, False)]
    for_rows = code.split("env = ")[0].replace("gym.Wrapper", "gym.vector.VectorWrapper")
    exec(compile(for_rows, "libraries.md", "exec"), names)
    rows = names["AsTerminated"](make_schedule_rows(2))
    rows.reset(seed=0)
    flags = [rows.step(np.zeros((2, 3), np.float32))[2:4] for _ in range(3)]
    assert [(ended.tolist(), cut.tolist()) for ended, cut in flags[1:]] == [
        ([False] * 2, [False] * 2),
        ([True] * 2, [False] * 2),
    ]


def test_the_libraries_page_names_a_trained_vae_for_the_zoo(monkeypatch):
    *_, code = python_blocks(PAGES["docs/libraries.md"])
    spec = gym.spec("HandRefine-v0")
    monkeypatch.setattr(spec, "kwargs", {})
    exec(compile(code.replace("2_000", "4"), "my_hands.py", "exec"), {})
    env = gym.make("HandRefine-v0")
    assert env.action_space.shape == (300,)
    observation, _ = env.reset(seed=0)
    assert any(np.array_equal(observation, latent) for latent in spec.kwargs["sampler"].latents)


def test_the_tutorial_s_python_runs(capsys, monkeypatch, tmp_path):
    draw, act, both = python_blocks(PAGES["docs/tutorial.md"])
    names: dict[str, Any] = {}
    exec(compile(draw.replace("20", "2"), "tutorial.md", "exec"), names)
    exec(compile(act, "tutorial.md", "exec"), names)
    assert "2 hands drawn from the sampler 'rejection'" in capsys.readouterr().out
    assert names["info"]["epoch"] == 2
    read: list[str] = []

    def load_run(folder):
        read.append(folder)
        return load_packaged()

    monkeypatch.setattr("agents.load_run", load_run)
    monkeypatch.chdir(tmp_path)
    Path("tutorial").mkdir()
    exec(compile(both, "tutorial.md", "exec"), {})
    assert read == ["tutorial/run", "tutorial/acted"]
    with Image.open("tutorial/both.png") as picture:
        assert picture.size == (10 * 130 + 2, 2 * 130 + 2)  # two rows of ten hands of 128 pixels


@pytest.mark.parametrize("line", [line for line in COMMANDS if re.match(r"(\S*bin/)?handlatent ", line)])
def test_a_command_s_flags_exist(line, monkeypatch):
    taken: list[Any] = []
    for name, (settings, _) in cli.COMMANDS.items():
        monkeypatch.setitem(cli.COMMANDS, name, (settings, taken.append))
    assert main(shlex.split(line, comments=True)[1:]) == 0
    assert len(taken) == 1


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("make ")])
def test_a_make_target_exists(line):
    target = shlex.split(line, comments=True)[1]
    assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)


@pytest.mark.parametrize("line", [line for line in COMMANDS if "pip install" in line])
def test_an_extra_that_is_installed_exists_and_comes_from_the_checkout(line):
    assert "-e " in line or line.endswith(("pre-commit", "uv", "install"))  # the project is on no index
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extras in re.findall(r"\.\[([\w,]+)\]", line):
        for extra in extras.split(","):
            assert re.search(rf"^{extra} = \[", declared, re.M)


@pytest.mark.parametrize("name", TEXTS)
def test_no_page_installs_the_project_from_an_index(name):
    assert re.findall(r"pip install [\"']?handlatent", TEXTS[name]) == []


def test_the_table_of_results_is_what_the_records_say():
    spec = importlib.util.spec_from_file_location("make_tables", ROOT / "docs" / "make_tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    section = README.partition("## Results")[2].partition("\n## ")[0]
    shown = [
        tuple(cell.strip() for cell in line.strip("| ").split(" | ")) for line in section.splitlines() if "(" in line
    ]
    shown = [row for row in shown if len(row) == 3]
    assert [row[0] for row in shown] == list(RESULTS)
    for name, correct, new in shown:
        record, agent = RESULTS[name]
        rows = json.loads((ROOT / "docs" / "recipe" / f"{record}.json").read_text())["table"]
        sampler = "rejection" if "rejection" in name else "prior"
        (figures,) = [row["figures"] for row in rows if (row["sampler"], row["agent"]) == (sampler, agent)]
        assert correct == tables._with_interval(figures, "correct")
        assert new == tables._value(figures, "new")


def test_the_caption_of_the_picture_says_what_the_reporting_judge_says_of_these_weights():
    record = json.loads((ROOT / "docs" / "hands.json").read_text(encoding="utf-8"))
    weights = json.loads((ROOT / "agents" / "weights" / "photographs" / "package.json").read_text(encoding="utf-8"))
    assert record["weights"] == weights["sha256"], "Run python docs/make_picture.py"
    first, without, corrected = map(len, record["wrong"])
    assert first == 0
    assert f"the reporting judge counts {10 - without} and {10 - corrected}." in " ".join(README.split())
    assert f"It changes {record['changed']} of {record['latents']} hands." in PAGES["docs/tutorial.md"]
    assert f"of {record['latents']} hands, those that" in README


def test_the_shares_of_near_copies_are_those_of_the_records():
    def copies(name):
        rows = json.loads((ROOT / "docs" / "recipe" / f"{name}.json").read_text(encoding="utf-8"))["table"]
        (figures,) = [row["figures"] for row in rows if (row["sampler"], row["agent"]) == ("rejection", "sac-refine-3")]
        return f"{100 - 100 * figures['new']['value']:.1f} %"

    benchmarks = " ".join(PAGES["docs/benchmarks.md"].split())
    assert f"{copies('shipped')} of hands count as copies of a training photo." in " ".join(README.split())
    over_seeds = copies("varied")
    words = "{} of the packaged weights' hands do, and {} over three training seeds"
    assert words.format(copies("shipped"), over_seeds) in benchmarks


def test_every_folder_of_the_map_exists_and_none_is_missing():
    (tree,) = re.findall(r"^## Map\n.*?^```\n(.*?)^```", README, re.S | re.M)
    named, package = set(), ""
    for indent, name in re.findall(r"^( *)(\w+)/ ", tree, re.M):
        package = package if indent else name
        named.add(f"{package}/{name}" if indent else name)
    packages = {path.name for path in ROOT.iterdir() if path.name[0] != "." and list(path.glob("*.py"))}
    rooms = {f"{name}/{path.parent.name}" for name in ("vae", "hand_env", "agents") for path in rooms_of(name)}
    assert named == packages | rooms


def rooms_of(package):
    return (ROOT / package).glob("*/__init__.py")


def test_no_number_is_left_to_be_filled_in():
    for name, text in TEXTS.items():
        assert re.findall(r"\b[A-Z]{3,}[_-][A-Z]{3,}\b", re.sub(r"`[^`\n]*`", "", text)) == [], name


def test_every_file_that_a_page_points_at_exists():
    for name, text in TEXTS.items():
        links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
        assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == [], name
    assert len(re.findall(r"\]\(", README)) > 10
