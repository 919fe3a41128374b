"""How fast teams ship beside how reliable it is: five delivery measures, and what each costs the other."""
