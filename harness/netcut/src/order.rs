//! What the command line says.

use std::net::Ipv4Addr;

const USAGE: &str =
    "netcut [--end-with-stdin] block [ADDRESS...] | netcut [--end-with-stdin] lose PERCENT [ADDRESS...]";

/// What is to be done, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// Whether it is over when standard input ends.
    pub(crate) end_with_stdin: bool,
    /// What is done to packets.
    pub(crate) action: Action,
    /// Where they go to; none twice.
    pub(crate) addresses: Vec<Ipv4Addr>,
}

/// What is done to packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// None arrives.
    Block,
    /// None arrives for this share of the time, 0 to 100.
    Lose {
        /// The share in percent.
        percent: u8,
    },
}

/// Why the command line is not understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OrderError {
    #[error("expected {USAGE}")]
    Usage,
    #[error("`{0}` is no IPv4 address")]
    Address(String),
    #[error("`{0}` is no share in percent (0 to 100)")]
    Percent(String),
}

impl Order {
    /// Reads the arguments after the program's name.
    pub(crate) fn read(arguments: impl IntoIterator<Item = String>) -> Result<Self, OrderError> {
        let mut arguments = arguments.into_iter().peekable();
        let end_with_stdin = arguments
            .next_if(|argument| argument == "--end-with-stdin")
            .is_some();
        let action = match arguments.next().as_deref() {
            Some("block") => Action::Block,
            Some("lose") => {
                let text = arguments.next().ok_or(OrderError::Usage)?;
                let percent = text.parse().ok().filter(|percent| *percent <= 100);
                Action::Lose {
                    percent: percent.ok_or(OrderError::Percent(text))?,
                }
            }
            _ => return Err(OrderError::Usage),
        };
        let mut addresses = arguments
            .map(|text| text.parse().map_err(|_| OrderError::Address(text)))
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

    fn read(line: &str) -> Result<Order, OrderError> {
        Order::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn both_orders_are_understood_and_an_address_counts_once() {
        let block = read("block 10.0.0.3 10.0.0.2 10.0.0.3").unwrap();
        assert_eq!(block.action, Action::Block);
        assert!(!block.end_with_stdin);
        assert_eq!(
            block.addresses,
            ["10.0.0.2", "10.0.0.3"].map(|a| a.parse::<Ipv4Addr>().unwrap())
        );
        assert!(read("block").unwrap().addresses.is_empty());
        let lose = read("--end-with-stdin lose 30 10.0.0.2").unwrap();
        assert_eq!(lose.action, Action::Lose { percent: 30 });
        assert!(lose.end_with_stdin);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for line in ["", "lose", "cut 10.0.0.2", "block --end-with-stdin"] {
            let error = read(line).unwrap_err();
            let expected = match line {
                "block --end-with-stdin" => OrderError::Address("--end-with-stdin".to_owned()),
                _ => OrderError::Usage,
            };
            assert_eq!(error, expected, "{line}");
        }
        for text in ["101", "-1", "x", "10.0.0.2", "256"] {
            let error = read(&format!("lose {text} 10.0.0.2")).unwrap_err();
            assert_eq!(error, OrderError::Percent(text.to_owned()));
        }
        assert_eq!(
            read("block ::1").unwrap_err(),
            OrderError::Address("::1".to_owned())
        );
    }
}
