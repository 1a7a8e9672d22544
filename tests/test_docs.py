import inspect
import pydoc
import re
from pathlib import Path

import pytest
from PIL import Image, ImageSequence

from agents.cli import COMMANDS, main
from hand_env import (
    REWARDS,
    HandLatentEnv,
    HandLatentVectorEnv,
    HandRefineEnv,
    HandRefineVectorEnv,
    HandScheduleEnv,
    HandScheduleVectorEnv,
)

DOCS = Path(__file__).parent.parent / "docs"
SINGLE = [HandLatentEnv, HandRefineEnv, HandScheduleEnv]


def table(heading, manual):
    """Rows of the table under a heading, as lists of cells."""
    section = re.search(rf"## {heading}\n(.*?)(?:\n## |\Z)", manual, re.DOTALL).group(1)
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@pytest.mark.parametrize("name", ["HandLatent-v0", "HandRefine-v0", "HandSchedule-v0", "cli"])
def test_a_page_that_is_made_from_the_code_says_what_the_code_says(name, load):
    pages = load(DOCS / "make_pages.py")
    assert pages.path(name).read_text() == pages.page(name), "Run python docs/make_pages.py"


def test_a_flag_in_a_line_of_text_has_no_line_break_in_it(load):
    hook = load(DOCS / "whole_words.py").on_page_content
    whole = '<code>train <span class="whole">--kl-weight</span> 4</code>'
    assert hook("<p>pre-set <code>train --kl-weight 4</code></p>") == f"<p>pre-set {whole}</p>"
    long, block = f"<code>runs/{'x' * 30}-1</code>", "<pre><code>a --b\nc --d</code></pre>"
    assert hook(long + block) == long + block


def test_a_flag_in_a_command_has_no_line_break_in_it(load):
    hook = load(DOCS / "whole_words.py").on_page_content
    block = (
        '<div class="language-sh highlight"><pre><code id="a-b">train --n <span class="m-x">2</span></code></pre></div>'
    )
    assert hook(block) == block.replace("--n", '<span class="whole">--n</span>')


def test_a_number_stays_with_its_percent_sign(load):
    assert load(DOCS / "whole_words.py").on_page_content("<p>17.5 % of %</p>") == "<p>17.5&nbsp;% of %</p>"


def test_a_table_of_samplers_and_agents_keeps_its_agents_in_sight(load):
    hook, style = load(DOCS / "whole_words.py").on_page_content, (DOCS / "assets" / "extra.css").read_text()
    table = "<table>\n<thead>\n<tr>\n<th>{}</th>\n<th>agent</th>\n"
    assert hook(table.format("sampler")) == table.format("sampler").replace("<table>", '<table data-names="2">')
    assert hook(table.format("run")) == table.format("run")
    assert 'table[data-names="2"] :is(th, td):nth-child(2) {\n  position: sticky;' in style


def test_an_interval_a_flag_and_the_name_of_an_agent_in_a_table_have_no_line_break_in_them(load):
    hook = load(DOCS / "whole_words.py").on_page_content
    assert hook("<td>1.3 (-0.3 to 2.8)</td>") == '<td>1.3 <span class="whole">(-0.3 to 2.8)</span></td>'
    assert hook("<td>sac-latent-1</td>") == '<td><span class="whole">sac-latent-1</span></td>'
    for flag in ("--n", "--drawn-n"):
        assert hook(f"<td>or {flag}. <b>x</b></td>") == f'<td>or <span class="whole">{flag}</span>. <b>x</b></td>'
    assert hook("<p>1.3 (-0.3 to 2.8)</p>") == "<p>1.3 (-0.3 to 2.8)</p>"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_line_s_page_has_every_flag_that_help_prints(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    printed = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", capsys.readouterr().out.partition("options:")[0])) - {"-h"}
    section = re.search(rf"^### {command}\n(.*?)(?:^### |\Z)", (DOCS / "cli.md").read_text(), re.S | re.M).group(1)
    named = [flag for cell in re.findall(r"^\| `(-[^`]+)` \|", section, re.M) for flag in cell.split(", ")]
    assert printed <= set(named)
    assert len(named) == len(set(named))


@pytest.mark.parametrize(
    "path",
    [DOCS.parent / "README.md", DOCS.parent / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))],
    ids=lambda path: path.stem,
)
def test_every_name_and_file_of_the_project_that_a_page_mentions_exists(path):
    code = re.findall(r"`([^`\n]+)`", path.read_text())
    names = {name for text in code for name in re.findall(r"^((?:vae|hand_env|agents)(?:\.\w+)+)", text)}
    assert [name for name in names if not name.endswith(".safetensors") and pydoc.locate(name) is None] == []
    files = {
        text
        for text in code
        if re.match(r"(tests|examples|benchmarks|agents|hand_env|vae|docs)/[\w./-]+$", text) and "NAME" not in text
    }
    assert [name for name in files if not (DOCS.parent / name).exists()] == []


