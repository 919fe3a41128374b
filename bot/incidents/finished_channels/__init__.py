"""The channels of finished incidents, which are archived once nobody writes there any more."""
