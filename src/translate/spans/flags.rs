//! Derives `fault`, `error` and `throttle` from the status of a span.

use super::key::{Attributes, Key};
use super::segment::Flags;
use super::value;
use crate::model::otlp::StatusCode;
use crate::model::otlp::borrowed::Span;
use crate::model::otlp::borrowed::Value;
use crate::translate::Compat;

const FAULT: Flags = Flags { fault: true, error: false, throttle: false };
const ERROR: Flags = Flags { fault: false, error: true, throttle: false };
const THROTTLE: Flags = Flags { fault: false, error: true, throttle: true };

/// Reads the HTTP status, otherwise in corrected mode the gRPC status, otherwise the span status. Rules:
/// awsxrayexporter, `internal/translator/cause.go`.
pub(super) fn read(attributes: &Attributes<'_>, span: &Span<'_>, compat: Compat) -> Flags {
    let key = [Key::HttpStatusCode, Key::HttpResponseStatusCode].into_iter().find(|key| attributes.has(*key));
    match key.map(|key| value::http_status(attributes.value(key), compat)) {
        Some(429) => return THROTTLE,
        Some(400..=499) => return ERROR,
        Some(500..=599) => return FAULT,
        Some(_) => {}
        None if compat.ignores_grpc_status() => {}
        None => {
            if let Some(flags) = from_grpc_status(attributes) {
                return flags;
            }
        }
    }
    if is_error(span) { FAULT } else { Flags::default() }
}

/// Whether the span status is an error.
pub(super) fn is_error(span: &Span<'_>) -> bool {
    span.status.as_ref().is_some_and(|status| status.code == StatusCode::Error as i32)
}

/// Returns `None` for OK, and for codes that either the caller or the service can cause (grpc.io, "Status codes and
/// their use in gRPC").
fn from_grpc_status(attributes: &Attributes<'_>) -> Option<Flags> {
    let code = match attributes.value(Key::RpcGrpcStatusCode) {
        Some(value) => value::lenient_int(Some(value))?,
        None => {
            let keys = [Key::RpcResponseStatusCode, Key::RpcConnectErrorCode];
            let value = keys.into_iter().find_map(|key| attributes.value(key))?;
            match value {
                Value::String(name) => grpc_code(name).or_else(|| value::lenient_int(Some(value)))?,
                value => value::lenient_int(Some(value))?,
            }
        }
    };
    match code {
        8 => Some(THROTTLE),
        3 | 5 | 6 | 7 | 9 | 11 | 16 => Some(ERROR),
        2 | 4 | 12 | 13 | 14 | 15 => Some(FAULT),
        _ => None,
    }
}

/// Returns the code of a name. Connect has the same names in lower case, and spells one differently (connectrpc.com,
/// "Connect Protocol Reference").
fn grpc_code(name: &[u8]) -> Option<i64> {
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
    if name.eq_ignore_ascii_case(b"canceled") {
        return Some(1);
    }
    i64::try_from(NAMES.iter().position(|known| known.eq_ignore_ascii_case(name))?).ok()
}
