"""The commits that each deployment carried: asked of GitHub, compared with the one before it."""
