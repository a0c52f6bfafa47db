"""Unpacking of zipped data sets, which may be hostile: nothing leaves the folder or fills the disk.

Sizes are those that the archive declares; `zipfile` reads no more of an entry than that.
"""

from __future__ import annotations

import re
import shutil
import stat
import zlib
from collections.abc import Iterator
from contextlib import suppress
from errno import EEXIST, EINVAL, EISDIR, ENAMETOOLONG, ENOTDIR
from pathlib import Path, PurePosixPath
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from tqdm import tqdm

from model.data.annotation_file import is_clutter
from model.data.coco import DatasetError

_MOST_EXPANSION = 100  # times the archive; films and run lengths do not come near it
_SMALL = 64 << 20  # bytes that may be unpacked at any rate
_DEEPEST = 30  # folders within folders
# What a place before the file's beginning, a name too long, or a file that is a folder too raises.
_BY_THE_ARCHIVE = (EINVAL, ENAMETOOLONG, EEXIST, ENOTDIR, EISDIR)
_IS_ENCRYPTED, _IS_UTF8 = 0x1, 0x800  # general purpose flags of APPNOTE.TXT, 4.4.4


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks a zip file, without what macOS adds.

    Args:
        archive: the file.
        folder: that is made.

    Raises:
        DatasetError: for a file that is no zip or is damaged, and for one with encrypted entries,
            links, paths that lead out, two entries of one name,
            names that no folder takes, or more bytes than are plausible.
    """
    try:
        with ZipFile(archive) as packed:
            entries = list(_entries(packed))
            folder.mkdir()
            _check_size(sum(info.file_size for _, info in entries), archive, folder)
            progress = tqdm(entries, desc=f"unpacking {archive.name}", unit="file")
            for path, info in progress:
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with packed.open(info) as content, target.open("xb") as file:
                    shutil.copyfileobj(content, file)
    except (BadZipFile, NotImplementedError, EOFError, UnicodeError, zlib.error) as error:
        raise DatasetError(f"{archive} is no zip file that can be read: {error}") from None
    except DatasetError as error:
        raise DatasetError(f"{archive} {error}") from None
    except OSError as error:
        if error.errno not in _BY_THE_ARCHIVE:
            raise
        where = f" at {Path(str(error.filename)).name[:60]!r}" if error.filename else ""
        why = "it is cut off, or has names that no folder takes"
        raise DatasetError(
            f"{archive} cannot be unpacked{where}: {why} ({error.strerror})"
        ) from None


def _entries(packed: ZipFile) -> Iterator[tuple[PurePosixPath, ZipInfo]]:
    """The files of an archive, each with its path below a folder."""
    seen = set()
    for info in packed.infolist():
        name = _name(info)
        path = PurePosixPath(name)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", name):
            raise DatasetError(f"has the entry {name!r}, which would lie outside of its folder")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DatasetError(f"has the entry {name!r}, which is a link or a device, not a file")
        if len(path.parts) > _DEEPEST:
            raise DatasetError(f"has more than {_DEEPEST} folders within each other")
        if name.endswith("/") or any(map(is_clutter, path.parts)):
            continue
        if info.flag_bits & _IS_ENCRYPTED:
            raise DatasetError("is encrypted: unpack it, and give the folder instead")
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise DatasetError("is not packed by deflate: unpack it, and give the folder instead")
        if path in seen:
            raise DatasetError(f"has two entries {name!r}: it is not clear which is meant")
        seen.add(path)
        yield path, info


def _name(info: ZipInfo) -> str:
    """An entry's path with slashes; many tools write UTF-8 without the flag that says so."""
    name = info.filename
    if not info.flag_bits & _IS_UTF8:
        with suppress(UnicodeError):  # `zipfile` took the bytes for code page 437
            name = name.encode("cp437").decode()
    return name.replace("\\", "/")


def _check_size(size: int, archive: Path, folder: Path) -> None:
    packed = archive.stat().st_size
    if size > _MOST_EXPANSION * packed + _SMALL:
        raise DatasetError(
            f"would grow from {packed:,} to {size:,} bytes, as no data set does: "
            "if it is one, unpack it, and give the folder instead"
        )
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DatasetError(f"unpacks to {size:,} bytes, but {folder.parent} has {free:,} left")
