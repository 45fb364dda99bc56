"""Draws the videos: a moving landscape chosen by the words of the prompt, with the prompt on it and a quiet chord. Only
the file host calls it, through `video_files`. The result depends on the `VideoSpec` alone, never on tasks, credits or the
clock."""
