"""E-mails about changes to an account's security: password, address, second factor."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Notice:
    """The subject of an e-mail and its one sentence, with placeholders for values of the template context."""

    subject: Promise
    sentence: Promise

    def format_sentence(self, values: Mapping[str, Any]) -> str:
        """The sentence in the active language, with its placeholders filled."""
        return str(self.sentence) % values


# The keys are the names of allauth's e-mail templates, which these notices replace.
NOTICES: dict[str, Notice] = {
    "email_changed": Notice(
        _("Your e-mail address was changed"),
        _("The address of your account is now %(to_email)s. E-mails no longer go to %(from_email)s."),
    ),
    "email_confirm": Notice(_("Your e-mail address is confirmed"), _("Your e-mail address is confirmed.")),
    "email_deleted": Notice(
        _("An e-mail address was removed"),
        _("The address %(deleted_email)s was removed from your account."),
    ),
    "password_changed": Notice(
        _("Your password was changed"),
        _("Your password was changed. You were signed out everywhere else."),
    ),
    "password_reset": Notice(
        _("Your password was reset"),
        _("Your password was reset with a code sent to this address. You were signed out everywhere else."),
    ),
    "password_set": Notice(_("Your account has a password"), _("A password was set for your account.")),
    "recovery_codes_generated": Notice(
        _("New recovery codes were created"),
        _("New recovery codes were created for your account. The old ones no longer work."),
    ),
    "totp_activated": Notice(
        _("Two-step sign-in is on"),
        _("An authenticator app was set up. Signing in now asks for its code."),
    ),
    "totp_deactivated": Notice(
        _("The authenticator app was removed"),
        _("The authenticator app was removed from your account. Signing in no longer asks for its code."),
    ),
    "webauthn_added": Notice(_("A passkey was added"), _("A passkey or security key was added to your account.")),
    "webauthn_removed": Notice(
        _("A passkey was removed"),
        _("A passkey or security key was removed from your account."),
    ),
}
