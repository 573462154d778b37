//! Cold start: settings, clients, pipeline, and then Lambda's invocations, or the command line outside of Lambda.

use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use sidecarless::deadline::Deadline;
use sidecarless::handlers::Pipeline;
use sidecarless::lambda::Event;
use sidecarless::settings::Settings;
use sidecarless::{cli, log};

/// Set by the Lambda service, and by its emulators.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let variables = environment();
    let in_lambda = variables.iter().any(|(name, _)| name == RUNTIME_API);
    if !in_lambda {
        return cli::run(std::env::args().skip(1), variables).await;
    }
    match serve(variables).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = error.to_string(), "the function cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(variables: Vec<(String, String)>) -> Result<(), Error> {
    log::init(&variables, log::LogOutput::Stdout);
    let settings = Settings::read(variables)?;
    let pipeline = Arc::new(Pipeline::from_environment(settings).await?);
    let handler = |event: LambdaEvent<Event>| {
        let pipeline = Arc::clone(&pipeline);
        async move {
            let deadline = Deadline::from_epoch_ms(event.context.deadline);
            let reply = pipeline.handle(event.payload, &deadline).await?;
            Ok::<_, Error>(reply.into_json())
        }
    };
    lambda_runtime::run(service_fn(handler)).await
}

/// The one place that reads the environment.
#[expect(clippy::disallowed_methods, reason = "settings are read from what is collected here")]
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
