"""`market files`: what lies in one's home."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from distributedmarket.cli import exits, options, text
from distributedmarket.cli.context import Context, confirmed
from distributedmarket.client import MarketApiError
from distributedmarket.errors import SetupError
from distributedmarket.sdk import models
from distributedmarket.sdk.transfer import below

_BAD_INPUT = 422


def files(parser: argparse.ArgumentParser) -> None:
    """Declare `market files`."""
    words = parser.add_subparsers(required=True, metavar="ls|put|get|rm")
    options.examples(
        parser,
        "market files ls digits",
        "market files put train.py data digits",
        "market files get digits/data.csv",
        "market files rm digits --yes",
    )
    listed = words.add_parser("ls", help="list a folder (also without this word)")
    listed.add_argument("path", nargs="?", default=".", metavar="FOLDER")
    listed.set_defaults(run=_list)
    stored = words.add_parser("put", help="upload files and folders into a folder of your home")
    stored.add_argument("sources", nargs="+", type=Path, metavar="FILE")
    stored.add_argument("folder", metavar="FOLDER", help=". is the home itself")
    stored.set_defaults(run=_put)
    fetched = words.add_parser("get", help="download a file, or a folder with all that is in it")
    fetched.add_argument("path", metavar="PATH")
    fetched.add_argument("target", nargs="?", type=Path, default=Path(), metavar="TO", help="default: here")
    fetched.set_defaults(run=_get)
    deleted = words.add_parser("rm", help="delete files, or folders with all that is in them")
    deleted.add_argument("paths", nargs="+", metavar="PATH")
    deleted.add_argument("--yes", action="store_true", help="do not ask")
    deleted.set_defaults(run=_remove)
    for leaf in (listed, stored, fetched, deleted):
        options.common(leaf)


def _list(context: Context, chosen: argparse.Namespace) -> int:
    found = [*context.market.files.list(chosen.path)]
    rows = [_row(entry) for entry in found]
    headings = ("path", ">size", "changed")
    context.output.answer({"files": found}, lambda: context.output.table(headings, rows, "nothing here"))
    return exits.DONE


def _row(entry: models.FileEntry) -> tuple[str, str, str]:
    if entry.get("is_folder"):
        return f"{entry['path']}/", "", ""
    return entry["path"], text.size(entry["size"]), text.at(entry.get("modified_time"))


def _put(context: Context, chosen: argparse.Namespace) -> int:
    pairs = [pair for source in chosen.sources for pair in _below(source)]
    if not pairs:
        raise SetupError("there is no file in these folders")
    stored = []
    for source, name in pairs:
        path = name if chosen.folder in (".", "") else f"{chosen.folder.rstrip('/')}/{name}"
        try:
            stored.append(context.market.files.put(source, path))
        except OSError as error:
            raise SetupError(f"{source}: {error.strerror}") from None
        context.output.line(f"{text.clean(path)}  {text.size(stored[-1]['size'])}")
    if context.output.as_json:
        context.output.answer({"files": stored}, lambda: None)
    return exits.DONE


def _below(source: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files that a name means, each with the name that it gets. Raises SetupError."""
    if source.is_file():
        yield source, source.name
    elif source.is_dir():
        top = source.resolve()
        for path in sorted(top.rglob("*")):
            if path.is_file():
                yield path, str(PurePosixPath(top.name, path.relative_to(top).as_posix()))
    else:
        raise SetupError(f"there is no file {source}")


def _get(context: Context, chosen: argparse.Namespace) -> int:
    market, path = context.market, chosen.path.rstrip("/")
    try:
        places = [market.files.get(path, chosen.target)]
    except MarketApiError as error:
        if error.status != _BAD_INPUT:  # a folder is refused there, in words
            raise
        top = below(chosen.target, PurePosixPath(path).name)
        inside = [entry["path"] for entry in market.files.walk(path)]
        if not inside:
            raise
        places = [market.files.get(one, _place(top, one[len(path) + 1 :])) for one in inside]
    except OSError as error:
        raise SetupError(f"{chosen.target}: {error.strerror}") from None

    def show() -> None:
        for place in places:
            context.output.line(text.clean(place))

    context.output.answer({"files": [str(place) for place in places]}, show)
    return exits.DONE


def _place(top: Path, name: str) -> Path:
    """Return where a file of a folder goes; the folders above it are made."""
    place = below(top, name)
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _remove(context: Context, chosen: argparse.Namespace) -> int:
    named = ", ".join(text.clean(path) for path in chosen.paths)
    if not confirmed(f"Delete {named}, with all that is in it?", chosen.yes):
        return exits.REFUSED
    for path in chosen.paths:
        context.market.files.delete(path.rstrip("/"))
    context.output.answer({"deleted": chosen.paths}, lambda: context.output.line(f"deleted {named}"))
    return exits.DONE
