//! Splits a trace request, for destinations with size limits.

use bytes::Bytes;
use prost::Message as _;

use super::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};
use crate::model::budget::{Budget, BudgetExceeded};

/// Limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    pub spans: usize,
    /// Size before compression.
    pub bytes: usize,
}

/// An encoded trace request.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedTraces {
    pub body: Bytes,
    pub spans: u64,
}

/// Splits a request between spans. Each part repeats the resource and the scope of its spans. A span that is larger than the
/// limit is sent alone.
///
/// # Errors
/// Returns an error if the parts do not fit into the budget.
pub fn split(
    request: ExportTraceServiceRequest,
    limits: RequestLimits,
    budget: &dyn Budget,
) -> Result<Vec<EncodedTraces>, BudgetExceeded> {
    let current = ExportTraceServiceRequest::default();
    let mut parts = Splitter { limits, budget, done: Vec::new(), current, spans: 0, bytes: 0 };
    for resource_spans in request.resource_spans {
        let resource = ResourceSpans { scope_spans: Vec::new(), ..resource_spans };
        for scope_spans in resource_spans.scope_spans {
            let scope = ScopeSpans { spans: Vec::new(), ..scope_spans };
            if scope_spans.spans.is_empty() {
                continue;
            }
            budget.check()?;
            parts.open(&resource, &scope);
            for span in scope_spans.spans {
                parts.add(span, &resource, &scope)?;
            }
        }
    }
    parts.close()?;
    Ok(parts.done)
}

struct Splitter<'b> {
    limits: RequestLimits,
    budget: &'b dyn Budget,
    done: Vec<EncodedTraces>,
    current: ExportTraceServiceRequest,
    spans: usize,
    /// Upper bound of the size of the current part.
    bytes: usize,
}

/// Maximum size of tag and length of a nested message: 1 + 5 bytes.
const FRAME: usize = 6;

impl Splitter<'_> {
    fn open(&mut self, resource: &ResourceSpans, scope: &ScopeSpans) {
        self.bytes += resource.encoded_len() + scope.encoded_len() + 2 * FRAME;
        self.current.resource_spans.push(ResourceSpans { scope_spans: vec![scope.clone()], ..resource.clone() });
    }

    fn add(&mut self, span: Span, resource: &ResourceSpans, scope: &ScopeSpans) -> Result<(), BudgetExceeded> {
        let size = span.encoded_len() + FRAME;
        let is_full = self.spans >= self.limits.spans || self.bytes + size > self.limits.bytes;
        if is_full && self.spans > 0 {
            self.close()?;
            self.open(resource, scope);
        }
        self.bytes += size;
        self.spans += 1;
        let open = self.current.resource_spans.last_mut().and_then(|resource| resource.scope_spans.last_mut());
        if let Some(scope) = open {
            scope.spans.push(span);
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), BudgetExceeded> {
        self.budget.reserve(self.bytes)?;
        let current = std::mem::take(&mut self.current);
        if self.spans > 0 {
            self.done.push(EncodedTraces { body: current.encode_to_vec().into(), spans: self.spans as u64 });
        }
        (self.spans, self.bytes) = (0, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::budget::Unlimited;
    use crate::model::otlp::InstrumentationScope;

    fn request(scopes: usize, spans: usize) -> ExportTraceServiceRequest {
        let span = |n: usize| Span { name: format!("span {n}").into(), ..Span::default() };
        let scope = |n: usize| ScopeSpans {
            scope: Some(InstrumentationScope { name: format!("scope {n}").into(), ..InstrumentationScope::default() }),
            spans: (0..spans).map(span).collect(),
            ..ScopeSpans::default()
        };
        let resource = ResourceSpans { scope_spans: (0..scopes).map(scope).collect(), ..ResourceSpans::default() };
        ExportTraceServiceRequest { resource_spans: vec![resource] }
    }

    #[test]
    fn parts_contain_every_span_once_in_its_scope() {
        for (limits, expected) in [
            (RequestLimits { spans: 100, bytes: 1 << 20 }, vec![30]),
            (RequestLimits { spans: 7, bytes: 1 << 20 }, vec![7, 7, 7, 7, 2]),
            (RequestLimits { spans: 100, bytes: 1 }, vec![1; 30]),
        ] {
            let parts = split(request(3, 10), limits, &Unlimited).unwrap();
            assert_eq!(parts.iter().map(|part| part.spans).collect::<Vec<_>>(), expected, "{limits:?}");
            let mut seen = Vec::new();
            for part in parts {
                for resource in ExportTraceServiceRequest::decode(part.body).unwrap().resource_spans {
                    for scope in resource.scope_spans {
                        let name = scope.scope.unwrap_or_default().name;
                        seen.extend(scope.spans.into_iter().map(|span| (name.clone(), span.name)));
                    }
                }
            }
            assert_eq!(seen.len(), 30);
            seen.dedup();
            assert_eq!(seen.len(), 30);
        }
        assert!(split(request(3, 0), RequestLimits { spans: 1, bytes: 1 }, &Unlimited).unwrap().is_empty());
    }
}
