//! Response to health checks. Clients without authentication get it, so it tells neither the version nor the settings.

use crate::lambda::HttpResponse;

/// Returns 200: the function is started and its settings are valid.
pub fn health_response() -> HttpResponse {
    HttpResponse { status: 200, headers: vec![("content-type", "text/plain".into())], body: b"ok\n".to_vec() }
}
