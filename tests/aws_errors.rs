//! Classes of the error codes of AWS. tests/e2e/test_requests_match_botocore.py compares the list of codes with botocore.

use std::collections::BTreeMap;

use serde::Deserialize;
use sidecarless::aws::error::AwsError;

#[derive(Deserialize)]
struct ErrorCodes {
    /// Errors in the service models of the called operations, and their class.
    modeled: BTreeMap<String, String>,
    /// Codes that the SDKs retry as throttling, of any service.
    throttled: Vec<String>,
    /// Codes of SQS in its older protocol.
    query: BTreeMap<String, String>,
}

#[test]
fn every_error_code_of_called_operations_has_its_class() {
    let codes: ErrorCodes = serde_json::from_str(include_str!("data/aws_error_codes.json")).unwrap();
    let throttled = codes.throttled.into_iter().map(|code| (code, "Throttled".to_owned()));
    let expected: Vec<_> = codes.modeled.into_iter().chain(codes.query).chain(throttled).collect();
    assert!(expected.len() > 50, "{} codes", expected.len());
    for (code, kind) in &expected {
        // The code decides, whatever the status is.
        let error = AwsError::from_batch_entry(code, None);
        assert_eq!(&format!("{:?}", error.kind), kind, "{code}");
        let is_permanent = matches!(kind.as_str(), "Rejected" | "AccessDenied" | "ExpiredCredentials");
        assert_eq!(error.kind.is_retryable(), !is_permanent, "{code}");
    }
    println!("show: {} error codes have a class", expected.len());
}
