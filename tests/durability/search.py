"""Search all states of a transition system, breadth first: each counterexample is among the shortest."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

S = TypeVar("S")


class Transition(NamedTuple, Generic[S]):
    """One step: what was done and by whom, the state after it, and whether it was a fault."""

    action: str
    by: int
    after: S
    is_fault: bool = False


@dataclass(frozen=True)
class Search(Generic[S]):
    """All reachable states, each with the step that led to it first."""

    reached_by: dict[S, tuple[S, str] | None]
    mended_by: dict[S, list[S]]
    """From each state the states before it, by steps that are no faults."""

    def way_to(self, state: S) -> list[str]:
        """Return the steps that lead to a state."""
        steps: list[str] = []
        while (before := self.reached_by[state]) is not None:
            state, step = before
            steps.append(step)
        return steps[::-1]

    def without_end(self, is_end: Callable[[S], bool]) -> set[S]:
        """Return the states from which no steps without faults lead to an end."""
        can_end = {state for state in self.reached_by if is_end(state)}
        to_do = list(can_end)
        while to_do:
            for before in self.mended_by.get(to_do.pop(), ()):
                if before not in can_end:
                    can_end.add(before)
                    to_do.append(before)
        return set(self.reached_by) - can_end


class CounterexampleError(AssertionError):
    """A state that must not be, with the steps that lead to it."""

    def __init__(self, broken: str, way: list[str]) -> None:
        super().__init__("\n".join((broken, *way)))
        self.broken = broken
        self.way = way


def explore(
    start: S,
    steps: Callable[[S], Iterable[Transition[S]]],
    broken: Callable[[S], Iterator[str]],
    canonical: Callable[[S], S],
) -> Search[S]:
    """Visit every state; raises `CounterexampleError` at the first that breaks an invariant."""
    first = canonical(start)
    search: Search[S] = Search({first: None}, {})
    to_do = deque([first])
    while to_do:
        state = to_do.popleft()
        for step in steps(state):
            after = canonical(step.after)
            if not step.is_fault:
                search.mended_by.setdefault(after, []).append(state)
            if after in search.reached_by:
                continue
            search.reached_by[after] = state, f"{step.action} ({step.by})"
            for problem in broken(after):
                raise CounterexampleError(problem, search.way_to(after))
            to_do.append(after)
    return search
