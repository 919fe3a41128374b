"""Models of the `gates` of a Workspace document: one module for each platform."""
