"""Tools that ship step by step and ask over plain HTTP: Flagger, Argo Rollouts, Kargo."""
