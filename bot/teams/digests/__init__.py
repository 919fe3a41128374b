"""What channels hear regularly of their services: a weekly digest, a stand-up line, a planning sheet."""
