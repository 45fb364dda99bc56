"""URLs under /credits/."""

from django.urls import path

from billing import views

app_name = "billing"
urlpatterns = [
    path("", views.credits, name="credits"),
    path("statement.csv", views.statement_csv, name="statement_csv"),
    path("expiring/hide/", views.hide_expiring, name="hide_expiring"),
]
