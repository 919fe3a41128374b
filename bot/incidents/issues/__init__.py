"""Actions that are linked to issues of GitHub, GitLab or Jira: done when the issue is closed."""
