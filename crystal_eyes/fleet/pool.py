"""Gives tasks to workers, each task until it is done once; workers and machines may disappear."""

import re
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from crystal_eyes.errors import UserError
from crystal_eyes.fleet.worker import Job, Worker, is_seen

AHEAD = 2  # tasks that a worker has: the one that it does, and the next
DEATHS = 5  # of workers with one task: the task is the reason
SECONDS_WITHOUT = 120.0  # until no worker at all is an error


@dataclass(eq=False)
class _Hand:
    """A worker as the driver sees it."""

    actor: Any
    gpu: bool  # one is reserved for it
    tasks: int = 0


@dataclass
class Pool:
    """Does the tasks of a job on all CPUs of the cluster, and on its GPUs if the job can use them.

    arguments: of job.make, sent to every worker once. payloads: of the tasks, each taken when a worker is free for it.
    """

    job: Job
    arguments: dict[str, Any]
    payloads: Iterator[Any]
    most: int  # workers
    name: Callable[[int, Any], str] = lambda number, payload: f"task {number}"  # of a task, for people
    _starting: dict[Any, _Hand] = field(default_factory=dict)
    _running: dict[Any, tuple[_Hand, int]] = field(default_factory=dict)
    _ready: list[_Hand] = field(default_factory=list)
    _open: dict[int, Any] = field(default_factory=dict)  # payloads of the tasks that were given and are not done
    _waiting: deque[int] = field(default_factory=deque)  # of them, those to give again
    _deaths: dict[int, int] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)
    _given: int = 0  # tasks
    _at_end: bool = False  # of the payloads

    def results(self) -> Generator[tuple[int, Any]]:
        """(task, what Worker.do returns) of every task, each once, as they are done. Raises UserError like Worker."""
        self._shared, self._lonely = ray.put(self.arguments), time.monotonic()
        there = ray.cluster_resources()
        workers = min(self.most, max(1, int(there.get("CPU", 1))))
        gpus = min(workers, int(there.get("GPU", 0))) if self.job.gpu else 0
        for number in range(workers):
            self._hire(gpu=number < gpus)  # those first: the others could take the CPUs of the machines with GPUs
        try:
            while self._open or not self._at_end:
                self._give()
                calls = [*self._starting, *self._running]
                for one in ray.wait(calls, num_returns=1, timeout=1.0)[0] if calls else ():
                    found = self._take(one)
                    if found and found[0] in self._open:
                        del self._open[found[0]]
                        yield found
                self._require_worker()
        finally:
            for hand in [*self._ready, *self._starting.values()]:
                ray.kill(hand.actor)

    def _hire(self, gpu: bool) -> None:
        hand = _Hand(ray.remote(num_cpus=1, num_gpus=int(gpu), max_restarts=0)(Worker).remote(), gpu)
        job = replace(self.job, samples=[one for one in self.job.samples if is_seen(one)])  # files come and go in long runs
        self._starting[hand.actor.start.remote(job, self._shared, gpu)] = hand

    def _give(self) -> None:
        for _ in range(AHEAD):  # the first to all, then the second to all
            for hand in self._ready:
                if hand.tasks < AHEAD and (number := self._another()) is not None:
                    self._running[hand.actor.do.remote(number, self._open[number])] = (hand, number)
                    hand.tasks += 1

    def _another(self) -> int | None:
        if self._waiting:
            return self._waiting.popleft()
        try:
            self._open[self._given] = next(self.payloads)
        except StopIteration:
            self._at_end = True
            return None
        self._given += 1
        return self._given - 1

    def _take(self, one: Any) -> tuple[int, Any] | None:
        """What a finished call gave: the result of a task, or None."""
        hand, number = self._running.pop(one) if one in self._running else (self._starting.pop(one), None)
        hand.tasks -= number is not None
        try:
            answer = ray.get(one)
        except RayTaskError as error:
            _fail(error.cause or error)
        except RayError as error:
            _require_package(error)
            if number is None and not isinstance(error, RayActorError):
                _fail(error)
            self._lost(hand, number)
            return None
        if number is None:
            self._ready.append(hand)
            if answer and answer not in self._said:
                self._said.add(answer)
                print(answer, file=sys.stderr, flush=True)
            return None
        return number, answer

    def _lost(self, hand: _Hand, number: int | None) -> None:
        """A worker is gone: another one starts as soon as there is room for it, and does the tasks that it had."""
        if number is not None:
            self._waiting.append(number)
            self._deaths[number] = self._deaths.get(number, 0) + 1
            if self._deaths[number] >= DEATHS:
                name = self.name(number, self._open[number])
                raise UserError(f"{DEATHS} workers died at {name}: they may lack memory. Finished tasks are kept")
        if hand in self._ready or number is None:
            self._hire(hand.gpu)
        if hand in self._ready:
            self._ready.remove(hand)

    def _require_worker(self) -> None:
        now = time.monotonic()
        if self._ready:
            self._lonely = now
        elif now - self._lonely > SECONDS_WITHOUT:
            raise UserError(
                f"the Ray cluster has had no free CPU for {SECONDS_WITHOUT:.0f} s: its machines are gone, or busy. Finished "
                "tasks are kept"
            )


def _fail(error: BaseException) -> NoReturn:
    if isinstance(error, UserError):
        raise UserError(str(error)) from None
    _require_package(error)
    raise error


def _require_package(error: BaseException) -> None:
    """Raise UserError where a machine lacks a package."""
    if found := re.search(r"No module named '([\w.]+)'", str(error)):
        where = re.search(r"ip=([\d.]+)", str(error))
        machine = f"machine {where[1]}" if where else "a machine of the Ray cluster"
        raise UserError(f"{machine} lacks the package {found[1]}: pip install 'crystal-eyes[fleet]' on every machine") from None
