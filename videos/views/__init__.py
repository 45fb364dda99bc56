"""The pages about videos: parse, authorise, one call, respond."""
