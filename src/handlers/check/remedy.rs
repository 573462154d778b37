//! From the words of a refusal to what to do about it. The texts of services are no contract: what is not known is left to
//! the reader, with the operation to look up.

/// Codes and words of AWS when a permission is missing (IAM User Guide, "Troubleshoot access denied error messages").
const ACCESS_DENIED: [&str; 4] = ["AccessDenied", "not authorized", "UnauthorizedOperation", "AuthorizationError"];

/// Of a signature whose time is too far from the server's.
const CLOCK_SKEW: [&str; 4] =
    ["Signature expired", "Signature not yet current", "RequestTimeTooSkewed", "RequestExpired"];

/// Of credentials that nobody knows, or not any more.
const INVALID_CREDENTIALS: [&str; 5] =
    ["UnrecognizedClient", "InvalidClientTokenId", "ExpiredToken", "InvalidAccessKeyId", "security token included"];

const THROTTLED: [&str; 4] = ["Throttl", "Rate exceeded", "TooManyRequests", "RequestLimitExceeded"];

/// Of our own clients when nobody answers.
const UNREACHABLE: [&str; 7] =
    ["no answer", "no response", "connect", "timed out", "dns", "could not be sent", "ran out of time"];

/// What to do when a call for `action` on `resource` failed with `reason`.
pub(super) fn remedy(action: &str, resource: &str, reason: &str) -> String {
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    let (service, operation) = action.split_once(':').unwrap_or((action, action));
    if says(&CLOCK_SKEW) {
        return CLOCK.into();
    }
    if says(&ACCESS_DENIED) {
        return format!("allow {action} on {resource} in the policy of the role");
    }
    if says(&INVALID_CREDENTIALS) {
        return CREDENTIALS.into();
    }
    if says(&["ClusterNotFound"]) {
        return "name clusters of this account and region in SIDECARLESS_CLUSTERS".into();
    }
    if says(&["NonExistentQueue", "QueueDoesNotExist"]) {
        return "SIDECARLESS_SPOOL_QUEUE_URL has to be the URL of a queue that exists in this region".into();
    }
    if says(&THROTTLED) {
        return "others use up the account's calls just now: check again".into();
    }
    if says(&UNREACHABLE) {
        return unreachable_remedy(service);
    }
    format!("that is the service's own answer: its API reference has it under {operation}")
}

/// When a clock is off.
pub(super) const CLOCK: &str =
    "set this machine's clock (timedatectl, chrony): AWS refuses signatures more than 5 minutes off";

/// When credentials are unknown.
pub(super) const CREDENTIALS: &str =
    "`aws sts get-caller-identity` has to work with the same AWS_PROFILE or AWS_ACCESS_KEY_ID: sign in again";

/// When a service of AWS cannot be reached.
pub(super) fn unreachable_remedy(service: &str) -> String {
    format!(
        "give the subnets a way to {service}: a route to a NAT gateway or an interface endpoint, and let the security group \
         of the function out on port 443 (docs/networking.md)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_refusal_has_its_advice() {
        for (reason, expected) in [
            ("AccessDeniedException: User: a is not authorized to perform", "allow ecs:ListTasks on * in the policy"),
            ("InvalidSignatureException: Signature expired: 2026", "set this machine's clock"),
            ("UnrecognizedClientException: The security token included in the request is invalid", "sign in again"),
            ("ClusterNotFoundException: Cluster not found.", "SIDECARLESS_CLUSTERS"),
            ("ThrottlingException: Rate exceeded", "check again"),
            ("error sending request: connection refused", "a way to ecs: a route to a NAT gateway"),
            ("no answer in time", "interface endpoint"),
            ("ServerException: oops", "API reference has it under ListTasks"),
        ] {
            let advised = remedy("ecs:ListTasks", "*", reason);
            assert!(advised.contains(expected), "{reason}: {advised}");
        }
    }
}
