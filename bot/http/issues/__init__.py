"""Webhooks that tell of issues: GitLab's and Jira's; GitHub's come with its deployments."""
