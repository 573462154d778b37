//! Warnings about features that the settings leave disabled, in the log of each cold start.

use crate::settings::{Auth, Settings};

pub(super) fn warn_about_disabled_features(settings: &Settings) {
    if settings.prometheus_endpoint.is_none() {
        tracing::warn!("AWS_PROMETHEUS_ENDPOINT is not set: no metrics are collected, and pushed metrics are rejected");
    }
    match settings.auth {
        Auth::Token if settings.tokens.is_empty() => {
            tracing::warn!("SIDECARLESS_TOKENS_SHA256 is not set: every push is rejected with 401");
        }
        Auth::Disabled => tracing::warn!("SIDECARLESS_AUTH=none: every client that can reach the URL can push"),
        Auth::Token | Auth::Iam => {}
    }
}
