//! Settings and clients of the checks.

use std::sync::Arc;

use crate::aws::sts::StsClient;
use crate::deliver::Delivery;
use crate::deliver::cloudwatch::OtlpMetricsClient;
use crate::deliver::deferral::MessageDeferral;
use crate::deliver::logs::OtlpLogsClient;
use crate::deliver::remote_write::RemoteWriteClient;
use crate::deliver::spool::Spool;
use crate::deliver::xray::XRayClient;
use crate::deliver::xray_otlp::XRayOtlpClient;
use crate::discovery::Discovery;
use crate::handlers::access::DestinationAccess;
use crate::handlers::self_metrics::SelfMetrics;
use crate::handlers::targets::TargetLister;
use crate::scrape::insights::InsightsClient;
use crate::settings::Settings;

/// Tests credentials, permissions and connectivity.
#[derive(Debug)]
pub(in crate::handlers) struct CheckHandler {
    pub(in crate::handlers) settings: Settings,
    pub(in crate::handlers) region: String,
    pub(in crate::handlers) sts: StsClient,
    pub(in crate::handlers) discovery: Arc<Discovery>,
    pub(in crate::handlers) insights: InsightsClient,
    pub(in crate::handlers) targets: Arc<TargetLister>,
    /// `None` if `AWS_PROMETHEUS_ENDPOINT` is not set.
    pub(in crate::handlers) amp: Option<Arc<Delivery<RemoteWriteClient>>>,
    pub(in crate::handlers) xray: Arc<Delivery<XRayClient>>,
    pub(in crate::handlers) xray_otlp: Arc<Delivery<XRayOtlpClient>>,
    /// `None` if `SIDECARLESS_METRICS_TO` does not contain `cloudwatch`.
    pub(in crate::handlers) cloudwatch: Option<Arc<Delivery<OtlpMetricsClient>>>,
    /// `None` if `SIDECARLESS_LOG_GROUP` is not set.
    pub(in crate::handlers) logs: Option<Arc<Delivery<OtlpLogsClient>>>,
    /// `None` if `SIDECARLESS_SPOOL_QUEUE_URL` is not set.
    pub(in crate::handlers) spool: Option<Spool>,
    pub(in crate::handlers) spool_deferral: Option<MessageDeferral>,
    pub(in crate::handlers) shard_deferral: Option<MessageDeferral>,
    pub(in crate::handlers) self_metrics: Arc<SelfMetrics>,
    /// Access to AMP and X-Ray.
    pub(in crate::handlers) access: Vec<DestinationAccess>,
}
