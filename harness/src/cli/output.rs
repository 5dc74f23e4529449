//! What a command is asked for, on standard output.

use std::io;

use harness::error::Error;

/// Whether what was written has a reader. One that has gone, for instance `head`, has read enough.
///
/// # Errors
/// It could not be written for any other reason: what is there then is not all of it.
pub(super) fn wanted(written: io::Result<()>) -> Result<bool, Error> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::environment(
            format!("standard output cannot be written to: {error}"),
            "make room where it goes, or let it go elsewhere",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_may_go_but_nothing_else_may_be_in_the_way() {
        let written = |kind: io::ErrorKind| wanted(Err(kind.into()));
        assert!(wanted(Ok(())).unwrap());
        assert!(!written(io::ErrorKind::BrokenPipe).unwrap());
        let error = written(io::ErrorKind::StorageFull).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("standard output cannot be written to"));
    }
}
