"""What GitHub's REST API says of deployments and commits."""