def test_no_sentence_that_people_read_breaks_a_rule_of_the_words(load):
    words = load(DOCS / "check_words.py")
    texts = ((path, text) for path in words.files() for _, text in words.texts(path))
    broken = [(path.name, each) for path, text in texts for each in words.sentences(text) if words.wrong(each)]
    assert broken == [], "Run python docs/check_words.py"


def test_every_page_is_in_the_site_s_navigation_and_every_entry_is_a_page():
    listed = set(re.findall(r"([\w/.-]+\.md)$", (DOCS.parent / "mkdocs.yml").read_text(), re.M))
    assert listed == {path.relative_to(DOCS).as_posix() for path in DOCS.glob("**/*.md")}


@pytest.mark.parametrize("env", SINGLE)
def test_the_manual_s_table_of_arguments_is_the_signature(env):
    parameters = {name: each for name, each in inspect.signature(env).parameters.items() if name != "others"}
    rows = [row for row in table("Arguments", inspect.getdoc(env)) if row[0] != "others"]
    assert [row[0].strip("`") for row in rows] == list(parameters)
    for name, default, *_ in rows:
        value = parameters[name.strip("`")].default
        assert default == (f'"{value}"' if isinstance(value, str) else str(value)), name


def test_the_manual_s_table_of_rewards_names_them_all():
    rows = table("Reward", inspect.getdoc(HandLatentEnv))
    assert [row[0].strip('"') for row in rows] == list(REWARDS)


@pytest.mark.parametrize("env", [*SINGLE, HandLatentVectorEnv, HandRefineVectorEnv, HandScheduleVectorEnv])
def test_every_table_of_a_manual_has_as_many_cells_in_each_row_as_in_its_head(env):
    manual = inspect.getdoc(env)
    assert manual is not None
    for block in re.findall(r"(?:^\|.*\n)+", manual + "\n", re.MULTILINE):
        assert len({line.count(" |") + line.startswith("|") for line in block.splitlines()}) == 1, block


def named_infos(env):
    return {key for row in table("Info", inspect.getdoc(env)) for key in re.findall(r"`(\w+)`", row[0])}


def test_the_manual_s_table_of_info_names_what_a_step_gives(make_env, make_refine, make_schedule, tiny_images):
    given = set()
    for reward in ("anatomy", "drawn_change"):
        env = make_env(reward=reward, judge=lambda x: x.mean((1, 2, 3)), validation_images=tiny_images[:4])
        env.reset(seed=0)
        given |= set(env.step(env.action_space.sample())[4])
    assert given == named_infos(HandLatentEnv)
    env = make_refine()
    env.reset(seed=0)
    assert set(env.step(env.action_space.sample())[4]) == named_infos(HandRefineEnv)
    given = set()
    for reward in ("anatomy", "drawn_change"):
        env = make_schedule(reward=reward, validation_images=tiny_images[:4])
        env.reset(seed=0)
        given |= set(env.step(env.action_space.sample())[4])
    assert given == named_infos(HandScheduleEnv)


def test_the_install_page_says_which_of_the_lowest_versions_were_tried():
    page, project = ((DOCS.parent / name).read_text() for name in ("docs/install.md", "pyproject.toml"))
    tried = dict(re.findall(r"(Gymnasium|NumPy|Stable-Baselines3) (\d+\.\d+)\.0", page))
    assert len(tried) == 3
    assert [name for name, version in tried.items() if f'"{name.lower()}>={version}"' not in project] == []


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.webp")), ids=lambda path: path.stem)
def test_a_moving_picture_moves_and_is_small(path, load):
    assert path.stat().st_size <= load(DOCS / "make_moving.py").MOST_BYTES
    with Image.open(path) as picture:
        frames = {frame.convert("RGB").tobytes() for frame in ImageSequence.Iterator(picture)}
    assert len(frames) > 10


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", "| a | b |\n| --- | --- |\n| 0.3 (0.1 to 0.5) | {0} {0} |\n"),
        ("module.py", "x = 1  # short\n# {0}\n# {0}\n"),
        ("module.py", "x = 1  # {0} {0}\n# short\n"),
    ],
    ids=["a cell", "a comment of two lines", "a comment behind code"],
)
def test_a_long_sentence_is_found_in_a_table_and_in_a_comment(name, text, load, tmp_path):
    words, path = load(DOCS / "check_words.py"), tmp_path / name
    path.write_text(text.format(" ".join(["word"] * 16)), encoding="utf-8")
    found = [each for _, text in words.texts(path) for each in words.sentences(text)]
    assert [words.wrong(each) for each in found if words.wrong(each)] == ["32 words"]
