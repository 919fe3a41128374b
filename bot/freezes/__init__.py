"""Holds and verdicts: what freezes a service, who lifts it, and whether a change may ship."""
