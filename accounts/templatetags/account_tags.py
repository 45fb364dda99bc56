"""Template tags about users: browser names and security notices."""

from django import template
from django.template import Context

from accounts import browser_names
from accounts.mail.security_notices import Notice

register = template.Library()


@register.filter
def browser(user_agent: str) -> str:
    """The short name of a user agent, such as `Firefox · Linux`."""
    return browser_names.name_browser(user_agent)


@register.simple_tag(takes_context=True)
def notice_sentence(context: Context, notice: Notice) -> str:
    """The notice's sentence, filled from the e-mail's context."""
    values = {str(name): value for name, value in context.flatten().items()}
    return notice.format_sentence(values)
