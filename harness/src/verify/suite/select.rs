//! Selects the scenarios that run. Pure.

use super::{Requirements, Scenario};
use crate::error::Error;

/// The scenarios whose names contain any of `filters`, or all if there is no filter.
///
/// # Errors
/// A filter matches no scenario; the message lists all names.
pub fn select<'a>(all: &[&'a Scenario], filters: &[String]) -> Result<Vec<&'a Scenario>, Error> {
    for filter in filters {
        if !all.iter().any(|scenario| scenario.name.contains(filter.as_str())) {
            let names: Vec<&str> = all.iter().map(|scenario| scenario.name).collect();
            let advice = format!("use a part of one of these names: {}", names.join(", "));
            return Err(Error::environment(
                format!("--filter {filter}: no scenario's name contains `{filter}`"),
                advice,
            ));
        }
    }
    let selected = |scenario: &&&Scenario| {
        let mut filters = filters.iter();
        filters.len() == 0 || filters.any(|filter| scenario.name.contains(filter.as_str()))
    };
    Ok(all.iter().filter(selected).copied().collect())
}

/// What this machine offers to scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// The containers run on Docker.
    pub docker: bool,
    /// `docker compose` or `docker-compose` is installed.
    pub compose: bool,
}

impl Capabilities {
    /// The first missing requirement, as a reason to skip; `None` if nothing is missing.
    pub fn missing(self, requires: Requirements) -> Option<&'static str> {
        if requires.docker && !self.docker {
            Some("it needs Docker")
        } else if requires.compose && !self.compose {
            Some("it needs `docker compose` or `docker-compose`")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(name: &'static str) -> Scenario {
        Scenario {
            name,
            about: "",
            requires: Requirements::NOTHING,
            allows: &[],
            run: |_| Box::pin(std::future::ready(Ok(()))),
        }
    }

    #[test]
    fn filters_are_combined_by_or_and_an_unmatched_one_is_an_error() {
        let all = ["kill", "graceful_stop", "rejoin"].map(scenario);
        let all = all.each_ref();
        let names = |filters: &[&str]| {
            let filters: Vec<String> = filters.iter().map(|filter| (*filter).to_owned()).collect();
            select(&all, &filters).map(|found| found.iter().map(|one| one.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap(), ["kill", "graceful_stop", "rejoin"]);
        assert_eq!(names(&["rejoin", "stop"]).unwrap(), ["graceful_stop", "rejoin"]);
        let error = names(&["kill", "nothing"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("`nothing`") && error.to_string().contains("kill, graceful_stop"));
    }

    #[test]
    fn only_requirements_can_be_missing() {
        let nothing = Capabilities {
            docker: false,
            compose: false,
        };
        let docker = Capabilities {
            docker: true,
            ..nothing
        };
        assert_eq!(nothing.missing(Requirements::NOTHING), None);
        assert_eq!(nothing.missing(Requirements::COMPOSE), Some("it needs Docker"));
        assert_eq!(docker.missing(Requirements::DOCKER), None);
        assert!(docker.missing(Requirements::COMPOSE).unwrap().contains("compose"));
        let all = Capabilities {
            docker: true,
            compose: true,
        };
        assert_eq!(all.missing(Requirements::COMPOSE), None);
    }
}
