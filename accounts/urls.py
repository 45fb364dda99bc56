"""URLs under /settings/."""

from django.urls import path

from accounts import views

app_name = "accounts"
urlpatterns = [
    path("", views.preferences, name="preferences"),
    path("sessions/<int:pk>/end/", views.end_session, name="end_session"),
    path("delete/", views.close_account, name="delete"),
    path("closed/", views.account_closed, name="closed"),
]
