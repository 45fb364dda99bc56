"""All URLs of the site."""

from django.contrib import admin
from django.urls import include, path

from accounts.views import set_language
from veoapp.health import healthz
from veoapp.operator_pages.cost_monitoring import cost_monitoring

urlpatterns = [
    path("", include("videos.urls")),
    path("credits/", include("billing.urls")),
    path("settings/", include("accounts.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("api/admin/cost-monitoring", cost_monitoring, name="cost_monitoring"),
    path("i18n/setlang/", set_language, name="set_language"),
    path("healthz", healthz),
]
