"""What a process takes from itself before it runs a candidate: the rest of the machine.

Linux namespaces (namespaces(7)), entered without any program, so that it also works inside another sandbox and for a
superuser without capabilities; and a system call filter (seccomp(2)). Each step is tried; what failed is told.
"""

import os
import struct
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

MEMORY, PROCESSES, HIDDEN, FILES, NETWORK, FORKS = (
    "the candidate could read the verifier's memory and environment, the seed in it",
    "the candidate could signal other processes",
    "the candidate could read the verifier's own files",
    "the candidate could write files",
    "the candidate could use the network",
    "the candidate could leave work to other processes",
)
_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_BIND, _REC, _PRIVATE, _NOSUID_NODEV_NOEXEC = 0x1000, 0x4000, 0x40000, 0xE
_PDEATHSIG, _DUMPABLE, _CAPBSET_DROP, _NO_NEW_PRIVS, _SECCOMP = 1, 4, 24, 38, 22
_MOUNT_SETATTR, _LANDLOCK = 442, 444  # system calls, the same on every machine
_NOBODY = 65534
# Audit architecture, then the numbers of: clone, clone3, and what is never needed (fork and vfork; ptrace,
# process_vm_readv, process_vm_writev, pidfd_getfd).
_CALLS = {
    "x86_64": (0xC000003E, 56, 435, (57, 58), (101, 310, 311, 438)),
    "aarch64": (0xC00000B7, 220, 435, (), (117, 270, 271, 438)),
}


def keep_out() -> None:
    """Let no other process of our user look into this one (PR_SET_DUMPABLE)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_DUMPABLE, 0, 0, 0, 0)


def enter(
    *, folder: str, writable: str, hide: Sequence[str], readable: Sequence[str], processes: bool, file_size: int
) -> list[str]:
    """Confine this process; from here on it is a fork of the one that called, which waits for it.

    Args:
        folder: where it works.
        writable: the one folder that it may write.
        hide: files to see empty, and folders.
        readable: what it must be able to read.
        processes: whether it may start others.
        file_size: bytes that one file may hold, results and output too.

    Returns:
        what could not be taken from it, in words.
    """
    import ctypes
    import resource

    os.chdir(folder)
    os.environ["TMPDIR"] = writable
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    if sys.platform != "linux":
        return [MEMORY, PROCESSES, HIDDEN, FILES, NETWORK, FORKS]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PDEATHSIG, 9, 0, 0, 0)
    missing = []
    user, group = os.geteuid(), os.getegid()
    own = not libc.unshare(_NEWUSER)
    if own:
        _map_user(user, group)
    elif not (user == 0 and _other_user(readable)):
        missing.append(MEMORY)
    mounts = not libc.unshare(_NEWNS)
    pids = not libc.unshare(_NEWPID)
    if libc.unshare(_NEWNET):
        missing.append(NETWORK)
    libc.unshare(_NEWIPC | _NEWUTS)
    if pids:
        _leave_to_fork(libc)
    hidden = mounts and _read_only(libc, writable, hide)
    if mounts and pids:  # not where another sandbox has covered parts of it; the rest of this holds all the same
        libc.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(_NOSUID_NODEV_NOEXEC), None)
    if not hidden:
        missing += [HIDDEN] if _landlock(libc, writable) else [HIDDEN, FILES]
    if not pids:
        missing.append(PROCESSES)
    if _drop_capabilities(libc) and MEMORY in missing:  # without them, it has no way into processes that have them
        missing.remove(MEMORY)
    if not (_filter_calls(libc, processes) and not processes):
        missing.append(FORKS)
    return missing


def cover(files: Sequence[str]) -> list[str]:
    """Let this process, and all that it will start, see files empty, and none of the processes before it.

    From here on it is a fork of the one that called, which waits for it. What it may write stays as it was.

    Returns:
        what could not be taken from it, in words.
    """
    if sys.platform != "linux":
        return [MEMORY, PROCESSES, HIDDEN]
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PDEATHSIG, 9, 0, 0, 0)
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(_NEWUSER | _NEWNS | _NEWPID):
        return [MEMORY, PROCESSES, HIDDEN]
    libc.prctl(_DUMPABLE, 1, 0, 0, 0)  # or the map below is not its own to write
    _map_user(user, group)
    libc.prctl(_DUMPABLE, 0, 0, 0, 0)
    _leave_to_fork(libc)
    missing = []
    plain = ctypes.c_ulong(_REC | _PRIVATE)
    if libc.mount(b"none", b"/", None, plain) or any(
        libc.mount(b"/dev/null", os.fsencode(path), None, ctypes.c_ulong(_BIND), None) for path in files
    ):
        missing.append(HIDDEN)
    libc.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(_NOSUID_NODEV_NOEXEC), None)
    _drop_capabilities(libc)  # a mount that covers a file could be taken away with them
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    return missing


def _map_user(user: int, group: int) -> None:
    """Be nobody inside; where the kernel refuses that (a superuser without capabilities), stay without a name."""
    for name, line in (("setgroups", "deny"), ("gid_map", f"{_NOBODY} {group} 1"), ("uid_map", f"{_NOBODY} {user} 1")):
        try:
            with open(f"/proc/self/{name}", "w") as file:
                file.write(line)
        except OSError:
            pass


def _other_user(readable: Sequence[str]) -> bool:
    """Become nobody, where nobody can read what is needed."""
    try:
        os.seteuid(_NOBODY)
        able = all(os.access(path, os.R_OK, effective_ids=True) for path in readable)
        os.seteuid(0)
        if able:
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        return able
    except OSError:
        return False


def _leave_to_fork(libc: "ctypes.CDLL") -> None:
    """Go on as the first process of the new namespace; this one waits for it, and ends as it did."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    libc.prctl(_PDEATHSIG, 9, 0, 0, 0)


