//! Polls a condition until a deadline; the error has what was missing.

use std::time::Duration;

use tokio::time::Instant;

/// A condition that did not hold in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not within {limit:?}: {}", missing.join("; "))]
pub struct Expired {
    /// The timeout.
    pub limit: Duration,
    /// What was missing at the last attempt.
    pub missing: Vec<String>,
}

/// Calls `attempt` every `period` until it succeeds, and passes the error of each failed attempt to `missing`. An
/// attempt that is still running at the deadline is dropped.
///
/// # Errors
/// No attempt succeeded within `limit`: the error of the last complete attempt.
pub async fn until<T, A>(
    limit: Duration,
    period: Duration,
    mut attempt: A,
    mut missing: impl FnMut(&[String]),
) -> Result<T, Expired>
where
    A: AsyncFnMut() -> Result<T, Vec<String>>,
{
    let deadline = Instant::now() + limit;
    let mut last = vec!["the first attempt did not end".to_owned()];
    loop {
        match tokio::time::timeout_at(deadline, attempt()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(lacking)) => {
                missing(&lacking);
                last = lacking;
            }
            Err(_) => return Err(Expired { limit, missing: last }),
        }
        if Instant::now() + period >= deadline {
            return Err(Expired { limit, missing: last });
        }
        tokio::time::sleep(period).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_as_soon_as_the_condition_holds() {
        let mut attempts = 0;
        let mut heard = Vec::new();
        let start = Instant::now();
        let result = until(
            10 * SECOND,
            SECOND,
            async || {
                attempts += 1;
                if attempts == 3 {
                    Ok("there")
                } else {
                    Err(vec![format!("{attempts}/3")])
                }
            },
            |missing| heard.push(missing.join(";")),
        )
        .await;
        assert_eq!(result, Ok("there"));
        assert_eq!(heard, ["1/3", "2/3"]);
        assert_eq!(start.elapsed(), 2 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_wait_reports_what_was_missing_last() {
        let mut attempts = 0;
        let attempt = async || {
            attempts += 1;
            Err::<(), _>(vec![format!("lacking after {attempts}")])
        };
        let expired = until(3 * SECOND, SECOND, attempt, |_| {}).await.unwrap_err();
        assert_eq!(expired.missing, ["lacking after 3"]);
        assert_eq!(expired.to_string(), "not within 3s: lacking after 3");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_hangs_is_dropped_at_the_deadline() {
        let start = Instant::now();
        let expired = until(SECOND, SECOND, std::future::pending::<Result<(), _>>, |_| {}).await;
        assert!(expired.is_err());
        assert_eq!(start.elapsed(), SECOND);
    }
}
