"""Forms in which users change their own account."""

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.time_zones import list_zones_by_region


class PreferencesForm(forms.ModelForm):  # type: ignore[type-arg]
    """Name, language, time zone, theme, and which e-mails to receive."""

    language = forms.ChoiceField(label=_("Language"), required=False)
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        required=False,
        help_text=_("Times on every page are shown in this zone. Type a city to find it in the list."),
    )

    class Meta:
        model = User
        fields = ("display_name", "language", "time_zone", "theme", "notify_ready", "notify_failed")
        labels: ClassVar = {
            "display_name": _("Name"),
            "theme": _("Theme"),
            "notify_ready": _("A video is ready"),
            "notify_failed": _("A video failed and its credits were refunded"),
        }
        help_texts: ClassVar = {"display_name": _("Only you see it. Empty: the part of your address before the @.")}
        widgets: ClassVar = {"theme": forms.RadioSelect}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Each language is named in that language, so that its speakers can read it.
        languages = [(code, translation.get_language_info(code)["name_local"]) for code, _name in settings.LANGUAGES]
        self.fields["language"].choices = [("", _("Same as my browser")), *languages]  # type: ignore[attr-defined]
        saved_zone = self.instance.time_zone
        zones = list_zones_by_region()
        listed = {name for _region, group in zones for name, _city in group}
        # A zone that is not in the list (an alias) stays selectable, so that saving does not lose it.
        unlisted = [(saved_zone, saved_zone)] if saved_zone and saved_zone not in listed else []
        site_default = _("Site default (%(zone)s)") % {"zone": settings.TIME_ZONE}
        self.fields["time_zone"].choices = [("", site_default), *unlisted, *zones]  # type: ignore[attr-defined]
        self.fields["display_name"].widget.attrs["autocomplete"] = "name"


class CloseAccountForm(forms.Form):
    """A checkbox to confirm that the account is closed permanently."""

    understood = forms.BooleanField(label=_("I understand that this cannot be undone."))
