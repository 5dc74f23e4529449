//! Writing results to standard output.

use std::io;

use harness::error::Error;

/// Whether the output was written. A closed pipe, such as that of `head`, is not an error.
///
/// # Errors
/// Any other error: the output is incomplete.
pub(super) fn written(written: io::Result<()>) -> Result<bool, Error> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::environment(
            format!("standard output cannot be written to: {error}"),
            "check the free space, or redirect the output elsewhere",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_not_an_error_but_a_full_disk_is() {
        let failed = |kind: io::ErrorKind| written(Err(kind.into()));
        assert!(written(Ok(())).unwrap());
        assert!(!failed(io::ErrorKind::BrokenPipe).unwrap());
        let error = failed(io::ErrorKind::StorageFull).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("standard output cannot be written to"));
    }
}
