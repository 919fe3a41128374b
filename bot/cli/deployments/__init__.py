"""`governor deploy`: tells a running bot of deployments, and has it import their history."""
