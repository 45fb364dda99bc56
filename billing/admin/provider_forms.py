"""What an operator fills in about a provider account."""

from django import forms
from django.utils.translation import gettext_lazy


class KeyForm(forms.Form):
    """A key of a provider. It is sealed when it is stored, and shown to nobody again."""

    label = forms.CharField(label=gettext_lazy("Label"), max_length=80, help_text=gettext_lazy("How we call it here."))
    api_key = forms.CharField(
        label=gettext_lazy("Key"),
        min_length=8,
        max_length=400,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("From the provider's page of API keys. It is sealed here and never shown again."),
    )
    base_url = forms.URLField(
        label=gettext_lazy("Address"),
        required=False,
        assume_scheme="https",
        help_text=gettext_lazy("Leave it empty for the one in the settings."),
    )
    upload_base_url = forms.URLField(
        label=gettext_lazy("Upload address"),
        required=False,
        assume_scheme="https",
        help_text=gettext_lazy("Leave it empty for the one in the settings."),
    )


class PauseForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=300,
        help_text=gettext_lazy("People read it when they order a video, so say what they may know."),
    )
