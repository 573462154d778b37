//! `fault`, `error` and `throttle`: whose fault a failure was.

use super::http;
use super::json::JsonWriter;
use super::key::{Attributes, Key};
use super::value;
use crate::model::otlp::any_value::Value;
use crate::model::otlp::{Span, StatusCode};
use crate::translate::Compat;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    fault: bool,
    error: bool,
    throttle: bool,
}

const FAULT: Flags = Flags { fault: true, error: false, throttle: false };
const ERROR: Flags = Flags { fault: false, error: true, throttle: false };
const THROTTLE: Flags = Flags { fault: false, error: true, throttle: true };

/// The HTTP status decides where there is one, at best the gRPC status next; else the status of the span. Rules:
/// awsxrayexporter, `internal/translator/cause.go`.
pub(super) fn flags(attributes: &Attributes<'_>, span: &Span, compat: Compat) -> Flags {
    let key = [Key::HttpStatusCode, Key::HttpResponseStatusCode].into_iter().find(|key| attributes.has(*key));
    match key.map(|key| http::status(attributes.value(key), compat)) {
        Some(429) => return THROTTLE,
        Some(400..=499) => return ERROR,
        Some(500..=599) => return FAULT,
        Some(_) => {}
        None if compat == Compat::Corrected => {
            if let Some(flags) = of_grpc(attributes) {
                return flags;
            }
        }
        None => {}
    }
    if is_error(span) { FAULT } else { Flags::default() }
}

/// Whether the span says that it failed.
pub(super) fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code == StatusCode::Error as i32)
}

/// gRPC's codes by whose fault they are (grpc.io, "Status codes and their use in gRPC"); nothing for OK and for those
/// that may be either's.
fn of_grpc(attributes: &Attributes<'_>) -> Option<Flags> {
    let code = match attributes.value(Key::RpcGrpcStatusCode) {
        Some(value) => value::lenient_int(Some(value))?,
        None => match attributes.value(Key::RpcResponseStatusCode)? {
            Value::String(name) => code_of_name(name)?,
            value => value::lenient_int(Some(value))?,
        },
    };
    match code {
        8 => Some(THROTTLE),
        3 | 5 | 6 | 7 | 9 | 11 | 16 => Some(ERROR),
        2 | 4 | 12 | 13 | 14 | 15 => Some(FAULT),
        _ => None,
    }
}

fn code_of_name(name: &[u8]) -> Option<i64> {
    const NAMES: [&[u8]; 17] = [
        b"OK",
        b"CANCELLED",
        b"UNKNOWN",
        b"INVALID_ARGUMENT",
        b"DEADLINE_EXCEEDED",
        b"NOT_FOUND",
        b"ALREADY_EXISTS",
        b"PERMISSION_DENIED",
        b"RESOURCE_EXHAUSTED",
        b"FAILED_PRECONDITION",
        b"ABORTED",
        b"OUT_OF_RANGE",
        b"UNIMPLEMENTED",
        b"INTERNAL",
        b"UNAVAILABLE",
        b"DATA_LOSS",
        b"UNAUTHENTICATED",
    ];
    i64::try_from(NAMES.iter().position(|known| *known == name)?).ok()
}

impl Flags {
    pub(super) fn write(self, json: &mut JsonWriter) {
        if self == Flags::default() {
            return json.raw_escaped(r#"\"fault\":false,\"error\":false,\"throttle\":false"#);
        }
        json.boolean_field("fault", self.fault);
        json.boolean_field("error", self.error);
        json.boolean_field("throttle", self.throttle);
    }
}
