"""Running the rules in-process, and the report: one line a rule, the tier at the end."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from connectors.testing.bench import HarnessFactory
from connectors.testing.engine import Engine
from connectors.testing.quality import Mark, Marked, Quality
from connectors.testing.rulebook import Kit, Rule, RuleBroken, Tier
from connectors.testing.rules import ALL_RULES


class Status(StrEnum):
    """What became of a rule."""

    PASSED = "passed"
    BROKEN = "broken"
    EXEMPT = "exempt"
    TODO = "todo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One line of the report."""

    rule: str
    tier: Tier
    title: str
    status: Status
    detail: str = ""
    """Why it is broken, exempt or to do."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the kit has found. `tier` is what was claimed and proven."""

    results: Sequence[Result]
    claimed: Tier | None

    @property
    def broken(self) -> list[Result]:
        """The rules that do not hold although the quality file says so."""
        return [result for result in self.results if result.status is Status.BROKEN]

    @property
    def tier(self) -> Tier | None:
        """The tier that holds: what the file claims, less what is broken."""
        reached = None
        for tier in Tier:
            if self.claimed is None or any(
                result.tier is tier and result.status in {Status.BROKEN, Status.TODO} for result in self.results
            ):
                break
            reached = tier
        return reached


async def check_rule(kit: Kit, rule: Rule, marked: Marked) -> Result:
    """Check one rule as the quality file marks it.

    A rule that is `todo` and holds is broken as well, and so is an exemption that the connector contradicts: the file
    must say what is.
    """
    begun = time.perf_counter()
    status, detail = await _judge(kit, rule, marked)
    return Result(
        rule=rule.name, tier=rule.tier, title=rule.title, status=status, detail=detail,
        seconds=round(time.perf_counter() - begun, 3),
    )  # fmt: skip


async def _judge(kit: Kit, rule: Rule, marked: Marked) -> tuple[Status, str]:
    check = rule.exemption if marked.mark is Mark.EXEMPT and rule.exemption is not None else rule.check
    broken = ""
    try:
        await check(kit)
    except RuleBroken as error:
        broken = str(error)
    except Exception as error:  # noqa: BLE001 - a stranger's code; the report must come to its end
        broken = f"the check was stopped by {type(error).__name__}: {error}"
    if marked.mark is Mark.TODO:
        return (Status.TODO, f"{marked.reason}; {broken}") if broken else (Status.BROKEN, "marked todo, and it holds")
    if broken:
        return Status.BROKEN, broken
    return (Status.EXEMPT, marked.reason) if marked.mark is Mark.EXEMPT else (Status.PASSED, "")


async def run(
    harness: HarnessFactory,
    engine: Engine,
    quality: Quality,
    *,
    only: Sequence[str] = (),
    told: Callable[[Result], None] | None = None,
) -> Report:
    """Check every rule, or `only` some; `told` hears of each result at once. Raises KeyError for an unknown rule."""
    kit, results = Kit(harness, engine), list[Result]()
    for name in only or quality.rules:
        results.append(await check_rule(kit, ALL_RULES[name], quality.rules[name]))
        if told is not None:
            told(results[-1])
    return Report(results=results, claimed=quality.tier)
