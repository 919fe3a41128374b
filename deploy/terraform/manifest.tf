# What the Slack app is: the manifest that `governor manifest` prints, with this installation's address and names.

variable "governor_url" {
  description = "The bot's public address, as in GOVERNOR_URL."
  type        = string

  validation {
    condition     = can(regex("^https://[a-z0-9.-]+$", var.governor_url))
    error_message = "Slack calls an https:// address, here without a path and a port."
  }
}

variable "command_prefix" {
  description = "What goes before the commands' names, as in SLACK_COMMAND_PREFIX."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[a-z0-9_-]{0,20}$", var.command_prefix))
    error_message = "A prefix has at most 20 lower-case letters, digits, dashes and underscores."
  }
}

locals {
  manifest = templatefile("${path.module}/manifest.json.tftpl", {
    url    = var.governor_url
    domain = trimprefix(var.governor_url, "https://")
    prefix = var.command_prefix
  })
}

output "manifest" {
  description = "To paste at api.slack.com/apps where Terraform shall not make the app itself."
  value       = local.manifest
}
