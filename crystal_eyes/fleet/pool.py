"""Gives tasks to workers, each task until it is done once; workers and machines may disappear."""

import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from crystal_eyes.errors import UserError
from crystal_eyes.fleet.worker import Job, Record, Worker

AHEAD = 2  # tasks that a worker has: the one that it does, and the next
DEATHS = 5  # of workers with one task: the task is the reason
SECONDS_WITHOUT = 120.0  # until no worker at all is an error


@dataclass(eq=False)
class _Hand:
    """A worker as the driver sees it."""

    actor: Any
    tasks: int = 0


@dataclass
class Pool:
    """Does the tasks of a job on all CPUs of the cluster. arguments: of job.make, sent to every worker once."""

    job: Job
    arguments: dict[str, Any]
    count: int  # tasks
    payload: Callable[[int], Any]  # of a task, made when it is given to a worker
    _starting: dict[Any, _Hand] = field(default_factory=dict)
    _running: dict[Any, tuple[_Hand, int]] = field(default_factory=dict)
    _ready: list[_Hand] = field(default_factory=list)
    _deaths: dict[int, int] = field(default_factory=dict)

    def records(self) -> Iterator[tuple[int, Record]]:
        """(task, its record) of every task, each once, as they are done. Raises UserError like Worker."""
        self._shared = ray.put(self.arguments)
        self._waiting, self._next, self._lonely = deque[int](), 0, time.monotonic()
        for _ in range(min(self.count, max(1, int(ray.cluster_resources().get("CPU", 1))))):
            self._hire()
        done: set[int] = set()
        try:
            while len(done) < self.count:
                self._give()
                finished, _ = ray.wait([*self._starting, *self._running], num_returns=1, timeout=1.0)
                for one in finished:
                    found = self._take(one)
                    if found and found[0] not in done:
                        done.add(found[0])
                        yield found
                self._require_worker()
        finally:
            for hand in [*self._ready, *self._starting.values()]:
                ray.kill(hand.actor)

    def _hire(self) -> None:
        hand = _Hand(ray.remote(num_cpus=1, max_restarts=0)(Worker).remote())
        self._starting[hand.actor.start.remote(self.job, self._shared)] = hand

    def _give(self) -> None:
        for _ in range(AHEAD):  # the first to all, then the second to all
            for hand in self._ready:
                if hand.tasks < AHEAD and (number := self._another()) is not None:
                    self._running[hand.actor.do.remote(number, self.payload(number))] = (hand, number)
                    hand.tasks += 1

    def _another(self) -> int | None:
        if self._waiting:
            return self._waiting.popleft()
        if self._next == self.count:
            return None
        self._next += 1
        return self._next - 1

    def _take(self, one: Any) -> tuple[int, Record] | None:
        """What a finished call gave: the record of a task, or None."""
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
            return None
        return number, answer

    def _lost(self, hand: _Hand, number: int | None) -> None:
        """A worker is gone: another one starts as soon as there is a CPU for it, and does the tasks that it had."""
        if number is not None:
            self._waiting.append(number)
            self._deaths[number] = self._deaths.get(number, 0) + 1
            if self._deaths[number] >= DEATHS:
                raise UserError(f"{DEATHS} workers died at task {number}: they may lack memory. Finished tasks are kept")
        if hand in self._ready or number is None:
            self._hire()
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
