"""Draws the videos: a moving landscape chosen by the words of the prompt, the prompt on it, and a quiet chord. The file
host asks `video_files` for the bytes of a video or its poster; nobody else calls in here. What is drawn depends on the
video's `VideoSpec` alone, never on tasks, credits or the clock."""
