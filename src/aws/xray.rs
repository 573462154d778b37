//! X-Ray, called with the SDK, with request bodies that are already encoded.
//!
//! The SDK would copy and escape each segment document once more. An interceptor of the client replaces the body before signing
//! (docs/decisions/0010-put-trace-segments-with-a-ready-body.md). The callers retry, because they know the deadline.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::user_agent::UserAgentInterceptor;
use aws_sdk_xray::Client;
use aws_sdk_xray::config::{IdentityCache, Region, StalledStreamProtectionConfig};
use aws_sdk_xray::types::UnprocessedTraceSegment;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextRef,
    BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::interceptors::{
    Intercept, SharedInterceptor, disable_interceptor, dyn_dispatch_hint,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::{DispatchFailure, SdkError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::ErrorKind;
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::task_local;
use url::Url;

use super::client::{ATTEMPT_TIMEOUT, PostResult, USER_AGENT};
use super::credentials::CachedCredentials;
use super::error::AwsError;
use super::sdk_error::CallError;
use super::sdk_http::on_open_connections;
use crate::deadline::Deadline;
use crate::model::sampling::SamplingCall;

/// Client of X-Ray without retries.
#[derive(Clone, Debug)]
pub struct XRayApi {
    client: Client,
    credentials: CachedCredentials,
}

impl XRayApi {
    /// `endpoint` overrides the endpoint of the region.
    pub fn new(aws: &SdkConfig, region: &str, credentials: CachedCredentials, endpoint: Option<&Url>) -> Self {
        let mut config = aws_sdk_xray::config::Builder::from(aws)
            .region(Region::new(region.to_owned()))
            .credentials_provider(credentials.clone())
            .identity_cache(IdentityCache::no_cache())
            .retry_config(on_open_connections(RetryConfig::disabled()))
            // The caller limits the time of an attempt.
            .timeout_config(TimeoutConfig::disabled());
        config.push_interceptor(SharedInterceptor::permanent(ReadyBodyInterceptor));
        // The same limit covers stalled connections.
        config.set_stalled_stream_protection(Some(StalledStreamProtectionConfig::disabled()));
        if let Some(endpoint) = endpoint {
            config.set_endpoint_url(Some(endpoint.as_str().trim_end_matches('/').to_owned()));
        }
        Self { client: Client::from_conf(config.build()), credentials }
    }

    /// Calls PutTraceSegments with an encoded body. Returns the documents that X-Ray did not store.
    pub async fn put_trace_segments(
        &self,
        body: Bytes,
        deadline: &Deadline,
    ) -> Result<Vec<UnprocessedTraceSegment>, CallError> {
        // The request needs a list of documents, and sends the body instead.
        let call = || {
            READY_BODY.scope(
                body.clone(),
                self.client.put_trace_segments().set_trace_segment_documents(Some(Vec::new())).send(),
            )
        };
        let output = self.attempt(deadline, call).await?;
        Ok(output.unprocessed_trace_segments.unwrap_or_default())
    }

    /// Calls BatchGetTraces. Returns whether X-Ray has segments of the trace.
    pub async fn has_trace(&self, trace_id: &str, deadline: &Deadline) -> Result<bool, CallError> {
        let output = self.attempt(deadline, || self.client.batch_get_traces().trace_ids(trace_id).send()).await?;
        Ok(output.traces().iter().any(|trace| trace.id() == Some(trace_id)))
    }

    /// Makes a call of a sampler with its own body, and returns the body of the response.
    pub async fn sampling(&self, call: SamplingCall, body: Bytes, deadline: &Deadline) -> PostResult {
        let response = BodyRecorder::default();
        let result = match call {
            SamplingCall::Rules => {
                let call = || {
                    let call = self.client.get_sampling_rules().customize().mutate_request(replace_body(body.clone()));
                    call.interceptor(response.clone()).send()
                };
                self.attempt(deadline, call).await.map(drop)
            }
            SamplingCall::Targets => {
                let call = || {
                    let call = self.client.get_sampling_targets();
                    let call = call.set_sampling_statistics_documents(Some(Vec::new())).customize();
                    call.mutate_request(replace_body(body.clone())).interceptor(response.clone()).send()
                };
                self.attempt(deadline, call).await.map(drop)
            }
        };
        match result {
            Ok(()) => PostResult::Success { status: StatusCode::OK, headers: HeaderMap::new(), body: response.take() },
            Err(error) => error.into_post_result(),
        }
    }

    /// Makes one attempt; a second one, without a wait, if the connection turns out to be closed, or, with new credentials, if
    /// the signature has expired.
    async fn attempt<T, E, F>(&self, deadline: &Deadline, call: impl Fn() -> F) -> Result<T, CallError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let first = deadline.timeout(ATTEMPT_TIMEOUT, Box::pin(call())).await;
        let error = match first {
            Some(Ok(output)) => return Ok(output),
            None => return Err(AwsError::timeout().into()),
            Some(Err(error)) => error,
        };
        let failed = CallError::from(&error);
        if failed.error.kind.needs_new_signature() {
            self.credentials.discard();
        } else if !matches!(&error, SdkError::DispatchFailure(failure) if is_connection_closed(failure)) {
            return Err(failed);
        }
        let second = deadline.timeout(ATTEMPT_TIMEOUT, Box::pin(call())).await;
        second.ok_or_else(|| CallError::from(AwsError::timeout()))?.map_err(|error| CallError::from(&error))
    }
}

/// Whether the connection broke. It may have been closed while Lambda had the environment frozen, so the service may be
/// available. Because of the second attempt, each request may arrive twice.
fn is_connection_closed(failure: &DispatchFailure) -> bool {
    failure.is_io() || failure.as_other() == Some(ErrorKind::TransientError)
}

task_local! {
    /// Encoded body of the PutTraceSegments call that the task makes.
    static READY_BODY: Bytes;
}

/// Replaces the body of a PutTraceSegments call before it is signed. An interceptor of the client that is always enabled costs less than a
/// request hook, for which the SDK builds another configuration for each call.
///
/// It also disables the headers that describe the SDK, the call and its attempts: they take about a tenth of the instructions of a call.
#[derive(Debug)]
struct ReadyBodyInterceptor;

#[dyn_dispatch_hint]
impl Intercept for ReadyBodyInterceptor {
    fn name(&self) -> &'static str {
        "ReadyBodyInterceptor"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        const CAUSE: &str = "X-Ray does not use these headers";
        let state = config.interceptor_state();
        state.store_put(disable_interceptor::<UserAgentInterceptor>(CAUSE));
        state.store_put(disable_interceptor::<InvocationIdInterceptor>(CAUSE));
        state.store_put(disable_interceptor::<RequestInfoInterceptor>(CAUSE));
        Ok(())
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context.request_mut().headers_mut().insert("user-agent", USER_AGENT);
        // Other calls have no such body.
        if let Ok(body) = READY_BODY.try_with(Bytes::clone) {
            replace_body(body)(context.request_mut());
        }
        Ok(())
    }
}

/// Returns a hook that replaces the body of a request before it is signed.
fn replace_body(body: Bytes) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
    move |request| {
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = SdkBody::from(body.clone());
    }
}

/// Records the body of a response, which the SDK returns only as parsed fields.
#[derive(Clone, Debug, Default)]
struct BodyRecorder(Arc<Mutex<Bytes>>);

impl BodyRecorder {
    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[dyn_dispatch_hint]
impl Intercept for BodyRecorder {
    fn name(&self) -> &'static str {
        "BodyRecorder"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = Bytes::copy_from_slice(context.response().body().bytes().unwrap_or_default());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = body;
        Ok(())
    }
}
