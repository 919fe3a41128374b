"""A small model of lease × channel queue × look-up: replicas that send one channel's messages.

    ready ─read─▶ claiming ─claim─▶ sending ─send─▶ asked ─arrive─▶ arrived ─answer─▶ answered ─mark─▶ ready
      └────read─▶ looking ─look up─▶ answered, or missing ─requeue─▶ ready

Time is left out. Instead, a replica that `holds` the lease may stop to do so at any moment (it was halted, or
the database was away), others may retire it only then (`Leases` sees to that, and has tests of its own), and
a look-up waits until what was sent before has arrived and can be seen, or never will be (`settle_s` and the
lease's end see to that). `Rules.looks_early` takes that last one away: the window that `docs/durability.md`
states. The other rules are what the code does to be safe; each can be left out, to see what it is for.

A replica that makes no step is a halted one: it goes on from where it was, whatever happened meanwhile.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.durability.search import Transition

WAITING, SENDING, SENT = "waiting", "sending", "sent"
NOBODY = -1


@dataclass(frozen=True)
class Rules:
    """What keeps messages from being posted twice; and how much goes wrong at most."""

    checks_lease_after_read: bool = True
    checks_lease_before_send: bool = True
    counts_attempts: bool = True
    looks_up: bool = True
    retires_only_who_stopped: bool = True
    looks_early: bool = False
    replicas: int = 3
    messages: int = 2
    faults: int = 3


class Row(NamedTuple):
    """A row of the outbox."""

    state: str = WAITING
    attempts: int = 0


class Replica(NamedTuple):
    """Where a replica is, whether it counts on its lease, and the message as it read it."""

    at: str = "idle"
    holds: bool = False
    message: int = 0
    attempts: int = 0


class Request(NamedTuple):
    """A post on its way; nobody waits for the answer of one whose sender gave up or is gone."""

    message: int
    sender: int


class Post(NamedTuple):
    """A message in Slack's channel, and whether its history shows it yet."""

    message: int
    is_seen: bool


class State(NamedTuple):
    """Everything: the lease's row, replicas, the outbox, the network, Slack's channel."""

    owner: int
    replicas: tuple[Replica, ...]
    rows: tuple[Row, ...]
    requests: tuple[Request, ...]
    posts: tuple[Post, ...]
    early_looks: tuple[int, ...]
    faults_left: int


Steps = Iterator[Transition[State]]


def start(rules: Rules) -> State:
    """Return the state in which the messages were just written."""
    return State(
        NOBODY,
        (Replica(),) * rules.replicas,
        (Row(),) * rules.messages,
        (),
        (),
        (0,) * rules.messages,
        rules.faults,
    )


def steps(state: State, rules: Rules) -> Steps:
    """Return every step that may follow."""
    for by in range(len(state.replicas)):
        yield from _lease_steps(state, by, rules)
        yield from _queue_steps(state, by, rules)
        yield from _answer_steps(state, by)
    yield from _slack_steps(state)


def _lease_steps(state: State, by: int, rules: Rules) -> Steps:
    replica = state.replicas[by]
    if replica.at == "idle" and not replica.holds and state.owner == NOBODY and _unsent(state) is not None:
        yield Transition("take", by, _moved(state._replace(owner=by), by, at="ready", holds=True))
    if replica.holds and state.faults_left:
        yield Transition("lose lease", by, _moved(_faulty(state), by, holds=False), is_fault=True)
    if state.owner == by and not replica.holds:
        yield Transition("retire", by, state._replace(owner=NOBODY))
        if replica.at != "down":
            yield Transition("beat", by, _moved(state, by, holds=True))
    if state.owner == by and replica.holds and not rules.retires_only_who_stopped and state.faults_left:
        yield Transition("retire", by, _faulty(state)._replace(owner=NOBODY), is_fault=True)
    if replica.at != "down" and state.faults_left:
        gone = _moved(_faulty(state), by, at="down", holds=False)
        yield Transition("crash", by, _forgotten(gone, by), is_fault=True)
    if replica.at == "down" and state.owner != by:
        yield Transition("start", by, _moved(state, by, at="idle"))
    if replica.at == "idle" and state.owner == by:
        yield Transition("release", by, _moved(state._replace(owner=NOBODY), by, holds=False))


