"""The pydantic models of policy documents, their field types and their JSON Schema."""
