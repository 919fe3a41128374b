"""The examination of an installation that `governor doctor` prints, with a fix beside each fault."""