def _queue_steps(state: State, by: int, rules: Rules) -> Steps:
    replica = state.replicas[by]
    message, row = replica.message, state.rows[replica.message]
    is_same = row.attempts == replica.attempts or not rules.counts_attempts
    if replica.at in {"ready", "claiming"} and not replica.holds:
        # What it checks in time; it may also be halted between that and what follows.
        yield Transition("stop", by, _moved(state, by, at="idle"))
    match replica.at:
        case "ready" if replica.holds or not rules.checks_lease_after_read:
            yield Transition("read", by, _read(state, by, rules))
        case "claiming":
            yield from _claim(state, by, is_waiting=row.state == WAITING and is_same)
        case "sending" if replica.holds or not rules.checks_lease_before_send:
            sent = state._replace(requests=(*state.requests, Request(message, by)))
            yield Transition("send", by, _moved(sent, by, at="asked"))
        case "sending":
            yield Transition("stop", by, _moved(state, by, at="idle"))
        case "answered":
            sent = state if row.state == SENT else _written(state, message, row._replace(state=SENT))
            yield Transition("mark sent", by, _moved(sent, by, at="ready"))
        case "looking":
            yield from _look(state, by, rules)
        case "missing" | "refused":
            back = state
            if row.state == SENDING and is_same:
                back = _written(state, message, row._replace(state=WAITING))
            yield Transition("requeue", by, _moved(back, by, at="ready"))


def _read(state: State, by: int, rules: Rules) -> State:
    message = _unsent(state)
    if message is None:
        return _moved(state, by, at="idle")
    row = state.rows[message]
    at = "looking" if row.state == SENDING else "claiming"
    if at == "looking" and not rules.looks_up:
        at = "missing"
    return _moved(state, by, at=at, message=message, attempts=row.attempts)


def _claim(state: State, by: int, *, is_waiting: bool) -> Steps:
    if not is_waiting:
        yield Transition("claim", by, _moved(state, by, at="ready"))
        return
    message = state.replicas[by].message
    attempts = state.rows[message].attempts + 1
    claimed = _written(state, message, Row(SENDING, attempts))
    yield Transition("claim", by, _moved(claimed, by, at="sending", attempts=attempts))
    if state.faults_left:
        lost = _moved(_faulty(claimed), by, at="ready")
        yield Transition("claim, answer of the database lost", by, lost, is_fault=True)


def _look(state: State, by: int, rules: Rules) -> Steps:
    message = state.replicas[by].message
    own = [post for post in state.posts if post.message == message]
    is_seen = any(post.is_seen for post in own)
    is_settled = all(post.is_seen for post in own)
    is_settled &= all(request.message != message for request in state.requests)
    if is_settled or is_seen:
        yield Transition("look up", by, _moved(state, by, at="answered" if is_seen else "missing"))
    elif rules.looks_early:
        looks = tuple(count + (number == message) for number, count in enumerate(state.early_looks))
        early = _moved(state, by, at="missing")._replace(early_looks=looks)
        yield Transition("look up early", by, early, is_fault=True)


def _answer_steps(state: State, by: int) -> Steps:
    replica = state.replicas[by]
    own = [request for request in state.requests if request.sender == by]
    if replica.at == "arrived":
        yield Transition("answer", by, _moved(state, by, at="answered"))
        if state.faults_left:
            yield Transition("answer lost", by, _moved(_faulty(state), by, at="ready"), is_fault=True)
    if replica.at != "asked":
        return
    if not own or not replica.holds:
        # The request is lost, or the lease's end cuts it off.
        yield Transition("time out", by, _forgotten(_moved(state, by, at="ready"), by))
    elif state.faults_left:
        late = _forgotten(_moved(_faulty(state), by, at="ready"), by)
        yield Transition("time out", by, late, is_fault=True)
        refused = _without(_moved(_faulty(state), by, at="refused"), own[0])
        yield Transition("refuse for now", by, refused, is_fault=True)


