"""Made archives, well-meant and hostile."""

import io
import tarfile
import zipfile
from pathlib import Path

UNIX = 3  # create_system of a zip's entry


def zip_of(path: Path, *entries, compression=zipfile.ZIP_DEFLATED) -> Path:
    """A zip of (name, data) or (name, data, mode); a mode is that of stat, e.g. 0o120777 for a link to `data`."""
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data, *mode in entries:
            info = zipfile.ZipInfo("placeholder")
            info.filename = name  # as it is: the constructor would tidy it
            info.create_system = UNIX
            info.external_attr = (mode[0] if mode else 0o100644) << 16
            info.compress_type = compression
            file.writestr(info, data)
    return path


def tar_of(path: Path, *entries, mode="w", form=tarfile.PAX_FORMAT) -> Path:
    """A tar of (name, data), or (name, target, type) for links and devices."""
    with tarfile.open(path, mode, format=form) as file:
        for name, data, *kind in entries:
            member = tarfile.TarInfo(name)
            if kind:
                member.type, member.linkname = kind[0], data
                file.addfile(member)
            else:
                member.size = len(data)
                file.addfile(member, io.BytesIO(data))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path; a link is told as one."""
    return {
        path.relative_to(folder).as_posix(): b"LINK" if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }
