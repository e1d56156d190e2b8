//! Whether and when a failed attempt is made again. Pure: the clock, the dice and the waiting are the caller's.

use std::time::{Duration, UNIX_EPOCH};

use crate::refusal::{Refusal, Remedy};

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
    /// Decides after an attempt failed. `can_refresh` says whether there is somebody to ask for a token, `now_ms` is
    /// the time since the epoch, `dice` is a random number in `0.0..1.0`.
    pub fn decide(
        &self,
        attempts: &mut Attempts,
        refusal: &Refusal,
        can_refresh: bool,
        now_ms: f64,
        dice: f64,
    ) -> Decision {
        match refusal.remedy {
            Remedy::None => Decision::GiveUp(None),
            Remedy::FreshToken if can_refresh && !attempts.refreshed => {
                attempts.refreshed = true;
                Decision::RefreshToken
            }
            Remedy::FreshToken => Decision::GiveUp(None),
            Remedy::Wait => {
                let asked = refusal
                    .retry_after
                    .as_ref()
                    .and_then(|(retry_after, date)| retry_after_ms(retry_after, date.as_deref(), now_ms));
                if attempts.spent >= self.max_retries || asked.is_some_and(|ms| ms > self.max_backoff_ms) {
                    return Decision::GiveUp(asked);
                }
                let wait = asked.unwrap_or_else(|| self.backoff_ms(attempts.spent, dice));
                attempts.spent += 1;
                Decision::Wait(wait)
            }
        }
    }

    /// The doubled and capped wait, of which the dice take up to a half off.
    fn backoff_ms(&self, spent: u32, dice: f64) -> u32 {
        let doubled = f64::from(self.initial_backoff_ms) * 2f64.powi(spent.min(31) as i32);
        let capped = doubled.min(f64::from(self.max_backoff_ms));
        (capped * (1.0 - 0.5 * dice)) as u32
    }
}

/// A `Retry-After` of seconds or of a date (RFC 9110, 10.2.3). A date is measured against the answer's own `Date`
/// where there is one, so that a wrong clock here does no harm. Anything else counts as not given.
fn retry_after_ms(value: &str, date: Option<&str>, now_ms: f64) -> Option<u32> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(seconds.saturating_mul(1000));
    }
    let until = epoch(value)?;
    let now = date
        .and_then(epoch)
        .unwrap_or(Duration::from_millis(now_ms.max(0.0) as u64));
    Some(u32::try_from(until.saturating_sub(now).as_millis()).unwrap_or(u32::MAX))
}

fn epoch(date: &str) -> Option<Duration> {
    httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Stage;
    use crate::http::{Failure, Response};
    use crate::refusal::{of_failure, of_response};

    const POLICY: Policy = Policy {
        max_retries: 3,
        initial_backoff_ms: 1000,
        max_backoff_ms: 3000,
    };

    fn busy(retry_after: &str, date: Option<&str>) -> Refusal {
        let mut headers = vec![("retry-after", retry_after.to_owned())];
        headers.extend(date.map(|date| ("date", date.to_owned())));
        of_response(
            Stage::Upload,
            &Response {
                status: 503,
                headers,
                body: String::new(),
            },
        )
    }

    fn decide(attempts: &mut Attempts, refusal: &Refusal, dice: f64) -> Decision {
        POLICY.decide(attempts, refusal, true, 784_111_777_000.0, dice)
    }

    #[test]
    fn waits_double_up_to_the_longest_and_then_it_gives_up() {
        let mut attempts = Attempts::default();
        let cut = of_failure(Stage::Upload, Failure::Timeout);
        let decisions: Vec<_> = (0..4).map(|_| decide(&mut attempts, &cut, 0.0)).collect();
        let wanted = [
            Decision::Wait(1000),
            Decision::Wait(2000),
            Decision::Wait(3000),
            Decision::GiveUp(None),
        ];
        assert_eq!(decisions, wanted);
        assert_eq!(
            decide(&mut Attempts::default(), &cut, 1.0),
            Decision::Wait(500),
            "the dice take up to a half off"
        );
    }

    #[test]
    fn a_retry_after_is_obeyed_to_the_letter() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT"; // 784,111,777 s
        for (value, now, wanted) in [
            ("2", None, Decision::Wait(2000)),
            (" 0 ", None, Decision::Wait(0)),
            ("Sun, 06 Nov 1994 08:49:39 GMT", None, Decision::Wait(2000)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", None, Decision::Wait(0)),
            (
                "Sun, 06 Nov 1994 09:49:38 GMT",
                Some("Sun, 06 Nov 1994 09:49:37 GMT"),
                Decision::Wait(1000),
            ),
            ("4", None, Decision::GiveUp(Some(4000))),
            ("4294967295", None, Decision::GiveUp(Some(u32::MAX))),
            ("soon", None, Decision::Wait(750)),
            ("-1", None, Decision::Wait(750)),
            ("1.5", None, Decision::Wait(750)),
        ] {
            assert_eq!(
                decide(&mut Attempts::default(), &busy(value, now), 0.5),
                wanted,
                "{value} {now:?}"
            );
        }
        assert_eq!(epoch(date), Some(Duration::from_secs(784_111_777)));
    }

    #[test]
    fn a_refused_token_is_replaced_once() {
        let refused = of_response(
            Stage::Insert,
            &Response {
                status: 401,
                ..Response::default()
            },
        );
        let mut attempts = Attempts::default();
        assert_eq!(decide(&mut attempts, &refused, 0.0), Decision::RefreshToken);
        assert_eq!(decide(&mut attempts, &refused, 0.0), Decision::GiveUp(None));
        assert_eq!(
            POLICY.decide(&mut Attempts::default(), &refused, false, 0.0, 0.0),
            Decision::GiveUp(None)
        );
    }

    #[test]
    fn what_is_final_is_not_tried_again() {
        let refused = of_response(
            Stage::Insert,
            &Response {
                status: 400,
                ..Response::default()
            },
        );
        assert_eq!(decide(&mut Attempts::default(), &refused, 0.0), Decision::GiveUp(None));
    }
}
