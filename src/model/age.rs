//! Age by the wall clock, which can step back between two invocations.

/// Returns whether something that happened at `at_ms` is younger than `limit_ms`. Nothing can happen in the future: a time that is
/// further ahead than the limit was read before the clock stepped back, and counts as old. Otherwise it would stay young for as long as the
/// step.
pub(crate) fn is_younger(at_ms: i64, limit_ms: i64, now_ms: i64) -> bool {
    i64::try_from(now_ms.abs_diff(at_ms)).is_ok_and(|age_ms| age_ms < limit_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_is_far_ahead_is_old() {
        for (now_ms, expected) in [
            (100_000, true),
            (109_999, true),
            (110_000, false),
            (i64::MAX, false),
            (90_001, true),
            (90_000, false),
            (0, false),
            (i64::MIN, false),
        ] {
            assert_eq!(is_younger(100_000, 10_000, now_ms), expected, "{now_ms}");
        }
    }
}
