"""Launch readiness: what both teams of a service agree on before its first production deployment."""
