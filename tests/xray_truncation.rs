//! Tests the truncation of documents over the size limit of X-Ray.

use serde_json::{Value as Json, json};
use sidecarless::model::budget::{BudgetExceeded, Unlimited};
use sidecarless::translate::Compat;
use sidecarless::translate::spans::{Indexed, Options, Segments, segments};

use crate::xray::schema::Schema;
use crate::xray::{INTERNAL, SERVER, TestSpan};
use crate::xray_schema::validation_errors;

#[test]
fn large_stack_trace_keeps_exception_cause_and_top_frames() {
    let frames = |class: &str| -> String {
        (0..4500).map(|line| format!("\tat com.shop.{class}.call{line}({class}.java:{line})\n")).collect()
    };
    let stack = format!("com.shop.Outer: boom\n{}Caused by: java.io.IOException: disk\n{}", frames("A"), frames("B"));
    assert!(stack.len() > 300_000, "{}", stack.len());
    let attributes =
        json!({ "exception.type": "com.shop.Outer", "exception.message": "boom", "exception.stacktrace": stack });
    let language = json!({ "telemetry.sdk.language": "java" });
    let sent = TestSpan::root(SERVER, "x").on(language).event("exception", attributes);
    let segments = segments(&(&sent.request()).into(), &Options::default(), &Unlimited).unwrap();
    assert_eq!(validation_errors(&Schema::of_segments(), &segments), Vec::<String>::new());
    let Segments { documents, received, rejected, truncated } = segments;
    assert_eq!((received, documents.len(), truncated, rejected.total()), (1, 1, 1, 0));
    let document: Json = serde_json::from_str(&documents[0].text()).unwrap();
    let [outer, inner] = document["cause"]["exceptions"].as_array().unwrap().as_slice() else {
        panic!("two exceptions")
    };
    for (exception, kind, message, top) in [
        (outer, "com.shop.Outer", "boom", "com.shop.A.call0"),
        (inner, "java.io.IOException", "disk", "com.shop.B.call0"),
    ] {
        assert_eq!((&exception["type"], &exception["message"]), (&json!(kind), &json!(message)));
        assert_eq!(exception["stack"][0]["label"], top);
        assert_eq!(exception["truncated"], json!(4500 - exception["stack"].as_array().unwrap().len()));
    }
    assert_eq!(outer["cause"], inner["id"]);
    assert!(document["metadata"]["sidecarless"]["truncated"]["frames"].as_u64() > Some(8000));
}

#[test]
fn content_is_removed_in_the_documented_order() {
    let long = "é".repeat(60_000);
    let many: serde_json::Map<String, Json> = (0..5000).map(|n| (format!("key{n}"), json!("some value"))).collect();
    let cases = [
        (TestSpan::root(SERVER, "x").with(json!({ "long": long })), "strings"),
        (TestSpan::root(SERVER, "x").with(Json::Object(many.clone())), "metadata"),
        (
            TestSpan::root(SERVER, "x")
                .with(Json::Object(many.clone()))
                .under(Options { indexed: Indexed::All, ..Options::default() }),
            "annotations",
        ),
        ((0..2000).fold(TestSpan::root(SERVER, "x"), |sent, _| sent.linked()), "links"),
        ((0..2000).fold(TestSpan::root(SERVER, "x"), |sent, _| sent.event("exception", json!({}))), "exceptions"),
        (TestSpan::root(INTERNAL, "x").with(json!({ "aws.dynamodb.table_names": vec!["table"; 20_000] })), "aws"),
    ];
    for (sent, removed) in cases {
        let segments = segments(&(&sent.request()).into(), &sent.options, &Unlimited).unwrap();
        assert_eq!(validation_errors(&Schema::of_segments(), &segments), Vec::<String>::new(), "{removed}");
        let document: Json = serde_json::from_str(&segments.documents[0].text()).unwrap();
        let note = &document["metadata"]["sidecarless"]["truncated"];
        assert!(note[removed].as_u64() > Some(0), "{removed}: {note}");
    }
    let sent = TestSpan::root(SERVER, "x").on(json!({ "service.name": "shop" })).with(Json::Object(many));
    let document = &sent.documents(Compat::Corrected)[0];
    assert_eq!(
        document["metadata"]["default"]["otel.resource.service.name"], "shop",
        "resource attributes are removed last"
    );
}

#[test]
fn request_may_have_a_thousand_documents_to_truncate() {
    let attributes: serde_json::Map<_, _> = (0..100).map(|at| (format!("a{at}"), json!("v".repeat(1_000)))).collect();
    let request = |spans: usize| {
        let mut request = TestSpan::root(SERVER, "x").on(Json::Object(attributes.clone())).request();
        let spans_of_scope = &mut request.resource_spans[0].scope_spans[0].spans;
        *spans_of_scope = vec![spans_of_scope[0].clone(); spans];
        request
    };
    let translate =
        |spans| segments(&(&request(spans)).into(), &Options::default(), &Unlimited).map(|result| result.truncated);
    assert_eq!(translate(1_000), Ok(1_000));
    assert_eq!(translate(1_001), Err(BudgetExceeded::TruncatedDocuments { limit: 1_000 }));
}
