//! Arguments of `sidecarless query`.

use lexopt::{Arg, Parser, ValueExt as _};

use crate::output::OutputFormat;
use crate::usage::UsageError;

/// The query, and where it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueryOptions {
    pub(super) promql: String,
    /// ID or ARN.
    pub(super) workspace: Option<String>,
    /// URL of the workspace, or of one of its APIs.
    pub(super) url: Option<String>,
    pub(super) region: Option<String>,
    pub(super) format: OutputFormat,
}

impl QueryOptions {
    pub(crate) fn parse(mut parser: Parser) -> Result<Self, UsageError> {
        let (mut promql, mut workspace, mut url, mut region) = (None, None, None, None);
        let mut format = OutputFormat::Table;
        while let Some(argument) = parser.next()? {
            let target = match argument {
                Arg::Long("json") => {
                    format = OutputFormat::Json;
                    continue;
                }
                Arg::Long("workspace") => &mut workspace,
                Arg::Long("url") => &mut url,
                Arg::Long("region") => &mut region,
                Arg::Value(query) if promql.is_none() => {
                    promql = Some(query.string()?);
                    continue;
                }
                other => return Err(other.unexpected().into()),
            };
            *target = Some(parser.value()?.string()?);
        }
        let promql = promql.filter(|query| !query.trim().is_empty()).ok_or(UsageError::MissingFile("PROMQL"))?;
        Ok(Self { promql, workspace, url, region, format })
    }
}
