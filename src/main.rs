//! The Lambda function: reads the settings, creates the clients, then processes invocations.

// The futures of the AWS SDK are nested deeper than the default limit of 128.
#![recursion_limit = "256"]

use std::alloc::System;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use cap::Cap;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use sidecarless::aws::certificates::RootCertificates;
use sidecarless::aws::clients;
use sidecarless::deadline::Deadline;
use sidecarless::handlers::{Handlers, settings_sources};
use sidecarless::lambda::Event;
use sidecarless::log;
use sidecarless::model::shortened::shortened;
use sidecarless::settings::Settings;
use sidecarless::work_budget::MemoryLimit;

/// Counts the allocated bytes, so that work which would exceed the memory size is refused.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Set by the Lambda service, and by its emulators.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

const NOT_IN_LAMBDA: &str = "sidecarless-function: AWS_LAMBDA_RUNTIME_API is not set: this binary runs only in AWS Lambda, \
                             use the command line `sidecarless` instead\n";

#[tokio::main(flavor = "local")]
async fn main() -> ExitCode {
    let variables = environment();
    let in_lambda = variables.iter().any(|(name, _)| name == RUNTIME_API);
    if !in_lambda {
        // A write error cannot be reported elsewhere.
        let _ = std::io::stderr().write_all(NOT_IN_LAMBDA.as_bytes());
        return ExitCode::from(2);
    }
    // The runtime wakes its first future with a system call, and a task without one.
    let served = tokio::task::spawn_local(serve(variables)).await;
    match served.unwrap_or_else(|error| Err(error.into())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = error.to_string(), "the function cannot start");
            ExitCode::FAILURE
        }
    }
}

async fn serve(variables: Vec<(String, String)>) -> Result<(), Error> {
    let http = clients::http(RootCertificates::of_variables(&variables))?;
    let sources = settings_sources(variables, &http).await;
    log::init(sources.variables(), log::LogOutput::Stdout);
    let settings = Settings::from_sources(sources)?;
    let memory = MemoryLimit::new(|| ALLOCATOR.allocated(), settings.memory_mb);
    let handlers = Arc::new(Handlers::from_environment(settings, memory, &http).await?);
    let handler = |event: LambdaEvent<Event>| {
        let handlers = Arc::clone(&handlers);
        async move {
            let deadline = Deadline::from_epoch_ms(event.context.deadline);
            let event = event.payload.invoked_as(&event.context.invoked_function_arn);
            // The layers of the runtime move this future, of 4 kB without a box, sixteen times.
            let response = Box::pin(handlers.handle(event, &deadline)).await;
            log::end_invocation();
            // Errors of parsers quote their input.
            let response = response.map_err(|error| shortened(&error))?;
            Ok::<_, Error>(response.into_json())
        }
    };
    lambda_runtime::run(service_fn(handler)).await
}

/// Reads the environment. The library receives the variables as arguments. A setting that is not UTF-8 is an error of the settings.
#[expect(clippy::disallowed_methods, reason = "the settings are parsed from these variables")]
fn environment() -> Vec<(String, String)> {
    let text = |text: std::ffi::OsString| text.into_string().unwrap_or_else(|text| text.to_string_lossy().into_owned());
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}
