"""The package.json of a set of weights: what it must say, checked before any other file of the set is opened."""

import json
import re
from pathlib import Path
from typing import Any, get_args

from agents.runs.json_rules import TEXT, Rule, one_of, whole
from agents.runs.renamed import with_new_keys
from agents.runs.run import SAMPLER_FILES
from agents.runs.run_folder import CLASSIFIER, MANIFEST, REFINER
from vae.model import IMAGE_SIZES, MAX_LATENT_DIM, Width
from vae.sampling.reencoded import MAX_PASSES

PRIOR = SAMPLER_FILES["prior"][0]
HALVES = ("encoder", "decoder")
NEEDED = (*(f"{half}.safetensors" for half in HALVES), PRIOR)
OPTIONAL = (CLASSIFIER, REFINER)
LARGEST = 2**20  # bytes; `handlatent package` writes less than 1,000

_SHA256 = re.compile(r"[0-9a-f]{64}")


SETTINGS: dict[str, Rule] = {
    "size": one_of(*IMAGE_SIZES),
    "latent_dim": whole(1, MAX_LATENT_DIM),
    "width": one_of(*get_args(Width)),
    "batch_size": whole(1, 2**16),
    "agent": one_of("none"),
    "seed": whole(0, 2**64),
    "data": TEXT,
    "reencode_passes": whole(0, MAX_PASSES),
    "split_seed": whole(0, 2**64),
}
"""The rule for each setting; other settings are not used."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read package.json and check it as a whole.

    Args:
        folder: Folder of the set.

    Returns:
        "settings", as in `SETTINGS`, and "sha256": the hashes of the files `NEEDED` and, if they are there,
        `OPTIONAL`.

    Raises:
        ValueError: If it breaks a rule.
        OSError: If it cannot be read.
    """
    path = folder / MANIFEST
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{MANIFEST} must have at most {LARGEST:,} bytes, got {path.stat().st_size:,}")
    content: dict[str, Any] = with_new_keys(json.loads(path.read_text(encoding="utf-8")), path)
    for name in ("settings", "sha256"):
        if not isinstance(content, dict) or not isinstance(content.get(name), dict):
            raise ValueError(f"{MANIFEST} must hold the objects 'settings' and 'sha256', and {name!r} is none")
    for name, rule in SETTINGS.items():
        _check(f"settings.{name}", content["settings"].get(name), rule)
    for name in (*NEEDED, *(name for name in OPTIONAL if (folder / name).exists())):
        if name not in content["sha256"]:
            raise ValueError(f"{MANIFEST} must name each file of the set under 'sha256', and {name} is missing")
    for name, digest in content["sha256"].items():
        if name not in (*NEEDED, *OPTIONAL):  # so that no name leads out of the folder
            raise ValueError(f"{MANIFEST} names {name!r} under 'sha256', which is no file of a set of weights")
        _check(f"sha256[{name!r}]", digest, ("64 hexadecimal digits", _is_sha256))
    return content


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _check(name: str, value: Any, rule: Rule) -> None:
    text, holds = rule
    if not holds(value):
        raise ValueError(f"{name} in {MANIFEST} must be {text}, got {value!r:.80}")
