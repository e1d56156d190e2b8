//! Whether and when a failed attempt is made again. Pure: the clock, the jitter and the waiting are the caller's.

use core::num::IntErrorKind;

use crate::wire::classify::Remedy;

/// How often and how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Attempts after the first one.
    pub max_retries: u32,
    /// The first wait, doubled by every further one.
    pub initial_backoff_ms: u32,
    /// The longest wait.
    pub max_backoff_ms: u32,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Try again after so many ms.
    Wait(u32),
    /// Try again at once, with a fresh token.
    RefreshToken,
    /// Report the error; the server asked for so many ms.
    GiveUp(Option<u32>),
}

/// The attempts of one operation so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempts {
    /// Failed ones that used up a retry.
    pub spent: u32,
    /// Whether a refused token was replaced already.
    pub refreshed: bool,
}

impl Policy {
    /// Decides after an attempt failed. `asked_ms` is what the server asked to wait, `can_refresh` says whether there is
    /// somebody to ask for another token, `jitter` is a random number in `0.0..1.0`.
    pub fn decide(
        &self,
        attempts: &mut Attempts,
        remedy: Remedy,
        asked_ms: Option<u32>,
        can_refresh: bool,
        jitter: f64,
    ) -> Decision {
        match remedy {
            Remedy::None => Decision::GiveUp(None),
            Remedy::FreshToken if can_refresh && !attempts.refreshed => {
                attempts.refreshed = true;
                Decision::RefreshToken
            }
            Remedy::FreshToken => Decision::GiveUp(None),
            Remedy::Wait => {
                if attempts.spent >= self.max_retries || asked_ms.is_some_and(|ms| ms > self.max_backoff_ms) {
                    return Decision::GiveUp(asked_ms);
                }
                let wait = asked_ms.unwrap_or_else(|| self.backoff_ms(attempts.spent, jitter));
                attempts.spent += 1;
                Decision::Wait(wait)
            }
        }
    }

    /// The wait after `spent` earlier ones: doubled and capped, of which jitter takes up to a half off.
    pub fn backoff_ms(&self, spent: u32, jitter: f64) -> u32 {
        let doubled = u64::from(self.initial_backoff_ms) << spent.min(31);
        let capped = doubled.min(self.max_backoff_ms.into());
        (capped as f64 * (1.0 - 0.5 * jitter)) as u32
    }
}

/// What a `Retry-After` of seconds or of a date (RFC 9110, 10.2.3) asks for, in ms. `parse_date` gives ms since 1970. A
/// date is measured against the answer's own `Date` where there is one, so that a wrong clock here does no harm. Anything
/// else counts as not given.
pub fn retry_after_ms(
    value: &str,
    date: Option<&str>,
    now_ms: i64,
    parse_date: impl Fn(&str) -> Option<i64>,
) -> Option<u32> {
    let value = value.trim();
    if value.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return match value.parse::<u32>() {
            Ok(seconds) => Some(seconds.saturating_mul(1000)),
            Err(fault) => (*fault.kind() == IntErrorKind::PosOverflow).then_some(u32::MAX),
        };
    }
    let until = parse_date(value)?;
    let wait_ms = until.saturating_sub(date.and_then(parse_date).unwrap_or(now_ms)).max(0);
    Some(u32::try_from(wait_ms).unwrap_or(u32::MAX))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    pub(crate) use crate::stand_in::parse_date;

    const POLICY: Policy = Policy { max_retries: 3, initial_backoff_ms: 1000, max_backoff_ms: 3000 };

    fn decide(remedy: Remedy, asked_ms: Option<u32>, jitter: f64) -> Decision {
        POLICY.decide(&mut Attempts::default(), remedy, asked_ms, true, jitter)
    }

    #[test]
    fn waits_double_up_to_the_longest_and_then_it_gives_up() {
        let mut attempts = Attempts::default();
        let decisions: Vec<_> = (0..4).map(|_| POLICY.decide(&mut attempts, Remedy::Wait, None, true, 0.0)).collect();
        let wanted = [Decision::Wait(1000), Decision::Wait(2000), Decision::Wait(3000), Decision::GiveUp(None)];
        assert_eq!(decisions, wanted);
        assert_eq!(decide(Remedy::Wait, None, 1.0), Decision::Wait(500), "jitter takes up to a half off");
    }

    #[test]
    fn a_retry_after_is_obeyed_to_the_letter() {
        for (asked_ms, wanted) in [
            (0, Decision::Wait(0)),
            (3000, Decision::Wait(3000)),
            (3001, Decision::GiveUp(Some(3001))),
            (u32::MAX, Decision::GiveUp(Some(u32::MAX))),
        ] {
            assert_eq!(decide(Remedy::Wait, Some(asked_ms), 0.5), wanted);
        }
    }

    #[test]
    fn a_retry_after_is_seconds_or_a_date() {
        let now = parse_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (value, date, wanted) in [
            ("2", None, Some(2000)),
            (" 0 ", None, Some(0)),
            ("4294967295", None, Some(u32::MAX)),
            ("4294967296", None, Some(u32::MAX)),
            ("99999999999999999999999", None, Some(u32::MAX)),
            ("9 o'clock", None, None),
            ("Sun, 06 Nov 1994 08:49:39 GMT", None, Some(2000)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", None, Some(0)),
            ("Sun, 06 Nov 1994 09:49:38 GMT", Some("Sun, 06 Nov 1994 09:49:37 GMT"), Some(1000)),
            ("Wed, 06 Nov 2052 09:49:38 GMT", None, Some(u32::MAX)),
            ("soon", None, None),
            ("", None, None),
            ("-1", None, None),
            ("1.5", None, None),
        ] {
            assert_eq!(retry_after_ms(value, date, now, parse_date), wanted, "{value} {date:?}");
        }
    }

    #[test]
    fn a_refused_token_is_replaced_once() {
        let mut attempts = Attempts::default();
        let mut decide = |can_refresh| POLICY.decide(&mut attempts, Remedy::FreshToken, None, can_refresh, 0.0);
        assert_eq!(decide(false), Decision::GiveUp(None));
        assert_eq!(decide(true), Decision::RefreshToken);
        assert_eq!(decide(true), Decision::GiveUp(None));
    }

    #[test]
    fn what_is_final_is_not_tried_again() {
        assert_eq!(decide(Remedy::None, None, 0.0), Decision::GiveUp(None));
    }
}
