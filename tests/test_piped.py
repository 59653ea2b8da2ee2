"""A program that is talked to while it runs."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from loopsmith.errors import HarnessError
from loopsmith.process import Limits, clean_environment, piped


def talk(tmp_path, command, script, **options):
    async def run():
        async with piped(
            ["/bin/sh", "-c", command],
            cwd=tmp_path,
            env=clean_environment({}),
            errors=tmp_path / "errors.log",
            mark=f"test-{tmp_path.name}",
            **options,
        ) as program:
            return await script(program), program

    return asyncio.run(run())


async def everything(program):
    data = b""
    while piece := await program.read():
        data += piece
    await program.ended(10)
    return data


def gone(path):
    pid = path.read_text().strip()
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def test_it_answers_what_it_is_told(tmp_path):
    async def script(program):
        await program.write(b"one\n")
        first = await program.read()
        await program.write(b"two\n")
        return first, await everything(program)

    said, program = talk(tmp_path, "read a; echo got $a; read b; echo got $b; exit 4", script)
    assert said == (b"got one\n", b"got two\n")
    assert program.exit_code == 4


def test_more_than_a_pipe_holds_goes_both_ways(tmp_path):
    sent = os.urandom(3_000_000).hex().encode() + b"\n"

    async def script(program):
        writing = asyncio.create_task(program.write(sent))
        found = b""
        while len(found) < len(sent):
            found += await program.read()
        await writing
        return found

    found, _ = talk(tmp_path, "exec cat", script)
    assert found == sent


def test_all_that_it_started_ends_with_the_block(tmp_path):
    async def script(program):
        return await program.read()

    talk(tmp_path, "setsid sleep 1000 & echo $! > child; echo ready; sleep 1000", script)
    assert gone(tmp_path / "child")


def test_a_child_that_holds_its_output_open_does_not_hold_up_the_end(tmp_path):
    said, program = talk(tmp_path, "setsid sleep 1000 & echo $! > child; echo ready", everything)
    assert said == b"ready\n"
    assert program.exit_code == 0
    assert gone(tmp_path / "child")


def test_who_reads_no_more_is_told_apart_from_who_is_slow(tmp_path):
    async def script(program):
        await program.ended(10)
        with pytest.raises(OSError):  # a broken pipe, or a reset connection
            await program.write(b"x" * 1_000_000)

    talk(tmp_path, "exit 0", script)


def test_what_it_prints_as_errors_is_kept_and_masked(tmp_path, monkeypatch):
    from loopsmith import log

    monkeypatch.setattr(log, "_secrets", [])
    log.register_secret("a-planted-secret")
    talk(tmp_path, "echo the key is a-planted-secret >&2", everything)
    assert (tmp_path / "errors.log").read_text() == "the key is ****************\n"


def test_more_memory_than_allowed_ends_it(tmp_path):
    command = (
        f"exec {sys.executable} -c 'import time; x = b\"x\" * 300_000_000; print(1, flush=True); time.sleep(1000)'"
    )
    _, program = talk(tmp_path, command, everything, limits=Limits(memory=100_000_000))
    assert "verify.limits.memory" in program.limit


def test_a_program_that_is_not_there_is_an_error_of_one_line(tmp_path):
    async def run():
        async with piped(["/none/such"], cwd=tmp_path, env={}, errors=tmp_path / "e", mark="test"):
            pass

    with pytest.raises(HarnessError, match="cannot run /none/such in"):
        asyncio.run(run())
