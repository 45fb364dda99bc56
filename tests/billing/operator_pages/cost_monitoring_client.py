"""Requests to the cost-monitoring API, for its tests."""

import json
from decimal import Decimal
from typing import Any

from django.test import Client

from accounts.models import User
from accounts.tokens import services as tokens

ADDRESS = "/api/admin/cost-monitoring"

Json = dict[str, Any]


def create_secret(user: User) -> str:
    return tokens.create_token(user=user, name="grafana", scopes=[tokens.COST_READ]).secret


def get_with_token(secret: str, **headers: str) -> Any:
    return Client().get(ADDRESS, headers={"Authorization": f"Bearer {secret}", **headers})


def read_figures(user: User) -> Json:
    response = get_with_token(create_secret(user))
    assert response.status_code == 200, response.text
    return json.loads(response.text, parse_float=Decimal)  # type: ignore[no-any-return]


def read_figures_again(user: User) -> Json:
    """Revoke the last token and read with a new one, because its name must be free."""
    tokens.revoke_token(token_id=user.api_tokens.latest("pk").pk, actor=None)
    return read_figures(user)
