//! API calls of X-Ray remote samplers, which are forwarded to X-Ray (AWS X-Ray API Reference).

/// API call of a remote sampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplingCall {
    /// GetSamplingRules.
    Rules,
    /// GetSamplingTargets.
    Targets,
}

impl SamplingCall {
    /// Returns the path, which is the same in X-Ray and in this function.
    pub const fn path(self) -> &'static str {
        match self {
            SamplingCall::Rules => "/GetSamplingRules",
            SamplingCall::Targets => "/SamplingTargets",
        }
    }
}
