//! `sidecarless targets`: lists running tasks with the filter rule, source and address of each.

use std::collections::BTreeMap;

use sidecarless::handlers::{TargetList, TargetRow};

use crate::error::CommandError;
use crate::function;
use crate::output::{CommandOutput, OutputFormat};

const HEADER: [&str; 9] = ["CLUSTER", "SERVICE", "FAMILY", "TASK", "STATUS", "SOURCE", "ENDPOINT", "INCLUDED", "RULE"];

/// Lists the tasks. The result is incomplete if an API call failed or a declared endpoint cannot be scraped.
pub(crate) async fn run(format: OutputFormat, variables: Vec<(String, String)>) -> Result<CommandOutput, CommandError> {
    let handlers = function::handlers(variables).await?;
    let list = handlers.targets(&function::deadline()).await;
    let text = match format {
        OutputFormat::Table => table(&list),
        OutputFormat::Json => {
            let json = serde_json::to_string_pretty(&list).map_err(|error| CommandError::Function(error.into()))?;
            json + "\n"
        }
    };
    Ok(CommandOutput::new(text, list.is_ok()))
}

/// Formats tasks as text columns, each as wide as its widest cell.
fn table(list: &TargetList) -> String {
    let mut rows = vec![HEADER.map(str::to_owned)];
    rows.extend(list.targets.iter().map(cells));
    let mut widths = [0; 9];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let padded: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    for reason in reasons(list) {
        text.push_str(&reason);
        text.push('\n');
    }
    for error in &list.errors {
        text.push_str(&format!("error: {error}\n"));
    }
    text
}

/// Returns one line for each reason why tasks have no source, with the number of these tasks and the next step.
fn reasons(list: &TargetList) -> Vec<String> {
    let mut tasks = BTreeMap::<(&str, &str), usize>::new();
    for target in &list.targets {
        if let Some(reason) = target.reason.as_deref().zip(target.next_step.as_deref()) {
            *tasks.entry(reason).or_default() += 1;
        }
    }
    let line = |((reason, next_step), tasks)| {
        format!("source none: {tasks} tasks have no container statistics: {reason}\n  next step: {next_step}")
    };
    tasks.into_iter().map(line).collect()
}

fn cells(target: &TargetRow) -> [String; 9] {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let stats = match (&target.address, target.port) {
        (Some(address), Some(port)) => Some(format!("{address}:{port}{}", target.path.as_deref().unwrap_or_default())),
        _ => None,
    };
    let errors = target.errors.iter().map(|error| format!("not scraped: {error}"));
    let endpoints: Vec<String> = errors.chain(stats).chain(target.prometheus_endpoints.iter().cloned()).collect();
    [
        or_dash(&target.cluster),
        or_dash(&target.service),
        or_dash(&target.family),
        or_dash(&target.task),
        or_dash(&target.status),
        or_dash(target.source),
        or_dash(&endpoints.join(", ")),
        if target.included { "yes" } else { "no" }.into(),
        or_dash(&target.rule),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let target = |task: &str, included: bool, error: Option<&str>| TargetRow {
            cluster: "shop".into(),
            family: "cart".into(),
            task: task.into(),
            status: "RUNNING".into(),
            source: if included { "endpoint" } else { "" },
            included,
            rule: if included { "all tasks" } else { "!family=cart" }.into(),
            address: (included && error.is_none()).then(|| "10.0.0.9".into()),
            port: included.then_some(9000),
            errors: error.map(Into::into).into_iter().collect(),
            prometheus_endpoints: if task == "5f0e" { vec!["10.0.0.9:9404/metrics".into()] } else { Vec::new() },
            ..TargetRow::default()
        };
        let mut list = TargetList {
            targets: vec![target("5f0e", true, None), target("77", false, None), target("8", true, Some("no route"))],
            errors: vec!["ListTasks failed for bank: AccessDenied".into()],
        };
        list.targets[1].reason = Some("no label".into());
        list.targets[1].next_step = Some("add it".into());
        let expected = "\
CLUSTER  SERVICE  FAMILY  TASK  STATUS   SOURCE    ENDPOINT                              INCLUDED  RULE
shop     -        cart    5f0e  RUNNING  endpoint  10.0.0.9:9000, 10.0.0.9:9404/metrics  yes       all tasks
shop     -        cart    77    RUNNING  -         -                                     no        !family=cart
shop     -        cart    8     RUNNING  endpoint  not scraped: no route                 yes       all tasks
source none: 1 tasks have no container statistics: no label
  next step: add it
error: ListTasks failed for bank: AccessDenied
";
        assert_eq!(table(&list), expected);
        assert!(!list.is_ok());
    }
}
