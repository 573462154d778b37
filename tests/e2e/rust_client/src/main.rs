//! A Rust program with the unmodified OpenTelemetry SDK that exports two spans, a counter and a histogram once.
//!
//! All settings except the encoding come from the standard environment variables of the SDK. Prints the trace ID.

use std::error::Error;

use opentelemetry::Context;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry_otlp::{MetricExporter, Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

fn main() -> Result<(), Box<dyn Error>> {
    let protocol = match std::env::args().nth(1).as_deref() {
        Some("json") => Protocol::HttpJson,
        _ => Protocol::HttpBinary,
    };
    let spans = SpanExporter::builder().with_http().with_protocol(protocol).build()?;
    let traces = SdkTracerProvider::builder().with_batch_exporter(spans).build();
    let tracer = traces.tracer("client");
    let server = tracer.span_builder("order").with_kind(SpanKind::Server).start(&tracer);
    println!("{}", server.span_context().trace_id());
    let context = Context::current_with_span(server);
    tracer.span_builder("work").start_with_context(&tracer, &context).end();
    context.span().end();

    let metrics = MetricExporter::builder().with_http().with_protocol(protocol).build()?;
    let meters = SdkMeterProvider::builder().with_periodic_exporter(metrics).build();
    let meter = meters.meter("client");
    meter.u64_counter("client.orders").build().add(3, &[]);
    meter.f64_histogram("client.duration").with_unit("s").build().record(0.25, &[]);
    traces.shutdown()?;
    meters.shutdown()?;
    Ok(())
}
