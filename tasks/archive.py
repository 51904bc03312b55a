"""Archives: what the authors of a data set have published, and how one becomes a folder.

An archive is opened when its checksum is the published one. Even then it may write nothing but plain files and
folders, and only below the folder that it is given.
"""

import gzip
import hashlib
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tasks.errors import DataError

_UNREADABLE = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError)

_PACKED = (".zip", ".tar", ".tar.gz", ".tgz")

# Python refuses unsafe members itself since 3.11.4; `Archive` does so in any case.
_STRICTLY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One file that must be downloaded: `.zip` or a tar file with a folder inside, or a file that is used as it is."""

    url: str
    """Where it is published."""
    md5: str
    """Its published checksum, in hexadecimal."""
    size: int
    """Bytes, for tables and progress; whether a file is whole is told by its checksum."""
    folder: str
    """Where its content belongs below the data directory; what is packed holds a folder of the same last name."""

    @property
    def name(self) -> str:
        """Its file name."""
        return self.url.rpartition("/")[2]

    @property
    def is_packed(self) -> bool:
        """Whether it holds a folder; any other file goes into its folder unchanged."""
        return self.name.endswith(_PACKED)

    @property
    def place(self) -> str:
        """What is below the data directory once it is there: its folder, or the file in its folder."""
        return self.folder if self.is_packed else f"{self.folder}/{self.name}"

    def is_present(self, root: Path) -> bool:
        """Whether its content is below the data directory `root`."""
        return (root / self.place).exists()

    def part(self, root: Path) -> Path:
        """The file that holds what has been downloaded of it so far."""
        return root / f"{self.name}.part"

    def verify(self, file: Path) -> None:
        """Raises `DataError` when the content of `file` is not what was published."""
        if (found := checksum(file)) != self.md5:
            raise DataError(
                f"expected {self.name} with md5 {self.md5}, got {found} from {self.url}; "
                "the file has been removed, fetch it again"
            )

    def unpack(self, file: Path, root: Path) -> None:
        """Makes what belongs below `root` out of the content of `file`: the whole folder or file, or nothing.

        Raises:
            DataError: when the archive cannot be read to its end, holds a member that would be written elsewhere,
                or lacks the folder.
        """
        target = root / self.place
        temporary = target.with_name(f".{target.name}.unpacking")
        shutil.rmtree(temporary, ignore_errors=True)  # a process that was killed left it
        try:
            temporary.mkdir(parents=True)
            if self.is_packed:
                self._extract(file, temporary)
            else:
                shutil.copyfile(file, temporary / target.name)
            if not (temporary / target.name).exists():
                raise DataError(f"expected a folder {target.name} in {self.name}, got none; look at {self.url}")
            (temporary / target.name).rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _extract(self, file: Path, target: Path) -> None:
        try:
            if self.name.endswith(".zip"):
                with zipfile.ZipFile(file) as packed:
                    self._check(_zip_members(packed))
                    packed.extractall(target)
            else:
                with tarfile.open(file) as tar:
                    self._check((member.name, member.isfile() or member.isdir()) for member in tar)
                    tar.extractall(target, **_STRICTLY)
        except _UNREADABLE as error:
            raise DataError(
                f"expected {self.name} to be a whole archive, got one that cannot be read ({error}); fetch it again"
            ) from error

    def _check(self, members: Iterator[tuple[str, bool]]) -> None:
        """Refuses a member, (name, whether it is a plain file or folder), that could write outside of the target."""
        for name, is_plain in members:
            path = PurePosixPath(name)
            if not is_plain or path.is_absolute() or ".." in path.parts:
                kind = "one that leaves it" if is_plain else "a link or a device"
                raise DataError(
                    f"expected files below one folder in {self.name}, got {kind}: {name!r}; look at {self.url}"
                )


def checksum(file: Path) -> str:
    """The MD5 of a file's content, in hexadecimal."""
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "md5").hexdigest()


def _zip_members(packed: zipfile.ZipFile) -> Iterator[tuple[str, bool]]:
    for member in packed.infolist():
        kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where the archive was not made on Unix
        yield member.filename, kind in (0, stat.S_IFREG, stat.S_IFDIR)
