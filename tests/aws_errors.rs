//! Classes of the error codes of AWS, and their headings in docs/troubleshooting.md. tests/e2e/test_requests_match_botocore.py compares the list of codes with botocore.

use std::collections::BTreeMap;

use serde::Deserialize;
use sidecarless::aws::error::{AwsError, CODES, MESSAGES};
use sidecarless::deliver::remote_write_error::PATTERNS;
use sidecarless::deliver::xray::DOCUMENT_ERRORS;

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

/// Returns a code without its namespace and the suffix `Exception`, as in the table of the code.
fn short_name(code: &str) -> &str {
    let name = code.rsplit('.').next().unwrap_or(code);
    name.strip_suffix("Exception").unwrap_or(name)
}

/// Returns the quoted texts of each heading in the section "Responses of AWS".
fn headings() -> Vec<Vec<&'static str>> {
    let page = include_str!("../docs/troubleshooting.md");
    let (_, section) = page.split_once("\n## Responses of AWS\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let headings = section.lines().filter_map(|line| line.strip_prefix("### "));
    headings.map(|heading| heading.split('`').skip(1).step_by(2).collect()).collect()
}

#[test]
fn every_known_error_text_has_a_heading_with_its_cause() {
    let codes: ErrorCodes = serde_json::from_str(include_str!("data/aws_error_codes.json")).unwrap();
    let codes = codes.modeled.into_iter().chain(codes.query);
    let codes = codes.map(|(code, kind)| (short_name(&code).to_owned(), kind));
    let own = CODES.iter().chain(MESSAGES).map(|(text, kind)| ((*text).to_owned(), format!("{kind:?}")));
    let of_amp = PATTERNS.iter().map(|(words, kind)| (words.join(" ... "), format!("AMP {kind:?}")));
    let of_xray = DOCUMENT_ERRORS.iter().map(|code| ((*code).to_owned(), "X-Ray document".to_owned()));
    let known: BTreeMap<String, String> = codes.chain(own).chain(of_amp).chain(of_xray).collect();
    let mut documented = Vec::new();
    for texts in headings() {
        let kinds: Vec<_> = texts.iter().map(|text| known.get(*text).or_else(|| known.get(short_name(text)))).collect();
        assert!(kinds.iter().all(Option::is_some), "not in the tables: {texts:?} {kinds:?}");
        assert!(kinds.iter().all(|kind| *kind == kinds[0]), "different causes: {texts:?} {kinds:?}");
        documented.extend(texts.iter().flat_map(|text| [*text, short_name(text)]));
    }
    let missing: Vec<_> = known.keys().filter(|text| !documented.contains(&text.as_str())).collect();
    assert!(missing.is_empty(), "without a heading: {missing:?}");
    println!("show: {} texts of AWS have a heading", known.len());
}
