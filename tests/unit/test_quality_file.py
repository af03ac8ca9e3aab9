"""quality.toml: what it may say, and the tier that follows."""

import pytest

from connectors.nomod import NomodConnector
from connectors.testing.quality import Mark, QualityError, quality_of, read_quality
from connectors.testing.rulebook import Tier
from connectors.testing.rules import RULES
from gateway.scaffold.project import quality_file

GOOD = quality_file("acme")
REASON = "the service has nothing of the kind"


def changed(rule: str, line: str) -> str:
    """The good file with another line for one rule."""
    assert f'\n{rule} = "done"\n' in GOOD
    return GOOD.replace(f'\n{rule} = "done"\n', f"\n{rule} = {line}\n")


def test_a_file_in_which_every_rule_is_done_is_gold() -> None:
    told = read_quality(GOOD)
    assert told.tier is Tier.GOLD
    assert list(told.rules) == list(RULES)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_a_rule_that_is_to_do_keeps_its_tier_from_being_reached(rule: object) -> None:
    name, tier = rule.name, rule.tier  # type: ignore[attr-defined]
    before = {Tier.BRONZE: None, Tier.SILVER: Tier.BRONZE, Tier.GOLD: Tier.SILVER}
    assert read_quality(changed(name, f'{{ todo = "{REASON}" }}')).tier is before[tier]


def test_an_exemption_with_a_reason_counts_as_done() -> None:
    told = read_quality(changed("idempotency-key", f'{{ exempt = "{REASON}" }}'))
    assert told.tier is Tier.GOLD
    assert told.rules["idempotency-key"].mark is Mark.EXEMPT
    assert told.rules["idempotency-key"].reason == REASON


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "nothing is said of one-in-turn"),
        ("[rules", "quality.toml: "),
        ("rules = 5", "there is no rule rules"),
        (GOOD + 'extra = "done"\n', "there is no rule extra"),
        ("tier = 'gold'\n" + GOOD, "unknown key tier"),
        (changed("lost-answer", '"fine"'), 'must be "done"'),
        (changed("lost-answer", "true"), 'must be "done"'),
        (changed("lost-answer", "{}"), 'must be "done"'),
        (changed("lost-answer", '{ exempt = "a", todo = "b" }'), 'must be "done"'),
        (changed("idempotency-key", '{ exempt = "no" }'), "needs a reason"),
        (changed("idempotency-key", "{ exempt = 5 }"), "needs a reason"),
        (changed("lost-answer", f'{{ exempt = "{REASON}" }}'), "nobody can be exempt from lost-answer"),
    ],
)
def test_anything_else_is_refused_with_the_line_to_correct(text: str, words: str) -> None:
    with pytest.raises(QualityError, match=words):
        read_quality(text)


def test_a_connector_without_a_file_has_no_quality() -> None:
    stranger = type("Stranger", (NomodConnector,), {"__module__": "tests.unit.test_quality_file"})
    with pytest.raises(QualityError, match=r"has no quality\.toml"):
        quality_of(stranger)


def test_the_file_is_found_in_the_package_of_the_connector() -> None:
    assert quality_of(NomodConnector).tier is Tier.GOLD
