"""GitLab: freeze periods that are kept in step with freezes, and external status checks.

Pipelines ask at run time by the CI component in `templates/`, which is the gate that no setting of a
project weakens.
"""
