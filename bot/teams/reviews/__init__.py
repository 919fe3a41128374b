"""Reviews of freezes that last: both teams agree on the reliability work, its owners and dates."""
