"""Orders for faults: their syntax, how often they strike, and that each fault of the catalogue is implemented."""

import pytest

from tests.sandbox import ROOT, SandboxProcess
from tests.videos.sandbox.conftest import Kie
from videos.sandbox.faults.catalogue import CATALOGUE, NAMES, listing
from videos.sandbox.faults.orders import BadOrder, FaultOrders, Order, parse


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("drop-answer", Order("drop-answer")),
        ("drop-answer=2", Order("drop-answer", count=2)),
        ("no-callback@0.3", Order("no-callback", chance=0.3)),
        ("no-callback@.5", Order("no-callback", chance=0.5)),
        ("no-callback@1", Order("no-callback")),
        ("slow-answer:20", Order("slow-answer", arg="20")),
        ("slow-answer=1:20@0.5", Order("slow-answer", arg="20", count=1, chance=0.5)),
        ("evil-result-url:http://u@10.0.0.1:80/?id=5", Order("evil-result-url", arg="http://u@10.0.0.1:80/?id=5")),
        ("evil-result-url=1:http://a/?id=5@0.25", Order("evil-result-url", arg="http://a/?id=5", count=1, chance=0.25)),
        ("fail-flag-3:It said: no", Order("fail-flag-3", arg="It said: no")),
    ],
)
def test_orders_are_parsed(text: str, order: Order) -> None:
    assert parse(text) == order
    assert parse(str(order)) == order


@pytest.mark.parametrize(
    "text",
    ["", "no-such-fault", "drop-answer=", "drop-answer=x", "drop-answer@2", "Drop-Answer", "drop answer"],
)
def test_invalid_orders_are_refused(text: str) -> None:
    with pytest.raises(BadOrder):
        parse(text)


def test_the_same_seed_gives_the_same_faults() -> None:
    def list_strikes(seed: int) -> list[bool]:
        fault_orders = FaultOrders(seed=seed, orders=[parse("no-callback@0.3"), parse("drop-answer@0.5")])
        return [bool(fault_orders.strikes(name)) for _ in range(200) for name in ("no-callback", "drop-answer")]

    assert list_strikes(7) == list_strikes(7) != list_strikes(8)
    assert 40 < sum(list_strikes(7)[::2]) < 80


def test_a_count_limits_the_strikes_and_a_key_keeps_its_decision() -> None:
    fault_orders = FaultOrders(seed=1, orders=[parse("drop-answer=2"), parse("fail-flag-3@0.5")])
    assert [bool(fault_orders.strikes("drop-answer")) for _ in range(4)] == [True, True, False, False]
    first = [bool(fault_orders.strikes("fail-flag-3", key=str(n))) for n in range(50)]
    assert first == [bool(fault_orders.strikes("fail-flag-3", key=str(n))) for n in range(50)]
    assert {True, False} == set(first)
    fault_orders.replace([])
    assert not any(fault_orders.strikes("fail-flag-3", key=str(n)) for n in range(50))


def test_every_fault_of_the_catalogue_is_implemented() -> None:
    package = ROOT / "videos" / "sandbox"
    code = "".join(path.read_text() for path in package.rglob("*.py") if path.name != "catalogue.py")
    built_names = {f"callback-{name}" for name in ("json-string", "bare-string", "unquoted-list")}
    assert [name for name in sorted(NAMES - built_names) if f'"{name}"' not in code] == []
    assert len(NAMES) == len(CATALOGUE)
    assert all(name in listing() for name in NAMES)


def test_faults_that_strike_are_logged(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("code-455=1")
    kie.generate()
    kie.generate()
    assert [row["order"] for row in sandbox.events("fault")] == ["code-455=1"]
