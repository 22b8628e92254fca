"""Find the Unix user as whom a worker's program is to run, and become that user.

Only who is root can become somebody else. A user of makeway who is no Unix user here is nobody whom
we could become: the program runs as whoever runs the controller, unless the site forbids that.
"""

from __future__ import annotations

import errno
import functools
import os
import pwd
from pathlib import Path

import msgspec

from makeway.executor.folder import give_to
from makeway.executor.protocol import Launch

# What the controller's own environment says that is not for other users' eyes.
SECRET = ("MAKEWAY_TOKEN", "MAKEWAY_DATABASE", "MAKEWAY_DATABASE_URL", "MAKEWAY_CONFIG")


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Another Unix user than the one that we are."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str
    groups: tuple[int, ...]

    def variables(self) -> dict[str, str]:
        """Give what a login would set."""
        names = {"USER": self.name, "LOGNAME": self.name, "HOME": self.home, "SHELL": self.shell}
        return {name: value for name, value in names.items() if value}


def account_of(launch: Launch) -> Account | None:
    """Give the user to become; None: stay who we are. PermissionError where that is forbidden."""
    own = os.geteuid()
    if launch.user == own_name():
        return None
    try:
        entry = pwd.getpwnam(launch.user) if launch.user else None
    except (KeyError, ValueError):
        entry = None
    if entry is not None and entry.pw_uid == own:
        return None
    if entry is None or own != 0:
        if launch.users_required:
            why = "is no user of this machine" if entry is None else "is not who runs makeway here"
            raise PermissionError(errno.EPERM, f"{launch.user or 'nobody'} {why}", launch.user)
        return None
    return Account(
        name=entry.pw_name,
        uid=entry.pw_uid,
        gid=entry.pw_gid,
        home=entry.pw_dir,
        shell=entry.pw_shell,
        groups=tuple(os.getgrouplist(entry.pw_name, entry.pw_gid)),
    )


def become(account: Account) -> None:
    """Give up what we may, for good."""
    os.setgroups(account.groups)
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)


def let_in(account: Account, folder: Path, checkpoint: Path) -> None:
    """Let the user write where a program of theirs may: its folder, its checkpoints."""
    give_to(folder, account.gid)
    checkpoint.mkdir(exist_ok=True)
    if checkpoint.lstat().st_uid != account.uid:
        os.chown(checkpoint, account.uid, account.gid, follow_symlinks=False)


def name_of(account: Account | None) -> str:
    """Name the user as whom a program runs."""
    return own_name() if account is None else account.name


@functools.cache
def own_name() -> str:
    """Name the user that we are; by number if it has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
