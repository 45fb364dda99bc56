"""Operators can read failed jobs, and no admin page lets anybody run a function by its name."""

import pytest
from django.test import Client
from django_q.models import Failure
from pytest_django import Settings

from accounts.models import User
from accounts.seams import clock


@pytest.mark.parametrize("model", ["schedule", "success", "ormq"])
def test_django_q_admin_pages_are_not_registered(client: Client, olga: User, settings: Settings, model: str) -> None:
    settings.STAFF_MFA_REQUIRED = False
    client.force_login(olga)
    assert client.get(f"/admin/django_q/{model}/").status_code == 404
    assert client.get(f"/admin/django_q/{model}/add/").status_code == 404


def test_a_failed_job_is_read_only(client: Client, olga: User, settings: Settings) -> None:
    settings.STAFF_MFA_REQUIRED = False
    client.force_login(olga)
    at = clock.now()
    failure = Failure.objects.create(
        id="f" * 32,
        name="job",
        func="videos.worker.tasks.poll",
        result="Traceback: gone",
        started=at,
        stopped=at,
        success=False,
    )
    assert "videos.worker.tasks.poll" in client.get("/admin/django_q/failure/").text
    assert "Traceback: gone" in client.get(f"/admin/django_q/failure/{failure.pk}/change/").text
    assert client.get("/admin/django_q/failure/add/").status_code == 403
    assert client.post(f"/admin/django_q/failure/{failure.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Failure.objects.exists()
