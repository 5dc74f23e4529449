//! Which scenarios run: pure.

use super::{Needs, Scenario};
use crate::error::Error;

/// The scenarios whose names contain any of `filters`; all where there is no filter.
///
/// # Errors
/// A filter matches none, with the names that there are.
pub fn select<'a>(all: &'a [Scenario], filters: &[String]) -> Result<Vec<&'a Scenario>, Error> {
    for filter in filters {
        if !all.iter().any(|scenario| scenario.name.contains(filter.as_str())) {
            let names: Vec<&str> = all.iter().map(|scenario| scenario.name).collect();
            let advice = format!("use a part of one of these: {}", names.join(", "));
            return Err(Error::environment(
                format!("no scenario's name contains `{filter}`"),
                advice,
            ));
        }
    }
    let wanted = |scenario: &&Scenario| {
        let mut filters = filters.iter();
        filters.len() == 0 || filters.any(|filter| scenario.name.contains(filter.as_str()))
    };
    Ok(all.iter().filter(wanted).collect())
}

/// What a scenario can have on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Means {
    /// The containers are Docker's.
    pub docker: bool,
    /// There is a Compose program.
    pub compose: bool,
}

impl Means {
    /// What is needed and lacking, as a reason to skip; none where all is there.
    pub fn lacking(self, needs: Needs) -> Option<&'static str> {
        if needs.docker && !self.docker {
            Some("it needs Docker")
        } else if needs.compose && !self.compose {
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
            needs: Needs::NOTHING,
            allows: &[],
            run: |_| Box::pin(std::future::ready(Ok(()))),
        }
    }

    #[test]
    fn filters_add_up_and_one_that_matches_nothing_is_an_error() {
        let all = [scenario("kill"), scenario("graceful_stop"), scenario("rejoin")];
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
    fn only_what_is_needed_can_be_lacking() {
        let nothing = Means {
            docker: false,
            compose: false,
        };
        let docker = Means {
            docker: true,
            ..nothing
        };
        assert_eq!(nothing.lacking(Needs::NOTHING), None);
        assert_eq!(nothing.lacking(Needs::COMPOSE), Some("it needs Docker"));
        assert_eq!(docker.lacking(Needs::DOCKER), None);
        assert!(docker.lacking(Needs::COMPOSE).unwrap().contains("compose"));
        let all = Means {
            docker: true,
            compose: true,
        };
        assert_eq!(all.lacking(Needs::COMPOSE), None);
    }
}
