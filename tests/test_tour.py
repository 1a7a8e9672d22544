"""The notebook runs as it comes, cell by cell, in a kernel of its own, and what it says is so."""

import base64
import io
import json
import re
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest
from PIL import Image

PATH = Path(__file__).parents[1] / "examples" / "tour.ipynb"
SCORED_AGAIN = """
import json
again = [np.asarray(LogitScore()(pictures)).tolist() for pictures in (before, after)]
print(json.dumps({"scores": again, "rewards": rewards.tolist(), "means": list(means.values())}))
"""


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(PATH, as_version=4)


def test_it_is_small_and_holds_no_outputs(notebook):
    nbformat.validate(notebook)
    assert PATH.stat().st_size < 20_000
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


def test_a_sentence_or_two_explain_each_step(notebook):
    said = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            said = cell.source
        elif not cell.source.startswith(("from ", "_, axis")):  # the imports, and the plot of the cell before
            assert said, cell.source
            said = ""


@pytest.mark.slow(seconds=20)
def test_every_cell_runs_and_what_the_last_ones_say_is_so(notebook, tmp_path, monkeypatch):
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    ran = nbformat.from_dict(json.loads(json.dumps(notebook)))
    ran.cells.append(nbformat.v4.new_code_cell(SCORED_AGAIN))
    nbclient.NotebookClient(ran, timeout=None, resources={"metadata": {"path": str(tmp_path)}}).execute()

    *cells, last = [cell for cell in ran.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert {output.name for output in outputs if output.output_type == "stream"} == {"stdout"}  # and no warning
    shown = [output.data["image/png"] for output in outputs if output.output_type == "display_data"]
    pictures = [np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("L")) for png in shown]
    assert len(pictures) == 4
    assert all(picture.std() > 10 for picture in pictures)

    correct, drawn = map(int, re.search(r"(\d) of (\d) hands are correct", printed).groups())
    assert correct >= drawn - 2
    truth = json.loads(last.outputs[0].text)
    first, fifth = map(int, re.search(r"from (-?\d+) nats in epoch 1 to (-?\d+) nats in epoch 5", printed).groups())
    assert [first, fifth] == [round(truth["means"][0]), round(truth["means"][-1])]
    assert len(truth["means"]) == 5
    assert fifth < first - 1000

    before, after, rewards = map(np.asarray, (*truth["scores"], truth["rewards"]))
    assert after - before == pytest.approx(rewards, abs=0.01)
    kept, rise = re.search(r"(\d) of 8 corrections raise the score.* rises by ([\d.]+) on average", printed).groups()
    assert int(kept) == (rewards > 0).sum() >= 3  # about half of the standard normal's are
    assert float(rise) == pytest.approx(np.maximum(rewards, 0).mean(), abs=0.06)
    assert float(rise) > 0.5
