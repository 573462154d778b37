//! What an OTLP client is answered: collector/{trace,metrics}/v1 and google/rpc/status.proto.

/// `ExportTraceServiceResponse` and `ExportMetricsServiceResponse`: the same shape on the wire.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// `ExportTracePartialSuccess` and `ExportMetricsPartialSuccess`: the same shape on the wire.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PartialSuccess {
    /// Rejected spans or rejected data points.
    #[prost(int64, tag = "1")]
    pub rejected: i64,
    #[prost(string, tag = "2")]
    pub error_message: String,
}

/// `google.rpc.Status`, the body of every answer but 2xx (OTLP specification, "OTLP/HTTP Response").
#[derive(Clone, PartialEq, prost::Message)]
pub struct RpcStatus {
    /// A `google.rpc.Code`.
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
}
