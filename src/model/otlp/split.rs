//! Splits export requests, for destinations with size limits.

use bytes::Bytes;
use prost::Message as _;

use super::wire::{WireRequest, WireResource, WireScope};
use crate::model::budget::{Budget, BudgetExceeded, Unlimited};

/// Limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    pub items: usize,
    /// Size before compression.
    pub bytes: usize,
}

/// An encoded export request of spans or log records.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedExport {
    pub body: Bytes,
    pub items: u64,
}

impl EncodedExport {
    /// Returns two halves of the request. `None` if it has fewer than two items, or cannot be decoded.
    pub fn halves(&self) -> Option<Vec<EncodedExport>> {
        if self.items < 2 {
            return None;
        }
        let items = usize::try_from(self.items.div_ceil(2)).ok()?;
        let request = WireRequest::decode(self.body.clone()).ok()?;
        // The halves are hardly larger than the request, because each repeats only one resource and one scope.
        split(&request, RequestLimits { items, bytes: usize::MAX }, &Unlimited, |_| true).ok()
    }
}

/// Splits the items that `is_included` selects into requests. Each repeats the resource and the scope of its items. An item that is
/// larger than the limit is sent alone.
///
/// # Errors
/// Returns an error if the requests do not fit into the budget.
pub fn split(
    request: &WireRequest,
    limits: RequestLimits,
    budget: &dyn Budget,
    is_included: impl Fn(&Bytes) -> bool,
) -> Result<Vec<EncodedExport>, BudgetExceeded> {
    let mut splitter = Splitter::new(limits, budget);
    for resource in &request.resources {
        splitter.resource_is_open = false;
        for scope in &resource.scopes {
            splitter.scope_is_open = false;
            for item in scope.items.iter().filter(|item| is_included(item)) {
                budget.check()?;
                splitter.add(item, resource, scope)?;
            }
        }
    }
    splitter.close()?;
    Ok(splitter.done)
}

struct Splitter<'b> {
    limits: RequestLimits,
    budget: &'b dyn Budget,
    done: Vec<EncodedExport>,
    current: WireRequest,
    /// Whether the last resource and the last scope of `current` are those of the next item.
    resource_is_open: bool,
    scope_is_open: bool,
    items: usize,
    /// Upper bound of the size of the current request.
    bytes: usize,
}

/// Maximum size of tag and length of a nested message: 1 + 5 bytes.
const FRAME: usize = 6;

impl<'b> Splitter<'b> {
    fn new(limits: RequestLimits, budget: &'b dyn Budget) -> Self {
        Self {
            limits,
            budget,
            done: Vec::new(),
            current: WireRequest::default(),
            resource_is_open: false,
            scope_is_open: false,
            items: 0,
            bytes: 0,
        }
    }

    fn add(&mut self, item: &Bytes, resource: &WireResource, scope: &WireScope) -> Result<(), BudgetExceeded> {
        let size = item.len() + FRAME;
        let is_full = self.items >= self.limits.items
            || self.bytes.saturating_add(size + self.missing_bytes(resource, scope)) > self.limits.bytes;
        if is_full && self.items > 0 {
            self.close()?;
        }
        self.open(resource, scope);
        self.bytes += size;
        self.items += 1;
        let open = self.current.resources.last_mut().and_then(|resource| resource.scopes.last_mut());
        if let Some(open) = open {
            open.items.push(item.clone());
        }
        Ok(())
    }

    /// Returns the size of the resource and the scope, if they are not in the current request.
    fn missing_bytes(&self, resource: &WireResource, scope: &WireScope) -> usize {
        let resource_bytes = resource.resource.len() + resource.schema_url.len() + 3 * FRAME;
        let scope_bytes = scope.scope.len() + scope.schema_url.len() + 3 * FRAME;
        match (self.resource_is_open, self.scope_is_open) {
            (true, true) => 0,
            (true, false) => scope_bytes,
            (false, _) => resource_bytes + scope_bytes,
        }
    }

