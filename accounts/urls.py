"""URLs under /settings/."""

from django.urls import path

from accounts import views

app_name = "accounts"
urlpatterns = [
    path("", views.preferences, name="preferences"),
    path("sessions/<int:pk>/end/", views.end_session, name="end_session"),
    path("delete/", views.delete, name="delete"),
    path("closed/", views.closed, name="closed"),
]
