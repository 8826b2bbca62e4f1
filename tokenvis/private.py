"""Private files: only the user who runs tokenvis can read what it creates.

On POSIX, a new file has the mode 0600 and a new folder 0700 from the call that creates it, whatever the umask is. A file that
exists keeps its mode, also when it is replaced. Windows has no modes: there, a new file gets the access list of its folder.
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

FILE_MODE, FOLDER_MODE = 0o600, 0o700
RIGHTS, GROUP_RIGHTS = 0o777, 0o070  # without setuid, setgid and sticky
CREATE_FLAGS = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
ACCESS_LIST = "system.posix_acl_access"  # the extended attribute of Linux


def create_private_file(path: Path) -> int:
    """Create a file; returns its descriptor, open to read and write. `FileExistsError` if there is a file or a link."""
    descriptor = os.open(path, CREATE_FLAGS, FILE_MODE)
    set_mode(descriptor, FILE_MODE)
    return descriptor


def touch_private(path: Path) -> None:
    """Create an empty file, unless there is one."""
    with suppress(FileExistsError):
        os.close(create_private_file(path))


def create_private_folder(path: Path) -> None:
    """Create a folder and its missing parents, unless it exists."""
    try:
        path.mkdir(FOLDER_MODE)
    except FileNotFoundError:
        create_private_folder(path.parent)
        create_private_folder(path)
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        set_mode(path, FOLDER_MODE)


def new_private_folder(parent: Path, prefix: str = "") -> Path:
    """Create a folder with a random name that begins with ``prefix``."""
    folder = Path(mkdtemp(prefix=prefix, dir=parent))
    set_mode(folder, FOLDER_MODE)
    return folder


def set_mode(created: int | Path, mode: int) -> None:
    """Give the owner of a new, empty file or folder the rights that the umask has taken away."""
    if os.name == "posix" and os.stat(created).st_mode & RIGHTS != mode:  # noqa: PTH116  (of a path or a descriptor)
        with suppress(OSError):  # a file system without modes
            os.chmod(created, mode)  # noqa: PTH101


def narrow_mode(copy: Path, original: Path) -> None:
    """Take the rights from a private copy that its original does not give; the owner can always read it."""
    if os.name == "posix":
        with suppress(OSError):  # a file system without modes
            copy.chmod(FILE_MODE & original.stat().st_mode | stat.S_IRUSR)


def copy_access(existing: Path, descriptor: int) -> None:
    """Give a file that will replace another one, if that exists, its rights, owner, group and access list, but never more.

    If the group or the access list cannot be kept, the group gets no rights.
    """
    if os.name != "posix":
        return
    try:
        status = existing.stat()
    except FileNotFoundError:
        return
    is_kept = copy_group(status, descriptor) and copy_access_list(existing, descriptor)
    with suppress(OSError):  # a file system without modes
        os.fchmod(descriptor, status.st_mode & RIGHTS & (RIGHTS if is_kept else ~GROUP_RIGHTS))


def copy_group(status: os.stat_result, descriptor: int) -> bool:
    """Give a file the owner (only root can) and the group of another one; return whether it has that group now."""
    for owner in (status.st_uid, -1):
        with suppress(OSError):  # this user is not root, or not a member of the group
            os.fchown(descriptor, owner, status.st_gid)
            break
    return os.fstat(descriptor).st_gid == status.st_gid


def copy_access_list(existing: Path, descriptor: int) -> bool:
    """Give a file the access list of another one, or none if that has none; return whether they are equal now."""
    try:
        if ACCESS_LIST in os.listxattr(existing):
            os.setxattr(descriptor, ACCESS_LIST, os.getxattr(existing, ACCESS_LIST))
        elif ACCESS_LIST in os.listxattr(descriptor):  # from the folder
            os.removexattr(descriptor, ACCESS_LIST)
    except AttributeError:  # only Linux has these functions
        return True
    except OSError as error:
        return error.errno == errno.ENOTSUP
    return True
