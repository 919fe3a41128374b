"""The HTTP server below the endpoints: connections with limits and deadlines, encodings of bodies."""
