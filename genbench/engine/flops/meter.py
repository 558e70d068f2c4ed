"""What a training has cost, from the counts of a sample of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from torch._C._autograd import _get_sequence_nr

from genbench.engine.flops.counter import FlopCounter
from genbench.engine.rng import stable_seed

FIRST_STEPS = 8
"""Steps at the start that are all counted."""
LONGEST_BLOCKS = ((64, 28), (256, 64))
"""Before the step of a pair, one step in so many is counted; later one in ``LONGEST``."""
LONGEST = 128
TOLERANCE = 0.007
"""The standard error aimed at for a whole run's charge, as a share of it, where steps of one kind vary."""
MEMORY = 32
"""Counted steps over which it is averaged how much steps of one kind vary."""
PATIENCE = 32
"""Steps counted in a row while a kind is looked for that was never counted."""
EXTRA, EXTRA_ONE_IN = 64, 32
"""Steps counted for that reason are at most ``EXTRA`` and one in ``EXTRA_ONE_IN`` of all."""
MOST_KINDS = 512
"""Kinds told apart; further ones are taken for one."""
OTHER = -1


@dataclass
class Kind:
    """Steps in which autograd recorded the same number of operations.

    Attributes:
        cost: FLOPs of the last one that was counted; None before the first.
        floor: FLOPs charged to one that is not counted: the lesser of the last two counts, since a charge that is too
            high cannot be taken back, and one that is too low is corrected by the next count.
        pending: steps charged since, without a count.
        charged: FLOPs that they were charged.
        seen: the number of the last step of this kind.
    """

    cost: float | None = None
    floor: float = 0.0
    pending: int = 0
    charged: float = 0.0
    seen: int = -1