def _read_only(libc: "ctypes.CDLL", writable: str, hide: Sequence[str]) -> bool:
    """Make every mount read-only but one folder, and cover what is to be hidden."""

    import ctypes

    def mount(source: str, target: str, kind: bytes | None, flags: int) -> bool:
        return not libc.mount(source.encode(), os.fsencode(target), kind, ctypes.c_ulong(flags), None)

    def attributes(target: str, flags: int, set_: int, clear: int) -> bool:
        wanted = struct.pack("4Q", set_, clear, 0, 0)
        return not libc.syscall(_MOUNT_SETATTR, -100, os.fsencode(target), flags, wanted, len(wanted))

    fine = mount("none", "/", None, _REC | _PRIVATE)
    fine = fine and mount(writable, writable, None, _BIND)
    for path in filter(os.path.exists, hide):  # what is not there, such as data of a holdout, is hidden already
        source = "/dev/null" if not os.path.isdir(path) else writable
        fine = fine and mount(source, path, None, _BIND)
    fine = fine and attributes("/", 0x8000, 1, 0)  # AT_RECURSIVE, MOUNT_ATTR_RDONLY
    fine = fine and attributes(writable, 0, 0, 1)
    os.chdir(os.getcwd())  # into the mount that is on top now
    return fine


def _landlock(libc: "ctypes.CDLL", writable: str) -> bool:
    """Refuse to write elsewhere by landlock(7), which needs no mounts and can be used inside of itself."""
    version = libc.syscall(_LANDLOCK, None, 0, 1)
    if version < 1:
        return False
    write, make, truncate = 0x2, 0x1FF0, 0x4000 if version > 2 else 0
    rules = libc.syscall(_LANDLOCK, struct.pack("Q", write | make | truncate), 8, 0)
    for path, allowed in ((writable, write | make | truncate), ("/dev", write | truncate)):
        place = os.open(path, os.O_PATH)
        libc.syscall(_LANDLOCK + 1, rules, 1, struct.pack("=Qi", allowed, place), 0)
        os.close(place)
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    return not libc.syscall(_LANDLOCK + 2, rules, 0)


def _drop_capabilities(libc: "ctypes.CDLL") -> bool:
    """Whether there were any."""
    import ctypes

    header, had = struct.pack("Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    libc.capget(header, had)
    for capability in range(64):
        libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)
    libc.capset(header, bytes(24))
    return any(had.raw[4:8])  # the permitted ones


def _filter_calls(libc: "ctypes.CDLL", processes: bool) -> bool:
    """Refuse new processes (threads are free), and looking into others; see seccomp(2) and linux/filter.h."""
    import ctypes

    known = _CALLS.get(os.uname().machine)
    if known is None or struct.calcsize("P") != 8:
        return False
    machine, clone, clone3, forks, never = known
    load, equal, above, bits, give = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, refuse, unknown, kill = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000  # EPERM, ENOSYS
    rules = [(load, 0, 0, 4), (equal, 1, 0, machine), (give, 0, 0, kill), (load, 0, 0, 0)]
    rules += [(above, 0, 1, 0x40000000), (give, 0, 0, refuse)]  # the x32 calls, under other numbers
    for number in never if processes else (*forks, *never):
        rules += [(equal, 0, 1, number), (give, 0, 0, refuse)]
    if not processes:
        rules += [(equal, 0, 1, clone3), (give, 0, 0, unknown)]  # its flags cannot be seen; libc then uses clone
        rules += [(equal, 0, 3, clone), (load, 0, 0, 16), (bits, 1, 0, 0x10000), (give, 0, 0, refuse)]  # CLONE_THREAD
    rules += [(give, 0, 0, allow)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rules), ctypes.addressof(code)))
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    return not libc.prctl(_SECCOMP, 2, ctypes.byref(program), 0, 0)
