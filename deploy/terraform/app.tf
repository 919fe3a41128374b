# The app itself, made from the manifest and kept in step with it.
#
# An app configuration token comes from https://api.slack.com/apps ("Your App Configuration Tokens") and lives for twelve
# hours: hand it over as SLACK_APP_CONFIGURATION_TOKEN. The state holds the app's secrets: encrypt it.

terraform {
  required_version = ">= 1.3"
  required_providers {
    slackapp = {
      source = "ymm-oss/slackapp"
    }
  }
}

provider "slackapp" {}

resource "slackapp_application" "governor" {
  manifest = local.manifest

  lifecycle {
    # Another app would have other tokens, and none of this one's channels.
    prevent_destroy = true
  }
}

output "signing_secret" {
  description = "SLACK_SIGNING_SECRET. The bot token is shown after the installation."
  value       = slackapp_application.governor.credentials.signing_secret
  sensitive   = true
}

output "install_url" {
  description = "Installs the app in a workspace."
  value       = slackapp_application.governor.oauth_authorize_url
}
