//! Access of browsers from other origins (Fetch Standard, "CORS protocol").
//!
//! The headers come from the function for every service in front of it. A request header is only compared, and never part of a
//! response: the values are those of the setting.

use super::route;
use crate::lambda::{HttpResponse, Request};

/// The value that allows every origin.
const ANY_ORIGIN: &str = "*";

/// How long a browser may keep the result of a preflight, in seconds: two hours, which is the maximum of Chromium.
const MAX_AGE_S: u32 = 7_200;

/// Headers that browsers may send in addition to those that need no permission.
const ALLOWED_HEADERS: &str = "authorization, content-encoding, content-type";

/// The origins whose pages may send requests.
#[derive(Clone, Debug, Default)]
pub struct Cors {
    /// As browsers write them, or [`ANY_ORIGIN`]. Empty if browsers have no access.
    origins: Vec<String>,
}

impl Cors {
    pub fn new(origins: Vec<String>) -> Self {
        Self { origins }
    }

    /// Returns the response to a preflight, which has no credentials. `None` if the request is not one, or if no origin is allowed.
    pub fn preflight(&self, request: &Request) -> Option<HttpResponse> {
        let is_preflight = request.method == "OPTIONS"
            && request.header("origin").is_some()
            && request.header("access-control-request-method").is_some();
        if self.origins.is_empty() || !is_preflight || !route::accepts_post(request) {
            return None;
        }
        let mut response = HttpResponse { status: 204, headers: Vec::new(), body: Vec::new() };
        if self.allowed_origin(request).is_some() {
            response.headers.extend([
                ("access-control-allow-methods", "POST".to_owned()),
                ("access-control-allow-headers", ALLOWED_HEADERS.to_owned()),
                ("access-control-max-age", MAX_AGE_S.to_string()),
            ]);
        }
        Some(self.with_headers(request, response))
    }

    /// Adds the headers that let the page read the response.
    #[must_use]
    pub fn with_headers(&self, request: &Request, mut response: HttpResponse) -> HttpResponse {
        if self.origins.is_empty() {
            return response;
        }
        // Caches must not answer the requests of one origin with the response to another.
        response.headers.push(("vary", "origin".to_owned()));
        if let Some(origin) = self.allowed_origin(request) {
            response.headers.push(("access-control-allow-origin", origin.to_owned()));
            response.headers.push(("access-control-expose-headers", "retry-after".to_owned()));
            if origin != ANY_ORIGIN {
                // `navigator.sendBeacon` always sends cookies. The function reads none.
                response.headers.push(("access-control-allow-credentials", "true".to_owned()));
            }
        }
        response
    }

    /// Returns the entry of the setting that allows the request.
    fn allowed_origin(&self, request: &Request) -> Option<&str> {
        let origin = request.header("origin")?;
        let find = |wanted: &str| self.origins.iter().find(|allowed| *allowed == wanted).map(String::as_str);
        find(origin).or_else(|| find(ANY_ORIGIN))
    }
}
