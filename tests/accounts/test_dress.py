"""Every page and every mail of allauth that can be reached is ours."""

from pathlib import Path

import allauth
from django.template.loader import get_template

THEIRS = Path(allauth.__file__).parent / "templates"
# Pages of ways in that are switched off (`veoapp.settings.accounts`), and bases that only they use.
SWITCHED_OFF = {
    "account/base_entrance.html",
    "account/base_manage.html",
    "account/base_manage_email.html",
    "account/base_manage_password.html",
    "account/base_manage_phone.html",
    "account/confirm_login_code.html",
    "account/confirm_phone_verification_code.html",
    "account/email.html",
    "account/email_confirm.html",
    "account/password_reset_done.html",
    "account/phone_change.html",
    "account/request_login_code.html",
    "account/signup_by_passkey.html",
    "account/verification_sent.html",
    "account/verified_email_required.html",
    "account/snippets/already_logged_in.html",
    "account/snippets/warn_no_email.html",
    "mfa/base_entrance.html",
    "mfa/base_manage.html",
    "mfa/recovery_codes/base.html",
    "mfa/totp/base.html",
    "mfa/trust.html",
    "mfa/webauthn/base.html",
    "mfa/webauthn/signup_form.html",
    "usersessions/base_manage.html",
}


def test_an_update_of_allauth_brings_no_page_that_we_have_not_dressed() -> None:
    undressed = set()
    for app in ("account", "mfa", "usersessions"):
        for path in (THEIRS / app).rglob("*.html"):
            name = str(path.relative_to(THEIRS))
            if Path(get_template(name).origin.name).is_relative_to(THEIRS):  # type: ignore[attr-defined]
                undressed.add(name)
    assert undressed == SWITCHED_OFF


def test_even_a_page_that_we_did_not_dress_stands_in_our_frame() -> None:
    origin = Path(get_template("allauth/layouts/base.html").origin.name)  # type: ignore[attr-defined]
    assert not origin.is_relative_to(THEIRS)
