"""The documents: they exist, their links lead somewhere, and no file names the machine it was made on."""

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Written in pieces, so that this file is not its own finding.
PLACES = [
    *(("/" + "/".join(parts) + "/") for parts in [("work", "main"), ("work", "shared"), ("work", ".library")]),
    *(("/" + "/".join(parts)) for parts in [("root", ""), ("tmp", "lg"), ("opt", "pypi"), ("opt", "wheels")]),
    "/" + "etc/" + "xdg",
]
HOMES = r"/(?:" + "home" + "|" + "Users" + r")/[a-z]\w*/"
HOSTS = [
    ".".join(parts)
    for parts in [
        ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("yarnpkg", "com"),
        ("deb", "debian", "org"), ("security", "debian", "org"), ("crates", "io"), ("proxy", "golang", "org"),
        ("rubygems", "org"), ("repo1", "maven", "org"), ("repo", "maven", "apache", "org"),
    ]
]  # fmt: skip
FORBIDDEN = re.compile("|".join([*map(re.escape, PLACES + HOSTS), HOMES]), re.IGNORECASE)

LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def tracked() -> list[Path]:
    """Every file that git has, or would have once it is added."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    return sorted({path for name in listing.split("\0") if name and (path := ROOT / name).is_file()})


def pages() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".md"]


def anchors(page: Path) -> set[str]:
    """The names under which a page's headings can be linked, as GitHub makes them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    slugs: dict[str, int] = {}
    names = set()
    for heading in HEADING.findall(text):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        names.add(slug if slug not in slugs else f"{slug}-{slugs[slug]}")
        slugs[slug] = slugs.get(slug, 0) + 1
    return names


def broken_links(page: Path) -> list[str]:
    """The relative links of one page that lead to no file, or to no heading in it."""
    broken = []
    for groups in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        link = groups[0] or groups[1]
        if re.match(r"[a-z][a-z0-9+.-]*:", link, re.IGNORECASE):
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / unquote(path)).resolve() if path else page
        inside = target.is_relative_to(ROOT) and target.exists()
        to_heading = bool(fragment) and target.suffix == ".md"
        if not inside or (to_heading and unquote(fragment).lower() not in anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "LICENSE", "docs/README.md"])
def test_the_document_exists_and_says_something(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8").strip()


def test_the_changelog_has_a_place_for_what_is_not_released_yet() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_relative_link_leads_to_a_file_and_a_heading() -> None:
    assert {str(page.relative_to(ROOT)): links for page in pages() if (links := broken_links(page))} == {}


def test_a_broken_link_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b` heading\n[ok](#a-b-heading) [ok](page.md) [ok](https://example.com/x)\n"
        "[gone](gone.md) [no heading](page.md#c) [out](../../out)\n```\n[code](gone.md)\n```\n[ref]: missing.md\n"
    )
    assert broken_links(page) == ["gone.md", "page.md#c", "../../out", "missing.md"]


def test_every_page_of_docs_is_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    listed = {(ROOT / "docs" / (one or two)).resolve() for one, two in LINK.findall(index)}
    unlisted = [page for page in pages() if page.is_relative_to(ROOT / "docs") and page not in listed]
    assert [str(page.relative_to(ROOT)) for page in unlisted if page.name != "README.md"] == []


def test_no_file_names_a_path_of_the_machine_or_the_host_of_a_registry() -> None:
    files = tracked()
    assert len(files) > 10  # git was asked in the right place
    found = {}
    for path in files:
        match = FORBIDDEN.search(path.read_bytes().decode("utf-8", "replace"))
        if match:
            found[str(path.relative_to(ROOT))] = match[0]
    assert found == {}


@pytest.mark.parametrize(
    "text", ["see /{}/main/x".format("work"), "from {}.org".format("pypi"), "/{}/kim/x".format("home")]
)
def test_such_a_name_would_be_found(text: str) -> None:
    assert FORBIDDEN.search(text)
