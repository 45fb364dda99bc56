"""Every page of allauth that users can reach has a template of ours."""

from pathlib import Path

import allauth
from django.template.loader import get_template

ALLAUTH_TEMPLATES = Path(allauth.__file__).parent / "templates"
# Pages of features that `veoapp.settings.accounts` disables, and base templates that only they use.
DISABLED = {
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


def test_every_reachable_page_of_allauth_has_our_template() -> None:
    without_override = set()
    for app in ("account", "mfa", "usersessions"):
        for path in (ALLAUTH_TEMPLATES / app).rglob("*.html"):
            name = str(path.relative_to(ALLAUTH_TEMPLATES))
            if Path(get_template(name).origin.name).is_relative_to(ALLAUTH_TEMPLATES):  # type: ignore[attr-defined]
                without_override.add(name)
    assert without_override == DISABLED


def test_a_page_without_a_template_of_ours_still_uses_our_layout() -> None:
    origin = Path(get_template("allauth/layouts/base.html").origin.name)  # type: ignore[attr-defined]
    assert not origin.is_relative_to(ALLAUTH_TEMPLATES)
