"""Trajectories of several molecules at once, each in a process of its own.

A process that crashes or is killed takes no other with it, and one whose parent dies ends when it
next has progress to tell. What each has done is in its checkpoint.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from deepset_bench.errors import UserError
from deepset_bench.generation.recipe import Recipe
from deepset_bench.generation.trajectories import generate
from deepset_bench.surroundings import failure


def complete_checkpoints(
    recipes: Mapping[Path, tuple[str, Recipe]],
    jobs: int,
    allow_broken: bool,
    progress: Callable[[str, int, int], None],
) -> list[str]:
    """Bring every trajectory to its end, past failures.

    Args:
        recipes: by checkpoint, the name of the molecule and what to simulate.
        jobs: processes at once.
        allow_broken: see `generate`.
        progress: called with the molecule, the number of its frames done and their total.

    Returns:
        One line for each molecule that failed.

    Raises:
        OSError: the disk was full, or whatever else the system refused to one of them.
        MemoryError: it was memory.
    """
    spawn = multiprocessing.get_context("spawn")
    waiting = list(recipes.items())
    running: dict[Connection, tuple[str, BaseProcess]] = {}
    failures, refused = [], []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                checkpoint, (molecule, recipe) = waiting.pop(0)
                ours, theirs = spawn.Pipe(duplex=False)
                arguments = (theirs, molecule, recipe, allow_broken, checkpoint)
                started = spawn.Process(target=_work, args=arguments, daemon=True)
                # It inherits the mask: Ctrl-C is for this process, which then ends the others.
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
                try:
                    started.start()
                finally:
                    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
                theirs.close()
                running[ours] = (molecule, started)
            for connection in wait(list(running)):
                assert isinstance(connection, Connection)
                molecule, process = running[connection]
                try:
                    message = connection.recv()
                except (EOFError, OSError):  # it was killed, before a message or in one
                    process.join()
                    connection.close()
                    del running[connection]
                    if process.exitcode:
                        failures.append(f"{molecule}: its process ended with {process.exitcode}")
                    continue
                if isinstance(message, str):
                    failures.append(message)
                elif isinstance(message, Exception):
                    refused.append(message)
                else:
                    progress(molecule, *message)
    finally:
        for _, process in running.values():
            process.terminate()
            process.join()
    if refused:
        raise refused[0]
    return failures


def _work(
    tell: Connection, molecule: str, recipe: Recipe, allow_broken: bool, checkpoint: Path
) -> None:
    try:
        generate(molecule, recipe, lambda *done: tell.send(done), allow_broken, checkpoint)
    except BrokenPipeError:
        return  # the parent is gone
    except UserError as error:
        tell.send(str(error))
    except OSError as error:
        tell.send(OSError(error.errno, error.strerror, error.filename))
    except Exception as error:
        if not failure(error):
            raise
        tell.send(MemoryError(str(error)))
