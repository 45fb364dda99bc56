"""The forms of provider accounts: a new key, and a pause."""

from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import get_language_info, gettext, gettext_lazy

from accounts.seams import clock
from billing.models import ProviderAccount
from billing.provider.accounts import PAUSE_TEXTS, REASON_LENGTH

Pause = ProviderAccount.Pause


class KeyForm(forms.Form):
    """A provider key. It is stored encrypted and never shown again."""

    label = forms.CharField(label=gettext_lazy("Label"), max_length=80, help_text=gettext_lazy("Shown in the admin."))
    api_key = forms.CharField(
        label=gettext_lazy("Key"),
        min_length=8,
        max_length=400,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("From the API keys page of the provider. It is stored encrypted and never shown again."),
    )
    base_url = forms.URLField(
        label=gettext_lazy("Address"),
        required=False,
        assume_scheme="https",
        help_text=gettext_lazy("Empty: the one from the settings."),
    )
    upload_base_url = forms.URLField(
        label=gettext_lazy("Upload address"),
        required=False,
        assume_scheme="https",
        help_text=gettext_lazy("Empty: the address above, or the one from the settings."),
    )


class PauseForm(forms.Form):
    """The reason and the end of a pause. The reason is a preset text in all languages, or the operator's own text."""

    code = forms.ChoiceField(label=gettext_lazy("Reason"), widget=forms.RadioSelect, initial=Pause.MAINTENANCE)
    until = forms.DateTimeField(
        label=gettext_lazy("Until"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text=gettext_lazy("New videos resume automatically then. Empty: until an operator resumes them."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].choices = _reason_choices()  # type: ignore[attr-defined]
        for code, _name in settings.LANGUAGES:
            language = get_language_info(code)["name_translated"]
            self.fields[f"words_{code}"] = forms.CharField(
                label=gettext("In your own words: %(language)s") % {"language": language},
                required=False,
                max_length=REASON_LENGTH,
                help_text=gettext("Shown to users in brackets after “New videos are paused”.")
                if code == settings.LANGUAGE_CODE
                else gettext("Empty: the text in the site's language is shown."),
            )
        self.order_fields(["code", *(f"words_{code}" for code, _name in settings.LANGUAGES), "until"])

    def clean_until(self) -> datetime | None:
        until: datetime | None = self.cleaned_data["until"]
        if until is not None and until <= clock.now():
            raise forms.ValidationError(gettext("This time is in the past."))
        return until

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        own_text_field = f"words_{settings.LANGUAGE_CODE}"
        if cleaned.get("code") == Pause.OWN_WORDS and not cleaned.get(own_text_field):
            self.add_error(own_text_field, gettext("Enter a reason, at least in the site's language."))
        return cleaned

    @property
    def pause_arguments(self) -> dict[str, Any]:
        """The arguments of `provider_accounts.pause_account`. The own text is ignored if a preset reason was chosen."""
        code, until = Pause(self.cleaned_data["code"]), self.cleaned_data["until"]
        if code != Pause.OWN_WORDS:
            return {"code": code, "until": until}
        texts = {language: self.cleaned_data[f"words_{language}"] for language, _name in settings.LANGUAGES}
        return {"code": code, "until": until, "reason": texts[settings.LANGUAGE_CODE], "texts": texts}


def _reason_choices() -> list[tuple[str, str]]:
    """The reasons to choose from, each with the text that users see."""
    preset_choices = [
        (code, gettext("%(name)s: “%(words)s”") % {"name": code.label, "words": text})
        for code, text in _preset_texts().items()
    ]
    return [*preset_choices, (Pause.OWN_WORDS, gettext("In your own words"))]


def _preset_texts() -> dict[Pause, str]:
    # Only the spending monitor pauses because of unusual spending; operators cannot choose that reason.
    return {Pause(code): str(text) for code, text in PAUSE_TEXTS.items() if code != Pause.UNUSUAL_SPEND}
