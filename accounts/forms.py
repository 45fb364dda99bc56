"""What a person may change about themselves."""

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.time_zones import zones_by_region


class PreferencesForm(forms.ModelForm):  # type: ignore[type-arg]
    """Name, language, time zone, theme, and which mails to get."""

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
            "notify_failed": _("A video failed and its credits came back"),
        }
        help_texts: ClassVar = {"display_name": _("Shown to you only. Empty: the part of your address before the @.")}
        widgets: ClassVar = {"theme": forms.RadioSelect}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Each language by its own name, so that nobody is lost in one they cannot read.
        languages = [(code, translation.get_language_info(code)["name_local"]) for code, _name in settings.LANGUAGES]
        self.fields["language"].choices = [("", _("As my browser says")), *languages]  # type: ignore[attr-defined]
        own = self.instance.time_zone
        places = zones_by_region()
        known = {name for _region, group in places for name, _city in group}
        # A zone the list does not offer (an alias) is kept as it is rather than lost on save.
        kept = [(own, own)] if own and own not in known else []
        site = _("The site's (%(zone)s)") % {"zone": settings.TIME_ZONE}
        self.fields["time_zone"].choices = [("", site), *kept, *places]  # type: ignore[attr-defined]
        self.fields["display_name"].widget.attrs["autocomplete"] = "name"


class CloseAccountForm(forms.Form):
    """One deliberate tick before what cannot be undone."""

    understood = forms.BooleanField(label=_("I understand that this cannot be undone."))
