//! Repeats the engine calls of faults. A loaded engine fails a call now and then, which says nothing about the mesh.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::error::Error;

/// Time between a failed call and its repetition.
const PAUSE: Duration = Duration::from_millis(200);

/// Makes engine calls that may be repeated without harm. Each one that fails is repeated once, and reported.
#[derive(Debug, Clone)]
pub struct Retry {
    /// One line for each repeated call. Unbounded, because a schedule has a bounded number of calls.
    repeated: UnboundedSender<String>,
}

impl Retry {
    /// Calls are reported to `repeated`.
    pub fn new(repeated: UnboundedSender<String>) -> Self {
        Self { repeated }
    }

    /// The result of `call`, repeated once if the engine fails. A failed check is not repeated.
    ///
    /// # Errors
    /// Those of the last call.
    pub(super) async fn once<T>(&self, mut call: impl AsyncFnMut() -> Result<T, Error>) -> Result<T, Error> {
        let first = call().await;
        if self.is_due(&first).await {
            call().await
        } else {
            first
        }
    }

    /// Whether the call with the result `first` is to be repeated. If so, reports it and waits a moment.
    pub(super) async fn is_due<T>(&self, first: &Result<T, Error>) -> bool {
        let Err(Error::Environment { what, .. }) = first else {
            return false;
        };
        // An error is ignored: nobody listens any more.
        let _ = self
            .repeated
            .send(format!("repeated, because it failed once: {what}"));
        tokio::time::sleep(PAUSE).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls that fail with `errors` and then succeed. Returns the result, the number of calls and the reports.
    async fn outcome(errors: Vec<Error>) -> (Result<&'static str, String>, usize, Vec<String>) {
        let (repeated, mut lines) = tokio::sync::mpsc::unbounded_channel();
        let (mut errors, mut calls) = (errors.into_iter(), 0);
        let call = async || {
            calls += 1;
            errors.next().map_or(Ok("done"), Err)
        };
        let result = Retry::new(repeated).once(call).await;
        let mut reports = Vec::new();
        while let Ok(line) = lines.try_recv() {
            reports.push(line);
        }
        (result.map_err(|error| error.to_string()), calls, reports)
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_fails_once_is_repeated_and_reported() {
        let engine = |what: &str| Error::environment(what, "advice");
        let report = "repeated, because it failed once: first".to_owned();
        assert_eq!(outcome(vec![]).await, (Ok("done"), 1, vec![]));
        assert_eq!(
            outcome(vec![engine("first")]).await,
            (Ok("done"), 2, vec![report.clone()])
        );

        let (result, calls, reports) = outcome(vec![engine("first"), engine("second")]).await;
        assert!(result.unwrap_err().contains("second"));
        assert_eq!((calls, reports), (2, vec![report]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_check_and_an_interrupt_are_not_repeated() {
        for error in [Error::unmet("up", "down"), Error::Interrupted] {
            let (result, calls, reports) = outcome(vec![error]).await;
            assert!(result.is_err());
            assert_eq!((calls, reports), (1, vec![]));
        }
    }
}
