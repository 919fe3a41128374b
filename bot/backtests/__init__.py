"""Backtests and what-ifs: what policies would have done, and what an outage would cost."""
