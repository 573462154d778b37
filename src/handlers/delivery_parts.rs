//! Destinations, and what every delivery shares.

use std::sync::Arc;

use aws_config::SdkConfig;

use super::access::ClientFactory;
use super::delivery::DeliveryTracker;
use super::run::series_writer::SeriesWriter;
use super::self_metrics::SelfMetrics;
use crate::aws::clients;
use crate::aws::endpoints::EndpointError;
use crate::deliver::Delivery;
use crate::deliver::circuit_breaker::CircuitBreaker;
use crate::deliver::cloudwatch::OtlpMetricsClient;
use crate::deliver::deferral::MessageDeferral;
use crate::deliver::logs::OtlpLogsClient;
use crate::deliver::remote_write::RemoteWriteClient;
use crate::deliver::spool::Spool;
use crate::deliver::xray::XRayClient;
use crate::deliver::xray_otlp::XRayOtlpClient;
use crate::rules::relabel::Rules;
use crate::settings::Settings;
use crate::work_budget::MemoryLimit;

/// Destinations and shared dependencies of every delivery.
pub(super) struct DeliveryParts {
    pub(super) amp: Option<Arc<Delivery<RemoteWriteClient>>>,
    pub(super) xray: Arc<Delivery<XRayClient>>,
    pub(super) xray_otlp: Arc<Delivery<XRayOtlpClient>>,
    pub(super) cloudwatch: Option<Arc<Delivery<OtlpMetricsClient>>>,
    pub(super) logs: Option<Arc<Delivery<OtlpLogsClient>>>,
    pub(super) spool: Option<Spool>,
    /// Defers spooled messages. `None` if the settings name no queue.
    pub(super) spool_deferral: Option<MessageDeferral>,
    /// Defers shards.
    pub(super) shard_deferral: Option<MessageDeferral>,
    pub(super) self_metrics: Arc<SelfMetrics>,
    pub(super) tracker: Arc<DeliveryTracker>,
    pub(super) relabel: Arc<Rules>,
    pub(super) writer: Option<Arc<SeriesWriter>>,
}

impl DeliveryParts {
    pub(super) fn new(
        settings: &Settings,
        memory: MemoryLimit,
        aws: &SdkConfig,
        clients: &ClientFactory<'_>,
    ) -> Result<Self, EndpointError> {
        let has_spool = settings.spool_queue.is_some();
        let sqs = clients::sqs(aws);
        let spool = settings.spool_queue.as_ref().map(|url| Spool::new(sqs.clone(), url));
        let shard_deferral = settings.shard_queue.as_ref().map(|url| MessageDeferral::new(sqs.clone(), url));
        let spool_deferral = settings.spool_queue.as_ref().map(|url| MessageDeferral::new(sqs, url));
        let spool_deferral = spool_deferral.or_else(|| shard_deferral.clone());
        let amp = clients.amp().map(|client| Arc::new(Delivery::new(client, Arc::default(), has_spool)));
        let circuit = Arc::<CircuitBreaker>::default();
        let (xray, xray_otlp) = clients.xray()?;
        let xray = Delivery::new(xray, Arc::clone(&circuit), has_spool);
        let xray_otlp = Delivery::new(xray_otlp, circuit, has_spool);
        let cloudwatch = clients.cloudwatch_otlp()?;
        let cloudwatch = cloudwatch.map(|client| Arc::new(Delivery::new(client, Arc::default(), has_spool)));
        let logs = clients.logs()?.map(|client| Delivery::new(client, Arc::default(), has_spool));
        let self_metrics = Arc::new(SelfMetrics::new(settings));
        let tracker = DeliveryTracker { spool: spool.clone(), self_metrics: Arc::clone(&self_metrics) };
        let (tracker, relabel) = (Arc::new(tracker), Arc::new(settings.relabel.clone()));
        let writer = amp.as_ref().map(|amp| SeriesWriter {
            relabel: Arc::clone(&relabel),
            amp: Arc::clone(amp),
            tracker: Arc::clone(&tracker),
            self_metrics: Arc::clone(&self_metrics),
            memory,
        });
        let (xray, xray_otlp) = (Arc::new(xray), Arc::new(xray_otlp));
        let (logs, writer) = (logs.map(Arc::new), writer.map(Arc::new));
        Ok(Self {
            amp,
            xray,
            xray_otlp,
            cloudwatch,
            logs,
            spool,
            spool_deferral,
            shard_deferral,
            self_metrics,
            tracker,
            relabel,
            writer,
        })
    }
}
