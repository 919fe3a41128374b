"""Changes of flags, from the request over approval and sending to the record and its announcement."""
