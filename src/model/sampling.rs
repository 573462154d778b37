//! The calls of X-Ray's remote samplers, which are passed on to X-Ray (AWS X-Ray API Reference).

/// One of the two calls that samplers make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplingCall {
    /// GetSamplingRules.
    Rules,
    /// GetSamplingTargets.
    Targets,
}

impl SamplingCall {
    /// Its path at X-Ray, and so here.
    pub const fn path(self) -> &'static str {
        match self {
            SamplingCall::Rules => "/GetSamplingRules",
            SamplingCall::Targets => "/SamplingTargets",
        }
    }
}