def _slack_steps(state: State) -> Steps:
    for request in set(state.requests):
        rest = _without(state, request)
        arrived = rest._replace(posts=(*state.posts, Post(request.message, is_seen=False)))
        if request.sender != NOBODY:
            arrived = _moved(arrived, request.sender, at="arrived")
        yield Transition("arrive", request.sender, arrived)
        # Without a sender it is a fault already that it is still on its way.
        if state.faults_left or request.sender == NOBODY:
            lost = rest if request.sender == NOBODY else _faulty(rest)
            yield Transition("lose request", request.sender, lost, is_fault=True)
    for number, post in enumerate(state.posts):
        if not post.is_seen:
            posts = (*state.posts[:number], post._replace(is_seen=True), *state.posts[number + 1 :])
            yield Transition("show in history", NOBODY, state._replace(posts=posts))
            # The rest are shown in their order.
            break


def broken(state: State, rules: Rules) -> Iterator[str]:
    """Return what is not as it must be in every state."""
    told = [post.message for post in state.posts]
    for message, row in enumerate(state.rows):
        if told.count(message) > 1 + state.early_looks[message]:
            yield f"message {message} was posted {told.count(message)} times"
        if row.state == SENT and message not in told:
            yield f"message {message} is lost"
    firsts = list(dict.fromkeys(told))
    if firsts != sorted(firsts):
        yield f"the order is {firsts}"
    if rules.retires_only_who_stopped and sum(replica.holds for replica in state.replicas) > 1:
        yield "two replicas hold the lease"


def is_end(state: State) -> bool:
    """Return whether everything was sent, and nothing more is under way."""
    return all(row.state == SENT for row in state.rows) and all(
        replica.at in {"idle", "down"} for replica in state.replicas
    )


def canonical(state: State) -> State:
    """Return the state with its replicas in one order: which of them is which makes no difference."""

    def key(number: int) -> tuple[object, ...]:
        replica = state.replicas[number]
        own = sorted(request.message for request in state.requests if request.sender == number)
        return (*replica, state.owner == number, own)

    replicas = [_plain(replica) for replica in state.replicas]
    state = state._replace(replicas=tuple(replicas))
    order = sorted(range(len(replicas)), key=key)
    place = {number: at for at, number in enumerate(order)} | {NOBODY: NOBODY}
    requests = sorted(Request(request.message, place[request.sender]) for request in state.requests)
    return state._replace(
        owner=place[state.owner],
        replicas=tuple(replicas[number] for number in order),
        requests=tuple(requests),
    )


def _plain(replica: Replica) -> Replica:
    """Return a replica without what it has read and needs no more."""
    return replica._replace(message=0, attempts=0) if replica.at in {"idle", "down", "ready"} else replica


def _unsent(state: State) -> int | None:
    return next((number for number, row in enumerate(state.rows) if row.state != SENT), None)


def _moved(state: State, by: int, **changes: object) -> State:
    replicas = list(state.replicas)
    replicas[by] = replicas[by]._replace(**changes)  # type: ignore[arg-type]
    return state._replace(replicas=tuple(replicas))


def _written(state: State, message: int, row: Row) -> State:
    return state._replace(rows=(*state.rows[:message], row, *state.rows[message + 1 :]))


def _faulty(state: State) -> State:
    return state._replace(faults_left=state.faults_left - 1)


def _forgotten(state: State, by: int) -> State:
    """Let nobody wait for the replica's requests any more."""
    requests = (
        request._replace(sender=NOBODY) if request.sender == by else request for request in state.requests
    )
    return state._replace(requests=tuple(requests))


def _without(state: State, request: Request) -> State:
    requests = list(state.requests)
    requests.remove(request)
    return state._replace(requests=tuple(requests))
