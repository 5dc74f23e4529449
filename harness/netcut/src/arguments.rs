//! The command line.

use std::net::Ipv4Addr;

const USAGE: &str =
    "netcut [--end-with-stdin] block [ADDRESS...] | netcut [--end-with-stdin] lose PERCENT [ADDRESS...]";

/// The parsed command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// Whether to stop at the end of standard input.
    pub(crate) end_with_stdin: bool,
    /// The fault of the packets.
    pub(crate) action: Action,
    /// The packets' destinations, without duplicates.
    pub(crate) addresses: Vec<Ipv4Addr>,
}

/// The fault of the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// All packets are lost.
    Block,
    /// All packets are lost for a percentage of the time.
    Lose {
        /// The percentage of the time, 0 to 100.
        percent: u8,
    },
}

/// Why the command line is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgumentsError {
    #[error("expected {USAGE}")]
    Usage,
    #[error("`{0}` is not an IPv4 address")]
    Address(String),
    #[error("`{0}` is not a percentage (0 to 100)")]
    Percent(String),
}

impl Arguments {
    /// Parses the arguments after the program's name.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, ArgumentsError> {
        let mut arguments = arguments.into_iter().peekable();
        let end_with_stdin = arguments
            .next_if(|argument| argument == "--end-with-stdin")
            .is_some();
        let action = match arguments.next().as_deref() {
            Some("block") => Action::Block,
            Some("lose") => {
                let text = arguments.next().ok_or(ArgumentsError::Usage)?;
                let percent = text.parse().ok().filter(|percent| *percent <= 100);
                Action::Lose {
                    percent: percent.ok_or(ArgumentsError::Percent(text))?,
                }
            }
            _ => return Err(ArgumentsError::Usage),
        };
        let mut addresses = arguments
            .map(|text| text.parse().map_err(|_| ArgumentsError::Address(text)))
            .collect::<Result<Vec<Ipv4Addr>, _>>()?;
        addresses.sort_unstable();
        addresses.dedup();
        Ok(Self {
            end_with_stdin,
            action,
            addresses,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, ArgumentsError> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn both_actions_are_parsed_and_duplicate_addresses_dropped() {
        let block = parse("block 10.0.0.3 10.0.0.2 10.0.0.3").unwrap();
        assert_eq!(block.action, Action::Block);
        assert!(!block.end_with_stdin);
        assert_eq!(
            block.addresses,
            ["10.0.0.2", "10.0.0.3"].map(|a| a.parse::<Ipv4Addr>().unwrap())
        );
        assert!(parse("block").unwrap().addresses.is_empty());
        let lose = parse("--end-with-stdin lose 30 10.0.0.2").unwrap();
        assert_eq!(lose.action, Action::Lose { percent: 30 });
        assert!(lose.end_with_stdin);
    }

    #[test]
    fn an_invalid_argument_is_named() {
        for line in ["", "lose", "cut 10.0.0.2", "block --end-with-stdin"] {
            let error = parse(line).unwrap_err();
            let expected = match line {
                "block --end-with-stdin" => ArgumentsError::Address("--end-with-stdin".to_owned()),
                _ => ArgumentsError::Usage,
            };
            assert_eq!(error, expected, "{line}");
        }
        for text in ["101", "-1", "x", "10.0.0.2", "256"] {
            let error = parse(&format!("lose {text} 10.0.0.2")).unwrap_err();
            assert_eq!(error, ArgumentsError::Percent(text.to_owned()));
        }
        assert_eq!(
            parse("block ::1").unwrap_err(),
            ArgumentsError::Address("::1".to_owned())
        );
    }
}
