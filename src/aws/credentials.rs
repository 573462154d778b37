//! Credentials of the function, or of a role that it assumes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_types::retry::RetryConfig;
use aws_types::region::Region;

use super::error::AwsError;
use super::sdk_http::on_open_connections;

/// Name of the sessions of assumed roles, which CloudTrail shows.
const SESSION_NAME: &str = "sidecarless";

/// Time before their expiry at which credentials are replaced: longer than a request with its retries takes.
const EXPIRY_MARGIN: Duration = Duration::from_secs(60);

/// Time for which credentials without an expiry are used. They are from variables, which do not change, or from files, which may.
const UNLIMITED_FOR: Duration = Duration::from_secs(60);

/// Role that is assumed for a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    pub arn: String,
    /// Secret that the trust policy of the role requires, if any.
    pub external_id: Option<String>,
}

/// Credentials that are cached until they expire or AWS rejects them.
#[derive(Clone, Debug)]
pub struct CachedCredentials(Arc<Cache>);

#[derive(Debug)]
struct Cache {
    source: Source,
    /// Clock of the SDK.
    aws: SdkConfig,
    cached: Mutex<Option<Cached>>,
}

#[derive(Debug)]
struct Cached {
    credentials: Credentials,
    /// Time at which they are loaded again.
    until: SystemTime,
}

#[derive(Debug)]
enum Source {
    Provider(SharedCredentialsProvider),
    Role { role: Role, region: String },
}

impl CachedCredentials {
    /// Returns the credentials of the function. `None` if there is no source of credentials.
    pub fn of_function(aws: &SdkConfig) -> Option<Self> {
        Some(Self::new(Source::Provider(aws.credentials_provider()?), aws))
    }

    /// Returns the credentials of a role, which the function assumes with its own. `region` is the region of the destination,
    /// whose STS endpoint is used.
    pub fn of_role(role: Role, region: &str, aws: &SdkConfig) -> Self {
        Self::new(Source::Role { role, region: region.to_owned() }, aws)
    }

    fn new(source: Source, aws: &SdkConfig) -> Self {
        Self(Arc::new(Cache { source, aws: aws.clone(), cached: Mutex::default() }))
    }

    /// Removes cached credentials, so that the next request is signed with new ones.
    pub fn discard(&self) {
        *self.0.cached.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Checks whether the credentials can be loaded.
    pub async fn check(&self) -> Result<(), AwsError> {
        self.load().await.map(drop).map_err(|error| AwsError::from_credentials(&error))
    }

    async fn load(&self) -> Result<Credentials, CredentialsError> {
        if let Some(cached) = self.0.valid() {
            return Ok(cached);
        }
        let loaded = match &self.0.source {
            Source::Provider(provider) => provider.provide_credentials().await?,
            Source::Role { role, region } => Box::pin(assume(role, region, &self.0.aws)).await?,
        };
        self.0.store(&loaded);
        Ok(loaded)
    }
}

impl Cache {
    fn valid(&self) -> Option<Credentials> {
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let Cached { credentials, until } = cached.as_ref()?;
        (self.aws.time_source()?.now() < *until).then(|| credentials.clone())
    }

    fn store(&self, credentials: &Credentials) {
        let Some(time) = self.aws.time_source() else { return };
        let until = match credentials.expiry() {
            Some(expiry) => expiry.checked_sub(EXPIRY_MARGIN).unwrap_or(expiry),
            None => time.now() + UNLIMITED_FOR,
        };
        let cached = Cached { credentials: credentials.clone(), until };
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = Some(cached);
    }
}

/// Calls AssumeRole once: the request that needs the credentials is retried.
async fn assume(role: &Role, region: &str, aws: &SdkConfig) -> Result<Credentials, CredentialsError> {
    let aws = aws.to_builder().retry_config(on_open_connections(RetryConfig::disabled())).build();
    let mut provider = AssumeRoleProvider::builder(&role.arn)
        .session_name(SESSION_NAME)
        .region(Region::new(region.to_owned()))
        .configure(&aws);
    if let Some(external_id) = &role.external_id {
        provider = provider.external_id(external_id);
    }
    provider.build().await.provide_credentials().await
}

impl ProvideCredentials for CachedCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use aws_types::sdk_config::TimeSource;

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Clock(Arc<AtomicU64>);

    impl TimeSource for Clock {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::Relaxed))
        }
    }

    #[derive(Debug, Default)]
    struct CountingProvider {
        calls: Arc<AtomicU64>,
        expiry: Option<SystemTime>,
    }

    impl ProvideCredentials for CountingProvider {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            self.calls.fetch_add(1, Ordering::Relaxed);
            future::ProvideCredentials::ready(Ok(Credentials::new("key", "secret", None, self.expiry, "test")))
        }
    }

    #[tokio::test]
    async fn credentials_are_loaded_again_when_they_are_old_or_discarded() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        // Without an expiry they are used for 60 s; otherwise until 60 s before it.
        for (expiry, last_use, first_reload) in [(None, 59, 60), (Some(at(300)), 239, 240)] {
            let (clock, calls) = (Clock::default(), Arc::<AtomicU64>::default());
            let provider = CountingProvider { calls: Arc::clone(&calls), expiry };
            let aws = SdkConfig::builder()
                .credentials_provider(SharedCredentialsProvider::new(provider))
                .time_source(clock.clone())
                .build();
            let credentials = CachedCredentials::of_function(&aws).expect("a provider");
            for (seconds, expected) in [(0, 1), (last_use, 1), (first_reload, 2)] {
                clock.0.store(seconds, Ordering::Relaxed);
                credentials.check().await.expect("credentials");
                assert_eq!(calls.load(Ordering::Relaxed), expected, "{expiry:?} at {seconds} s");
            }
            clock.0.store(0, Ordering::Relaxed);
            credentials.discard();
            credentials.check().await.expect("credentials");
            assert_eq!(calls.load(Ordering::Relaxed), 3, "{expiry:?} after discarding them");
        }
    }
}
