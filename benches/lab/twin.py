"""Rounds: gateway and peer get their load at the same time, on the same core, and are compared round by round."""

import json
import statistics
import subprocess
from dataclasses import dataclass

from .machine import LOADING, Failure


@dataclass
class Settings:
    """How long is measured."""

    load: object
    rounds: int = 5
    seconds: float = 3.0
    warm_up: float = 0.7


def load(settings, plan, timeout=300):
    """What the load generator reports of a plan."""
    plan = {"warm_up": 0, "seconds": 0, "targets": [], **plan}
    done = subprocess.run(
        ["taskset", "--cpu-list", str(LOADING), str(settings.load)],
        input=json.dumps(plan) + "\n", capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise Failure(f"the load generator failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def run(settings, kind, targets, **more):
    """One run under load. An answer that was not the expected one makes it worthless."""
    plan = {"kind": kind, "warm_up": settings.warm_up, "seconds": settings.seconds, "targets": targets, **more}
    outcomes = load(settings, plan, timeout=60 + (settings.warm_up + settings.seconds) * len(targets))
    for outcome in outcomes:
        if outcome["failures"] or not outcome["requests"]:
            raise Failure(f"{outcome['name']}: {outcome['failures']} answers were wrong, {outcome['requests']} right; "
                          f"first complaint: {outcome['complaint']}")
    return outcomes


@dataclass
class Spread:
    """What several rounds gave."""

    values: list

    @property
    def median(self):
        return statistics.median(self.values)

    def text(self, digits=1):
        return f"{self.median:.{digits}f} ({min(self.values):.{digits}f}–{max(self.values):.{digits}f})"


def cost(outcome):
    """Microseconds of processor time for one request."""
    return outcome["processor_seconds"] / outcome["requests"] * 1e6


@dataclass
class Twin:
    """One peer beside the gateway."""

    name: str
    gateway: Spread
    peer: Spread
    ratio: Spread


def of_kind(settings, kind):
    """What a request costs each of two targets under this kind of load, in microseconds."""
    return lambda targets: [cost(outcome) for outcome in run(settings, kind, targets)]


def compare(settings, pairs, measure):
    """`pairs` are (name, target of the gateway, target of the peer); a round measures every pair once.

    Targets may be functions, which are asked in every round; `measure` takes two targets and gives two costs.
    """
    costs = {name: ([], []) for name, _, _ in pairs}
    for _ in range(settings.rounds):
        for name, *targets in pairs:
            targets = [target() if callable(target) else target for target in targets]
            for found, costs_of in zip(measure(targets), costs[name]):
                costs_of.append(found)
    return [
        Twin(name, Spread(ours), Spread(theirs), Spread([one / other for one, other in zip(ours, theirs)]))
        for name, (ours, theirs) in costs.items()
    ]


def table(title, header, rows):
    """Markdown."""
    lines = [f"### {title}", "", "| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, ""])


def verdict(value, line, digits=2, at_most=True):
    """Whether a line is reached."""
    reached = value <= line if at_most else value >= line
    return f"{'≤' if at_most else '≥'} {line:.{digits}f}: {'reached' if reached else 'missed'}"


def twin_table(title, twins, lines=None, what="request"):
    """The usual table, with the line that is to be reached and whether it is."""
    lines = lines or {}
    rows = []
    for twin in twins:
        line = lines.get(twin.name)
        said = verdict(twin.ratio.median, line) if line else ""
        rows.append([twin.name, twin.gateway.text(), twin.peer.text(), twin.ratio.text(3), said])
    return table(title, ["beside", f"gateway, CPU µs per {what}", "peer, the same", "ratio", "line"], rows)
