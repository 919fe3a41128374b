"""HCP Terraform and Terraform Enterprise: run tasks that wait out a freeze, for at most an hour."""
