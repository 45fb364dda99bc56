"""URLs of the studio, the gallery and the videos, and of the provider's callbacks."""

from django.urls import path

from videos.pipeline import callbacks
from videos.views import gallery, media, studio, video

app_name = "videos"
urlpatterns = [
    path("", studio.studio, name="studio"),
    path("quote/", studio.quote, name="quote"),
    path("images/", studio.upload, name="upload"),
    path("images/<uuid:image_id>", media.image, name="image"),
    path("videos/", gallery.gallery, name="gallery"),
    path("videos/<uuid:task_id>/", video.video, name="video"),
    path("videos/<uuid:task_id>/cancel/", video.cancel, name="cancel"),
    path("videos/<uuid:task_id>/delete/", video.delete, name="delete"),
    path("videos/<uuid:task_id>/file", media.video_file, name="file"),
    path("videos/<uuid:task_id>/poster", media.poster, name="poster"),
    path("api/veo/callback", callbacks.common_callback, name="common_callback"),
    path("api/veo/callback/<uuid:task_id>/<str:token>/", callbacks.callback, name="callback"),
]
