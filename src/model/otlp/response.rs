//! Responses to OTLP clients: collector/{trace,metrics,logs}/v1 and google/rpc/status.proto.

/// `ExportTraceServiceResponse`, `ExportMetricsServiceResponse` and `ExportLogsServiceResponse`, which have the same encoding.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// `ExportTracePartialSuccess`, `ExportMetricsPartialSuccess` and `ExportLogsPartialSuccess`, which have the same encoding.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PartialSuccess {
    /// Rejected spans, data points or log records.
    #[prost(int64, tag = "1")]
    pub rejected: i64,
    #[prost(string, tag = "2")]
    pub error_message: String,
}

/// `google.rpc.Status`, the body of every response except 2xx (OTLP specification, "OTLP/HTTP Response").
#[derive(Clone, PartialEq, prost::Message)]
pub struct RpcStatus {
    /// A `google.rpc.Code`.
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
}