    fn open(&mut self, resource: &WireResource, scope: &WireScope) {
        self.bytes += self.missing_bytes(resource, scope);
        if !self.resource_is_open {
            let WireResource { resource, schema_url, scopes: _ } = resource.clone();
            self.current.resources.push(WireResource { resource, schema_url, scopes: Vec::new() });
        }
        if let Some(open) = self.current.resources.last_mut().filter(|_| !(self.resource_is_open && self.scope_is_open))
        {
            let (scope, schema_url) = (scope.scope.clone(), scope.schema_url.clone());
            open.scopes.push(WireScope { scope, schema_url, items: Vec::new() });
        }
        (self.resource_is_open, self.scope_is_open) = (true, true);
    }

    fn close(&mut self) -> Result<(), BudgetExceeded> {
        self.budget.reserve(self.bytes)?;
        let current = std::mem::take(&mut self.current);
        if self.items > 0 {
            self.done.push(EncodedExport { body: current.encode_to_vec().into(), items: self.items as u64 });
        }
        (self.items, self.bytes) = (0, 0);
        (self.resource_is_open, self.scope_is_open) = (false, false);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::otlp::{ExportTraceServiceRequest, InstrumentationScope, ResourceSpans, ScopeSpans, Span};

    fn request(scopes: usize, spans: usize) -> WireRequest {
        let span = |n: usize| Span { name: format!("span {n}").into(), ..Span::default() };
        let scope = |n: usize| ScopeSpans {
            scope: Some(InstrumentationScope { name: format!("scope {n}").into(), ..InstrumentationScope::default() }),
            spans: (0..spans).map(span).collect(),
            schema_url: "https://example.com/schema".into(),
        };
        let resource = ResourceSpans { scope_spans: (0..scopes).map(scope).collect(), ..ResourceSpans::default() };
        let typed = ExportTraceServiceRequest { resource_spans: vec![resource.clone(), resource] };
        WireRequest::decode(typed.encode_to_vec().as_slice()).unwrap()
    }

    /// Returns the scope and the name of each span, in each resource.
    fn names(exports: &[EncodedExport]) -> Vec<(Bytes, Bytes)> {
        let mut names = Vec::new();
        for export in exports {
            let request = ExportTraceServiceRequest::decode(export.body.clone()).unwrap();
            assert_eq!(request.spans(), export.items);
            for scope in request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans) {
                assert_eq!(scope.schema_url, "https://example.com/schema");
                let name = scope.scope.unwrap_or_default().name;
                names.extend(scope.spans.into_iter().map(|span| (name.clone(), span.name)));
            }
        }
        names
    }

    #[test]
    fn parts_contain_every_span_once_in_its_scope() {
        let request = request(3, 5);
        let whole = [EncodedExport { body: request.encode_to_vec().into(), items: 30 }];
        for (limits, expected) in [
            (RequestLimits { items: 100, bytes: 1 << 20 }, vec![30]),
            (RequestLimits { items: 7, bytes: 1 << 20 }, vec![7, 7, 7, 7, 2]),
            (RequestLimits { items: 100, bytes: 1 }, vec![1; 30]),
        ] {
            let parts = split(&request, limits, &Unlimited, |_| true).unwrap();
            assert_eq!(parts.iter().map(|part| part.items).collect::<Vec<_>>(), expected, "{limits:?}");
            assert_eq!(names(&parts), names(&whole), "{limits:?}");
            assert!(parts.iter().all(|part| part.body.len() <= limits.bytes || part.items == 1), "{limits:?}");
        }
        let (limits, none) = (RequestLimits { items: 1, bytes: 1 }, |_: &Bytes| false);
        assert!(split(&request, limits, &Unlimited, none).unwrap().is_empty());
    }

    #[test]
    fn whole_request_is_split_into_equal_bytes() {
        let request = request(2, 3);
        let limits = RequestLimits { items: 100, bytes: 1 << 20 };
        let parts = split(&request, limits, &Unlimited, |_| true).unwrap();
        assert_eq!(parts[0].body, request.encode_to_vec());
    }

    #[test]
    fn halves_contain_every_item_once() {
        let export = EncodedExport { body: request(3, 3).encode_to_vec().into(), items: 18 };
        let halves = export.halves().unwrap();
        assert_eq!(halves.iter().map(|half| half.items).collect::<Vec<_>>(), [9, 9]);
        assert_eq!(names(&halves), names(&[export]));
        assert_eq!(EncodedExport { body: Bytes::new(), items: 1 }.halves(), None);
    }
}
