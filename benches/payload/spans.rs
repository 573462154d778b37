//! Traces of a Java service. Ten spans are four server requests, two client requests, two queries, one message and one
//! internal span. One of twenty spans failed, with an exception and its stack. A span has 15 attributes.

use sidecarless::model::otlp::{
    Event, ExportTraceServiceRequest, KeyValue, ResourceSpans, ScopeSpans, Span, SpanKind, Status, StatusCode,
};

use super::resource::{resource, scope};
use super::{AT_NANOS, Numbers, int, text};

const ROUTES: [&str; 6] =
    ["/cart/{id}", "/checkout", "/orders/{id}/items", "/products/{sku}/price", "/users/{id}", "/health"];
const METHODS: [&str; 4] = ["GET", "GET", "POST", "PUT"];
const TABLES: [&str; 4] = ["orders", "order_items", "customers", "price_list"];
const FRAMES: [&str; 6] = [
    "com.shop.checkout.OrderService.place(OrderService.java:",
    "com.shop.checkout.api.OrderController.create(OrderController.java:",
    "org.springframework.web.method.support.InvocableHandlerMethod.doInvoke(InvocableHandlerMethod.java:",
    "org.apache.catalina.core.ApplicationFilterChain.internalDoFilter(ApplicationFilterChain.java:",
    "java.base/java.util.concurrent.ThreadPoolExecutor.runWorker(ThreadPoolExecutor.java:",
    "com.zaxxer.hikari.pool.HikariPool.getConnection(HikariPool.java:",
];
/// Frames of a stack trace. Stack traces of Spring are rarely shorter.
const STACK_DEPTH: usize = 40;
/// One of this many spans failed.
const SPANS_PER_FAILURE: usize = 20;
/// Spans of one trace.
const SPANS_PER_TRACE: usize = 10;

/// Returns a request with spans of one service.
pub(crate) fn traces(spans: usize) -> ExportTraceServiceRequest {
    let mut numbers = Numbers(1);
    let mut all = Vec::with_capacity(spans);
    let (mut trace_id, mut root) = (numbers.bytes::<16>(), numbers.bytes::<8>());
    for number in 0..spans {
        let position = number % SPANS_PER_TRACE;
        if position == 0 {
            (trace_id, root) = (numbers.bytes::<16>(), numbers.bytes::<8>());
        }
        let mut span = span(number, &mut numbers);
        span.trace_id = trace_id.clone();
        (span.span_id, span.parent_span_id) = match position {
            0 => (root.clone(), bytes::Bytes::new()),
            _ => (numbers.bytes::<8>(), root.clone()),
        };
        all.push(span);
    }
    let scope_spans = vec![ScopeSpans {
        scope: Some(scope("io.opentelemetry.spring-webmvc-6.0")),
        spans: all,
        ..ScopeSpans::default()
    }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource()), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}

fn span(number: usize, numbers: &mut Numbers) -> Span {
    let (kind, name, mut attributes) = match number % SPANS_PER_TRACE {
        0 | 3 | 6 | 9 => server_request(numbers),
        1 | 4 => client_request(numbers),
        2 | 7 => query(numbers),
        5 => message(numbers),
        _ => internal(numbers),
    };
    attributes.push(int("thread.id", 20 + numbers.below(64)));
    attributes.push(text("thread.name", format!("http-nio-8080-exec-{}", numbers.below(64))));
    attributes.push(text("app.tenant", format!("tenant-{}", numbers.below(500))));
    let start = AT_NANOS - numbers.below(5_000_000_000);
    let failed = number.is_multiple_of(SPANS_PER_FAILURE);
    Span {
        name: name.into_bytes().into(),
        kind: kind.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start + 100_000 + numbers.below(250_000_000),
        events: if failed { vec![exception(start, numbers)] } else { Vec::new() },
        status: failed
            .then(|| Status { message: "the order could not be placed".into(), code: StatusCode::Error.into() }),
        attributes,
        ..Span::default()
    }
}

/// Kind, name and attributes of a span.
type Operation = (SpanKind, String, Vec<KeyValue>);

fn address(numbers: &mut Numbers) -> String {
    format!("10.0.{}.{}", numbers.below(256), numbers.below(256))
}

