"""The manifest of one log file on disk, and the files that it speaks of brought in line with it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import groupby

from queuelog.base import opened, report
from queuelog.rotation.files import FileState, look, remove, rename_new
from queuelog.rotation.manifest import Entry, Manifest, ManifestError
from queuelog.rotation.names import Names

_LARGEST = 64 << 20  # bytes of a manifest


class Inventory:
    """What there is of the backups of the log file `path`, as far as they were made here.

    A step that fails leaves behind what a crash at this point would; the next one begins with
    `recover`.
    """

    def __init__(self, path: str) -> None:
        self.directory, self.name = os.path.split(path)
        self._path = self.path_of(f".{self.name}.queuelog")
        self._manifest: Manifest | None = None  # of a directory that is in order
        self._written = 0, 0  # which file that is
        self.temporaries: set[str] = set()  # names of files that somebody works on

    def path_of(self, name: str) -> str:
        """Return the path of a file in the directory."""
        return os.path.join(self.directory, name)

    def has(self, name: str) -> bool:
        """Tell if there is anything by this name in the directory."""
        return os.path.lexists(self.path_of(name))

    @contextmanager
    def in_order(self) -> Iterator[Manifest]:
        """Do a step with what there is, and bring it in order before, if need be.

        Raises:
            OSError: that was not possible.
        """
        manifest = self._manifest or self._recovered()
        try:
            yield manifest
        except BaseException:
            self.distrust()
            raise

    def distrust(self) -> None:
        """Let the next step find out anew what there is."""
        self._manifest = None

    def look_again(self) -> None:
        """Let the next step do that if another process has written the manifest meanwhile."""
        if self._written != self._identity():
            self.distrust()

    def _identity(self) -> tuple[int, int]:
        """Tell which file the manifest is, and of when; (0, 0) if there is none."""
        with suppress(OSError):
            found = os.lstat(self._path)
            return found.st_ino, found.st_mtime_ns
        return 0, 0

    def save(self, manifest: Manifest) -> Manifest:
        """Replace the manifest; return it. The temporary files in it are those of now.

        Raises:
            OSError: the one before is still there.
        """
        manifest = manifest._replace(temporaries=tuple(sorted(self.temporaries)))
        if manifest != self._manifest:
            self._write(manifest.encode())
            self._manifest, self._written = manifest, self._identity()
        return manifest

    def _write(self, data: bytes) -> None:
        new = f"{self._path}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            with opened(new, flags, 0o644) as fd:
                if len(data) > _LARGEST or os.write(fd, data) != len(data):
                    raise OSError(f"no room for {new}")
            os.rename(new, self._path)
        except OSError:
            with suppress(OSError):
                remove(new)
            raise

    def read(self) -> Manifest:
        """Return the manifest as it is; an empty one if there is none.

        Raises:
            ManifestError: it is damaged.
            OSError: it cannot be read.
        """
        try:
            found = look(self._path)
            if found is None:
                if os.path.lexists(self._path):
                    raise ValueError("it is no regular file")
                return Manifest()
            if found.stat.st_size > _LARGEST:
                raise ValueError("it is too long")
            with opened(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK) as fd:
                return Manifest.parse(os.read(fd, _LARGEST), self.name)
        except ValueError as error:
            raise ManifestError(f"{self._path}: {error}") from None

    def _recovered(self) -> Manifest:
        """Finish or undo what a crash, or a failure, has left.

        What the manifest says of files that are gone, or are other ones, is forgotten.
        """
        try:
            manifest = self.read()
        except ManifestError as error:
            manifest = self._put_aside(str(error))
        for name in set(manifest.temporaries) - self.temporaries:
            remove(self.path_of(name))
        remove(f"{self._path}.new")
        backups = []
        for entries in self.present(manifest):
            *replaced, last = entries
            for entry in replaced:  # an archive is complete when it has its name
                remove(self.path_of(entry.name))
            backups.append(last)
        self._manifest, self._written = manifest, self._identity()
        return self.save(manifest._replace(backups=tuple(backups)))

    def _put_aside(self, reason: str) -> Manifest:
        """Begin anew, and leave what cannot be understood to whoever understands it."""
        aside = self.path_of(Names(self.directory, f".{self.name}.queuelog").dated("damaged"))
        rename_new(self._path, aside)
        report(
            f"manifest {self._path}",
            f"{reason}; it is {aside} now. The backups that it speaks of are kept for ever: remove "
            f"by hand what is not needed",
        )
        return Manifest()

    def present(self, manifest: Manifest) -> Iterator[list[Entry]]:
        """Give each backup that is there, by its entry, or two: a plain file, and its archive.

        Where it may have either of two names, since files were being moved on, it has the one that
        leads to its inode; in a copy of the directory to the first that is not another backup's.
        """
        numbers = Names(self.directory, self.name)
        taken: set[str] = set()
        ordered = sorted(manifest.backups, key=lambda entry: entry.order)
        groups = [list(group) for _, group in groupby(ordered, key=lambda entry: entry.order)]
        groups.sort(key=lambda group: min(numbers.number_of(entry.name) for entry in group))
        for group in groups:
            group.sort(key=lambda entry: numbers.number_of(entry.name))
            found = {entry: inode for entry in group if (inode := self._inode(entry, taken))}
            there = [entry for entry in found if found[entry] == entry.inode] or list(found)
            both = {entry.is_archive: entry for entry in reversed(there)}
            chosen = [both[form] for form in sorted(both)]
            taken.update(entry.name for entry in chosen)
            if chosen:
                yield chosen

    def _inode(self, entry: Entry, taken: Collection[str]) -> int:
        """Return the inode of the entry's file; 0 if it is gone, or another backup's."""
        if entry.name in taken:
            return 0
        try:
            found = self.look(entry)
        except OSError:  # it may not be read, or not just now: nobody can tell
            return entry.inode if self._has_inode(entry) else 0
        return found.stat.st_ino if found else 0

    def _has_inode(self, entry: Entry) -> bool:
        with suppress(OSError):
            return os.lstat(self.path_of(entry.name)).st_ino == entry.inode
        return False

    def look(self, entry: Entry) -> FileState | None:
        """Return the file of a backup; None if it is gone, or another one.

        Raises:
            OSError: it cannot be read.
        """
        found = look(self.path_of(entry.name))
        return found if found is not None and entry.describes(found) else None

    def files(self, manifest: Manifest) -> dict[Entry, FileState]:
        """Return the files that are there and can be read."""
        found = {}
        for entry in manifest.backups:
            with suppress(OSError):
                state = self.look(entry)
                if state is not None:
                    found[entry] = state
        return found
