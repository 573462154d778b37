//! Text of `--help`.

use sidecarless::settings;

const USAGE: &str = "\
sidecarless: OpenTelemetry metrics and traces for Amazon ECS without sidecars

Usage:
  sidecarless invoke EVENT.json     process one Lambda event and print the response (`-` reads stdin)
  sidecarless targets [--json]      list running tasks with the filter rule, source and address of each
  sidecarless check [--json]        test credentials, clock, permissions and connectivity; print a fix for each failure
  sidecarless redrive [--list]      move readable messages from the dead-letter queue to the spool; --list is a dry run
  sidecarless estimate [OPTIONS]    compare the monthly cost of sidecars and of sidecarless
  sidecarless migrate TASKDEF.json [ADOT.yaml]
                                    remove the collector from a task definition; print the settings that replace it
  sidecarless push-stats [--once | --health-check | --interval S]
                                    send the stats of the ECS task that this runs in: every S seconds (60), or once; a health
                                    check always succeeds. Needs SIDECARLESS_URL, and SIDECARLESS_TOKEN unless the task
                                    role signs (Ingress=url-iam, lattice)
  sidecarless query PROMQL [--workspace ID | --url URL] [--region REGION] [--json]
                                    instant query of the AMP workspace, with your credentials (aps:QueryMetrics). Without an option, of
                                    AWS_PROMETHEUS_ENDPOINT
  sidecarless token                 generate a bearer token, its hash and the client header
  sidecarless --help                print this text
  sidecarless --version             print the version

Options of estimate (the default is in parentheses):
  --tasks N          number of tasks, instead of the running tasks of the account
  --containers N     containers in each task, with --tasks (2)
  --push             the tasks push their stats, with --tasks
  --services N       services without a stats source, with --tasks (0)
  --discovery-names N
                     discovery names of Service Connect that are read from CloudWatch, with --tasks (0)
  --cloudwatch-interval MIN
                     minutes between reads of their CloudWatch metrics (SIDECARLESS_CLOUDWATCH_INTERVAL)
  --spans N          spans per second from each task (1)
  --batch S          seconds between requests with spans from a task, OTEL_BSP_SCHEDULE_DELAY (15)
  --points N         data points per minute from each task (100)
  --metrics-to LIST  destinations of the data points: amp, cloudwatch or amp,cloudwatch (SIDECARLESS_METRICS_TO)
  --point-bytes N    size of a data point with its resource, which CloudWatch bills (1000)
  --self-metrics LIST
                     destinations of the metrics about the function: amp, emf, amp,emf or off (SIDECARLESS_SELF_METRICS)
  --samplers N       processes with an X-Ray remote sampler in each task (0)
  --interval S       seconds between scrapes, or between pushes of stats (60)
  --memory MB        memory of the function (512)
  --sidecar CPU/MB   reservation of the sidecar (256/512)
  --arch ARCH        arm64 or x86_64 (x86_64 for tasks without a declared architecture, arm64 for the function)
  --json             print JSON

Exit codes: 0 success, 1 incomplete result or failed check, 2 invalid usage or the command cannot run.
The commands use the settings below and the AWS credentials of the environment.

Settings (environment variables):
";

/// Returns the usage and the settings reference.
pub(crate) fn text() -> String {
    format!("{USAGE}{}", settings::reference())
}