class FlopMeter:
    """Counts some steps and charges the others by their kind: ``with meter.step(n): ...``, then ``meter.charge``.

    A counted step takes up to half as long again, and steps differ (critic steps, lazy penalties), so neither all nor
    one can be counted. What tells steps apart at no cost is the number of operations that autograd recorded in them, a
    counter that torch keeps for each thread. Steps with the same number are of one *kind*.

    - Steps 0-7 are counted, then one in each block of 128 (fewer at the beginning), at a place that a hash of
      (seed, step) chooses.
    - A step that is not counted is charged the lesser of the last two counts of its kind. The next count of that kind
      corrects this: the steps since the last one are then charged the mean of the two. So a cost that drifts, jumps or
      varies within a kind (a curriculum of sizes, which leaves the number of operations as it is) is followed.
    - The more the counts of one kind differ, the shorter the blocks become, down to one step, so that the standard
      error of a whole run's charge stays about ``TOLERANCE``. Runs whose steps of one kind cost the same, nearly all,
      are charged exactly.
    - A step of a kind never counted is charged what the nearest kind cost, in proportion to the operations, and the
      steps after it are counted until the kind has come again, which corrects that charge. Such a search is given up
      after ``PATIENCE`` steps; where the kind came twice, the step at which a period would bring it again is counted.

    Charges are never negative: where a correction is downwards, the following steps are charged nothing until the
    estimate is reached again. Everything is a function of the seed and the steps taken, and of nothing else.

    Args:
        seed: the run's seed.
        tell_apart: whether the number of recorded operations tells steps apart. Not where a compiler fuses those of the
            steps that are not counted; then all are of one kind.

    Attributes:
        charge: FLOPs, 0 or more, that the step just taken adds to what was spent.
        spent: the sum of all charges.
        counted: number of steps counted.
    """

    def __init__(self, seed: int, tell_apart: bool = True) -> None:
        self._seed = seed
        self._tell_apart = tell_apart
        self.charge = 0.0
        self.spent = 0.0
        self.counted = 0
        self._estimate = 0.0
        self._kinds: dict[int, Kind] = {}
        self._roughness = 0.0  # mean squared difference of two counts of one kind, in units of the mean step's cost
        self._next = FIRST_STEPS
        self._block_end = FIRST_STEPS
        self._hunt_until = -1
        self._expected: set[int] = set()  # steps at which an uncounted kind comes again if it comes periodically
        self._extra = 0
        self._uncounted: set[str] = set()
        self._step = 0
        self._counter: FlopCounter | None = None
        self._recorded = 0

    @property
    def uncounted(self) -> list[str]:
        """Heavy operations without a formula that counted steps met, sorted."""
        return sorted(self._uncounted)

    def counts(self, step: int) -> bool:
        """Whether the next step, number ``step``, is counted."""
        if step < FIRST_STEPS or step == self._next:
            return True
        return (step <= self._hunt_until or step in self._expected) and self._extra < EXTRA + step // EXTRA_ONE_IN

    def step(self, step: int) -> Self:
        """A context for one training step; steps come in order, from 0 or from where the state left off."""
        self._step = step
        return self

    def __enter__(self) -> Self:
        if self.counts(self._step):
            self._counter = FlopCounter()
            self._counter.__enter__()
        self._recorded = _get_sequence_nr()
        return self

    def __exit__(self, *error: Any) -> None:
        recorded = _get_sequence_nr() - self._recorded if self._tell_apart else 0
        counter, self._counter = self._counter, None
        if counter is not None:
            counter.__exit__(*error)
        if error[0] is None:
            self.take(self._step, recorded, None if counter is None else counter.flops)
            if counter is not None:
                self._uncounted |= counter.uncounted

    def take(self, step: int, recorded: int, flops: int | None) -> None:
        """Charge a step.

        Args:
            step: its number.
            recorded: operations that autograd recorded in it.
            flops: its count; None where :meth:`counts` said that it is not counted.
        """
        kind = self._kind(recorded)
        if flops is None:
            if kind.cost is None:
                self._hunt(step, kind)
            self._estimate_one(recorded, kind)
        else:
            self._count_one(step, kind, float(flops))
        kind.seen = step
        spent = max(self.spent, self._estimate)
        self.charge, self.spent = spent - self.spent, spent

    def state(self) -> dict[str, Any]:
        """Everything that the next charges depend on, in plain values for JSON."""
        return {
            "spent": self.spent,
            "counted": self.counted,
            "estimate": self._estimate,
            "kinds": {str(recorded): asdict(kind) for recorded, kind in self._kinds.items()},
            "roughness": self._roughness,
            "next": self._next,
            "block_end": self._block_end,
            "hunt_until": self._hunt_until,
            "expected": sorted(self._expected),
            "extra": self._extra,
            "uncounted": self.uncounted,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on as the meter whose :meth:`state` this is; the seed must be the same.

        Raises:
            KeyError, TypeError: if it is no such state.
        """
        self.spent, self.counted, self._estimate = state["spent"], state["counted"], state["estimate"]
        self._kinds = {int(recorded): Kind(**kind) for recorded, kind in state["kinds"].items()}
        self._roughness, self._extra = state["roughness"], state["extra"]
        self._next, self._block_end = state["next"], state["block_end"]
        self._hunt_until, self._expected = state["hunt_until"], set(state["expected"])
        self._uncounted = set(state["uncounted"])

    def _kind(self, recorded: int) -> Kind:
        if recorded not in self._kinds and len(self._kinds) >= MOST_KINDS:
            recorded = OTHER
        return self._kinds.setdefault(recorded, Kind())

    def _estimate_one(self, recorded: int, kind: Kind) -> None:
        charge = self._guess(recorded) if kind.cost is None else kind.floor
        kind.pending += 1
        kind.charged += charge
        self._estimate += charge

    def _count_one(self, step: int, kind: Kind, flops: float) -> None:
        before = kind.cost
        right = kind.pending * (flops if before is None else (before + flops) / 2)
        self._estimate += right - kind.charged + flops
        kind.floor = flops if before is None else min(before, flops)
        kind.cost, kind.pending, kind.charged = flops, 0, 0.0
        self.counted += 1
        if before is None:
            self._stop_hunting()
        elif self._estimate > 0:
            difference = (flops - before) * (step + 1) / self._estimate
            self._roughness += (difference**2 - self._roughness) / MEMORY
        if step == self._next or step == FIRST_STEPS - 1:
            self._schedule(step)
        elif step >= FIRST_STEPS:
            self._extra += 1

    def _schedule(self, step: int) -> None:
        """Choose the next step to count, in a block that begins where the last one ended.

        Blocks of L steps whose ends differ by d add about L d / 2 to the error each, independently: over n steps
        that is d sqrt(n L) / 2, and so the tolerance of the n steps' sum gives L. (With L in proportion to the steps
        taken, the error of the whole run comes out a little lower.)
        """
        longest = next((block for until, block in LONGEST_BLOCKS if step < until), LONGEST)
        if self._roughness > 0:
            longest = max(1, min(longest, int(4 * TOLERANCE**2 * (step + 1) / self._roughness)))
        start = max(self._block_end, step + 1)
        self._next = start + stable_seed(self._seed, "train", "flops", start) % longest
        self._block_end = start + longest

    def _hunt(self, step: int, kind: Kind) -> None:
        """Count the next steps, and the one at which this kind comes again if it comes periodically."""
        self._hunt_until = step + PATIENCE
        if kind.pending:
            self._expected = {later for later in self._expected if later > step} | {2 * step - kind.seen}

    def _stop_hunting(self) -> None:
        """A kind was found; go on only for others that came lately."""
        missing = [kind.seen for kind in self._kinds.values() if kind.cost is None]
        self._hunt_until = max(missing, default=-1 - PATIENCE) + PATIENCE
        if not missing:
            self._expected.clear()

    def _guess(self, recorded: int) -> float:
        """What a step of a kind never counted may cost, from the counted kind of the nearest number.

        At most four times as much: a charge that is too high cannot be taken back.
        """
        known = [
            (abs(number - recorded), number, kind.cost)
            for number, kind in self._kinds.items()
            if kind.cost is not None and number != OTHER
        ]
        if not known:
            return 0.0
        _, number, cost = min(known)
        return cost * min(recorded / number, 4.0) if number > 0 else cost
