"""Credits: which are charged, when, and which are refunded."""

from decimal import Decimal

import pytest

from tests.sandbox import SandboxProcess
from tests.videos.sandbox.conftest import Kie


def _balance_changes(sandbox: SandboxProcess) -> list[tuple[str, str]]:
    return [(row["why"], row["delta"]) for row in sandbox.events("balance")]


@pytest.mark.parametrize(
    ("fields", "price"),
    [
        ({"model": "veo3"}, 250),
        ({"model": "veo3", "resolution": "1080p"}, 255),
        ({"model": "veo3", "resolution": "4k"}, 370),
        ({}, 60),
        ({"resolution": "1080p"}, 65),
        ({"resolution": "4k"}, 180),
        ({"model": "veo3_lite"}, 30),
        ({"model": "veo3_lite", "resolution": "1080p"}, 35),
        ({"model": "veo3_lite", "resolution": "4k"}, 150),
        ({"duration": 4}, 60),
    ],
)
def test_the_price_is_charged_at_acceptance(
    sandbox: SandboxProcess, kie: Kie, fields: dict[str, str], price: int
) -> None:
    kie.start_task(**fields)
    assert kie.credit() == 5000 - price
    assert [row["charged"] for row in sandbox.list_accepted()] == [str(price)]
    assert _balance_changes(sandbox) == [("charge", str(-price))]


def test_too_few_credits_give_402_and_create_no_task(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.balance("59.99")
    response = kie.generate()
    assert response["code"] == 402
    assert response["msg"].startswith("Credits insufficient : Your current balance isn't enough")
    assert sandbox.read_state()["tasks"] == []
    assert sandbox.balance() == "59.99"


@pytest.mark.parametrize(
    ("charge", "failed", "balance"),
    [
        ("acceptance", "charged", "4940"),
        ("acceptance", "refunded", "5000"),
        ("success", "charged", "4940"),
        ("success", "refunded", "5000"),
    ],
)
def test_the_cost_of_a_failed_task_is_a_setting(
    sandbox: SandboxProcess, kie: Kie, charge: str, failed: str, balance: str
) -> None:
    sandbox.settings(charge=charge, failed=failed)
    kie.wait_until_done(kie.start_task("It will [fail]"))
    assert sandbox.balance() == balance


def test_nothing_is_charged_before_success_if_set(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.settings(charge="success", times_s=[60, 60, 60])
    task_id = kie.start_task()
    assert kie.credit() == 5000
    sandbox.finish()
    kie.wait_until_done(task_id)
    assert kie.credit() == 4940


def test_the_balance_runs_out_after_some_tasks(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("balance-runs-out:2")
    codes = [kie.generate()["code"] for _ in range(4)]
    assert codes == [200, 200, 402, 402]
    assert kie.credit() == 0
    sandbox.balance(100)
    sandbox.set_faults()
    assert kie.generate()["code"] == 200


def test_the_log_of_balance_changes_adds_up(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.settings(failed="refunded")
    task_id = kie.start_task()
    kie.wait_until_done(task_id)
    kie.wait_until_done(kie.start_task("[fail]"))
    kie.get("/api/v1/veo/get-1080p-video", taskId=task_id)
    kie.post("/api/v1/veo/get-4k-video", {"taskId": task_id})
    kie.post("/api/v1/veo/extend", {"taskId": "0" * 32, "prompt": "x"})
    sandbox.finish()
    deltas = sum(Decimal(delta) for _, delta in _balance_changes(sandbox))
    assert Decimal(5000) + deltas == Decimal(sandbox.balance()) == 5000 - 60 - 5 - 120
    kinds = [row["kind"] for row in sandbox.list_accepted()]
    assert kinds == ["generate", "generate", "upgrade-1080p", "upgrade-4k"]
