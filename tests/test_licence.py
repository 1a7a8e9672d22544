"""The metadata of the package, and NOTICE, say which files are not under the MIT licence."""

import re
import tomllib
from pathlib import Path

from packaging.licenses import canonicalize_license_expression

ROOT = Path(__file__).parents[1]
NOTICE = (ROOT / "NOTICE").read_text(encoding="utf-8")
SYNTHETIC = "agents/weights/synthetic"  # it saw no photograph


def test_the_metadata_name_the_licence_of_the_weights_beside_mit():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    expression = canonicalize_license_expression(project["license"])
    assert expression == "MIT AND LicenseRef-11k-Hands-research"
    assert "LicenseRef-11k-Hands-research" in NOTICE
    assert project["license-files"] == ["LICENSE", "NOTICE"]


def test_the_citation_names_the_licences_of_code_and_weights_as_the_metadata_do():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    code, weights = project["license"].split(" AND ")
    assert f"\nlicense: {code} " in citation
    assert f"for research, under {weights}: NOTICE lists them." in " ".join(citation.split())
    assert f"\nversion: {project['version']}\n" in citation


def test_the_start_page_of_the_site_says_what_notice_and_citation_say():
    index = " ".join((ROOT / "docs" / "index.md").read_text(encoding="utf-8").split())
    section = index.partition("## Licence and citation")[2]
    for path in re.findall(r"^(\w+/[\w./]+)", NOTICE, re.M):
        assert f"`{path}`" in section
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    title, paper = re.findall(r'title: "(.*)"', citation)
    (version,) = re.findall(r"^version: (.*)$", citation, re.M)
    (author,) = re.findall(r'^  - name: "(.*)"$', citation, re.M)
    assert f"{author}. {title}. Version {version}." in section
    assert paper in section
    assert "`LicenseRef-11k-Hands-research`" in section


def test_the_notice_names_every_folder_of_weights_that_learned_from_photographs():
    shipped = {
        path.parent for package in ("vae", "hand_env", "agents") for path in (ROOT / package).rglob("*.safetensors")
    }
    folders = {folder.relative_to(ROOT).as_posix() for folder in shipped} - {SYNTHETIC}
    assert len(folders) >= 3
    assert [
        folder for folder in sorted(folders) if not any(line.startswith(folder) for line in NOTICE.split("\n"))
    ] == []
