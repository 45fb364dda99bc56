"""Small words about people, for templates."""

from django import template
from django.template import Context

from accounts import browser_names
from accounts.mail.security_notices import Notice

register = template.Library()


@register.filter
def browser(user_agent: str) -> str:
    """`Firefox · Linux` from what a browser says of itself."""
    return browser_names.named(user_agent)


@register.simple_tag(takes_context=True)
def said(context: Context, notice: Notice) -> str:
    """The notice's sentence, filled from the mail's own values."""
    values = {str(name): value for name, value in context.flatten().items()}
    return notice.said(values)