fn server_request(numbers: &mut Numbers) -> Operation {
    let (method, route) = (numbers.one_of(&METHODS), numbers.one_of(&ROUTES));
    let path = route.replace("{id}", &numbers.below(1_000_000).to_string()).replace("{sku}", "A-77120");
    let attributes = vec![
        text("http.request.method", method),
        text("url.scheme", "https"),
        text("url.path", path),
        text("url.query", format!("page={}&size=50", numbers.below(9))),
        text("http.route", route),
        int("http.response.status_code", if numbers.below(25) == 0 { 404 } else { 200 }),
        text("server.address", "checkout.shop.example.com"),
        int("server.port", 443),
        text("client.address", address(numbers)),
        text(
            "user_agent.original",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.1",
        ),
        text("network.protocol.version", "1.1"),
        text("network.peer.address", address(numbers)),
    ];
    (SpanKind::Server, format!("{method} {route}"), attributes)
}

fn client_request(numbers: &mut Numbers) -> Operation {
    let method = numbers.one_of(&METHODS);
    let host = numbers.one_of(&["payments.internal", "stock.internal", "mail.internal"]);
    let attributes = vec![
        text("http.request.method", method),
        text("url.full", format!("https://{host}/v2/accounts/{}/transactions?limit=20", numbers.below(1_000_000))),
        text("server.address", host),
        int("server.port", 443),
        int("http.response.status_code", 200),
        int("http.request.body.size", numbers.below(4_000)),
        int("http.response.body.size", numbers.below(40_000)),
        text("network.protocol.name", "http"),
        text("network.protocol.version", "2"),
        text("network.peer.address", address(numbers)),
        int("network.peer.port", 443),
        text("peer.service", host),
    ];
    (SpanKind::Client, method.to_owned(), attributes)
}

fn query(numbers: &mut Numbers) -> Operation {
    let table = numbers.one_of(&TABLES);
    let attributes = vec![
        text("db.system.name", "postgresql"),
        text("db.namespace", "shop"),
        text("db.collection.name", table),
        text("db.operation.name", "SELECT"),
        text(
            "db.query.text",
            format!(
                "SELECT id, customer_id, total, created_at FROM {table} WHERE customer_id = ? AND created_at > ? ORDER BY created_at DESC LIMIT 50"
            ),
        ),
        text("db.query.summary", format!("SELECT {table}")),
        int("db.response.returned_rows", numbers.below(50)),
        text("server.address", "shop.cluster-c1x2y3.eu-west-1.rds.amazonaws.com"),
        int("server.port", 5432),
        text("network.peer.address", address(numbers)),
        int("network.peer.port", 5432),
        text("db.connection.pool.name", "HikariPool-1"),
    ];
    (SpanKind::Client, format!("SELECT shop.{table}"), attributes)
}

fn message(numbers: &mut Numbers) -> Operation {
    let attributes = vec![
        text("messaging.system", "aws_sqs"),
        text("messaging.destination.name", "orders"),
        text("messaging.operation.name", "send"),
        text("messaging.operation.type", "send"),
        text("messaging.message.id", format!("{:016x}{:016x}", numbers.next(), numbers.next())),
        int("messaging.message.body.size", numbers.below(9_000)),
        text("rpc.system", "aws-api"),
        text("rpc.service", "Sqs"),
        text("rpc.method", "SendMessage"),
        text("aws.request_id", format!("{:016x}", numbers.next())),
        text("cloud.region", "eu-west-1"),
        text("server.address", "sqs.eu-west-1.amazonaws.com"),
    ];
    (SpanKind::Producer, "send orders".to_owned(), attributes)
}

fn internal(numbers: &mut Numbers) -> Operation {
    let mut attributes = vec![
        text("code.function.name", "com.shop.checkout.PriceCalculator.total"),
        text("code.file.path", "PriceCalculator.java"),
        int("code.line.number", 20 + numbers.below(300)),
        text("app.cart.currency", "EUR"),
        int("app.cart.items", numbers.below(40)),
        text("app.order.id", format!("{:016x}", numbers.next())),
    ];
    for step in 0..6 {
        attributes.push(int(&format!("app.step.{step}.duration_us"), numbers.below(9_000)));
    }
    (SpanKind::Internal, "PriceCalculator.total".to_owned(), attributes)
}

fn exception(start: u64, numbers: &mut Numbers) -> Event {
    let mut stack = "java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available\n".to_owned();
    for _ in 0..STACK_DEPTH {
        stack.push_str(&format!("\tat {}{})\n", numbers.one_of(&FRAMES), numbers.below(900)));
    }
    Event {
        time_unix_nano: start + 50_000,
        name: "exception".into(),
        attributes: vec![
            text("exception.type", "java.sql.SQLTransientConnectionException"),
            text("exception.message", "HikariPool-1 - Connection is not available, request timed out after 30000ms"),
            text("exception.stacktrace", stack),
        ],
        dropped_attributes_count: 0,
    }
}
