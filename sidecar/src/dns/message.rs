//! Questions for the addresses of a host name, and the answers (RFC 1035, section 4; EDNS0: RFC 6891). Pure.
//!
//! All address records of an answer count, whichever name they belong to: a server follows aliases itself and lists the
//! records of the whole chain.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::interface::IpType;

/// Size of the answers by UDP that we can take, in bytes: what fits into one packet on any network. Without it a server cuts
/// its answers to 512.
const UDP_SIZE: u16 = 1232;

/// Addresses of one family that are kept of an answer; the lowest, so that the same ones are kept each time.
pub const MAX_ADDRESSES: usize = 256;

const HEADER: usize = 12;
const CLASS_IN: u16 = 1;
const TYPE_OPT: u16 = 41;
const NO_ERROR: u8 = 0;
const NAME_ERROR: u8 = 3;

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The name has these addresses; none if there is no such name.
    Addresses(BTreeSet<IpAddr>),
    /// The answer does not fit: ask again by TCP.
    Truncated,
    /// The server does not know, with this code (RFC 1035, section 4.1.1).
    Failed(u8),
}

/// A message that is no answer to the question.
#[derive(Debug, PartialEq, Eq)]
pub struct NoAnswer;

/// The question for the addresses of a host name, of one family.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Repeated by the answer.
    pub id: u16,
    /// A name of labels of at most 63 bytes, and 253 in all.
    pub host: &'a str,
    /// The family of the addresses.
    pub family: IpType,
}

impl Question<'_> {
    fn record_type(self) -> u16 {
        match self.family {
            IpType::V4 => 1,
            IpType::V6 => 28,
        }
    }

    /// The message that asks it.
    pub fn encode(self) -> Vec<u8> {
        let mut message = Vec::with_capacity(64);
        let recursion_desired = 0x0100;
        // One question and one additional record.
        for field in [self.id, recursion_desired, 1, 0, 0, 1] {
            message.extend(field.to_be_bytes());
        }
        for label in self.labels() {
            message.push(u8::try_from(label.len()).unwrap_or(0));
            message.extend(label.bytes());
        }
        message.push(0);
        message.extend(self.record_type().to_be_bytes());
        message.extend(CLASS_IN.to_be_bytes());
        // The record that says what size we can take: of the root, without a TTL and data.
        message.push(0);
        message.extend(TYPE_OPT.to_be_bytes());
        message.extend(UDP_SIZE.to_be_bytes());
        message.extend([0; 6]);
        message
    }

    /// Reads a message as its answer.
    ///
    /// # Errors
    /// When it is another message, or none at all.
    pub fn answer(self, message: &[u8]) -> Result<Answer, NoAnswer> {
        let mut reader = Reader { message, at: 0 };
        let [id, flags, questions, answers] = reader.numbers()?;
        reader.skip(HEADER - reader.at)?;
        let is_response = flags & 0x8000 != 0;
        if id != self.id || !is_response || questions != 1 || !reader.repeats(self)? {
            return Err(NoAnswer);
        }
        let code = (flags & 0x000f) as u8;
        match code {
            NO_ERROR | NAME_ERROR if flags & 0x0200 != 0 => return Ok(Answer::Truncated),
            NO_ERROR => {}
            NAME_ERROR => return Ok(Answer::Addresses(BTreeSet::new())),
            other => return Ok(Answer::Failed(other)),
        }
        let mut addresses = BTreeSet::new();
        for _ in 0..answers {
            addresses.extend(reader.record(self)?);
            if addresses.len() > MAX_ADDRESSES {
                addresses.pop_last();
            }
        }
        Ok(Answer::Addresses(addresses))
    }

    fn labels(&self) -> impl Iterator<Item = &str> {
        self.host.split('.').filter(|label| !label.is_empty())
    }
}

/// Reads a message from its beginning.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], NoAnswer> {
        let end = self.at.checked_add(count).ok_or(NoAnswer)?;
        let bytes = self.message.get(self.at..end).ok_or(NoAnswer)?;
        self.at = end;
        Ok(bytes)
    }

    fn skip(&mut self, count: usize) -> Result<(), NoAnswer> {
        self.take(count).map(|_| ())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], NoAnswer> {
        self.take(N)?.try_into().map_err(|_| NoAnswer)
    }

    fn numbers<const N: usize>(&mut self) -> Result<[u16; N], NoAnswer> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = u16::from_be_bytes(self.array()?);
        }
        Ok(numbers)
    }

    /// Whether the next entry of the question section is this question.
    fn repeats(&mut self, question: Question<'_>) -> Result<bool, NoAnswer> {
        for label in question.labels() {
            let length = usize::from(self.array::<1>()?[0]);
            if length != label.len() || !self.take(length)?.eq_ignore_ascii_case(label.as_bytes()) {
                return Ok(false);
            }
        }
        let end = self.array::<1>()?;
        Ok(end == [0] && self.numbers()? == [question.record_type(), CLASS_IN])
    }

    /// Skips a name. A pointer ends it (RFC 1035, section 4.1.4), and is not followed.
    fn name(&mut self) -> Result<(), NoAnswer> {
        loop {
            match self.array::<1>()?[0] {
                0 => return Ok(()),
                length @ 1..=63 => self.skip(length.into())?,
                0xc0.. => return self.skip(1),
                _ => return Err(NoAnswer),
            }
        }
    }

    /// The address of the next record, if it is one of the type that was asked for.
    fn record(&mut self, question: Question<'_>) -> Result<Option<IpAddr>, NoAnswer> {
        self.name()?;
        let [record_type, class] = self.numbers()?;
        let _ttl: [u8; 4] = self.array()?;
        let [length] = self.numbers()?;
        if [record_type, class] != [question.record_type(), CLASS_IN] {
            self.skip(length.into())?;
            return Ok(None);
        }
        match (question.family, length) {
            (IpType::V4, 4) => Ok(Some(Ipv4Addr::from(self.array::<4>()?).into())),
            (IpType::V6, 16) => Ok(Some(Ipv6Addr::from(self.array::<16>()?).into())),
            _ => Err(NoAnswer),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

    use proptest::prelude::*;
    use simple_dns::rdata::{A, AAAA, RData};
    use simple_dns::{CLASS, Name, Packet, PacketFlag, RCODE, ResourceRecord};

    use super::*;

    const QUESTION: Question<'static> = Question {
        id: 0x1234,
        host: "Api.shop_1",
        family: IpType::V4,
    };

    /// The answer of another implementation to a question.
    fn answer_of(
        question: Question<'_>,
        addresses: &[IpAddr],
        change: impl FnOnce(&mut Packet<'_>),
    ) -> Vec<u8> {
        let asked = question.encode();
        let mut packet = Packet::parse(&asked).unwrap().into_reply();
        for address in addresses {
            let data = match address {
                IpAddr::V4(ip) => RData::A(A::from(*ip)),
                IpAddr::V6(ip) => RData::AAAA(AAAA::from(*ip)),
            };
            let name = Name::new("API.shop_1").unwrap();
            packet
                .answers
                .push(ResourceRecord::new(name, CLASS::IN, 600, data));
        }
        change(&mut packet);
        packet.build_bytes_vec_compressed().unwrap()
    }

    #[test]
    fn another_implementation_reads_the_question() {
        let message = QUESTION.encode();
        let packet = Packet::parse(&message).unwrap();
        assert_eq!(packet.id(), 0x1234);
        assert!(packet.has_flags(PacketFlag::RECURSION_DESIRED));
        assert_eq!(packet.questions.len(), 1);
        assert_eq!(packet.questions[0].qname.to_string(), "Api.shop_1");
        assert_eq!(packet.opt().map(|opt| opt.udp_packet_size), Some(UDP_SIZE));
    }

    #[test]
    fn a_code_tells_no_address_from_no_answer() {
        let with = |code: RCODE| answer_of(QUESTION, &[], |packet| *packet.rcode_mut() = code);
        let none = Answer::Addresses(BTreeSet::new());
        for (code, expected) in [
            (RCODE::NoError, none.clone()),
            (RCODE::NameError, none),
            (RCODE::ServerFailure, Answer::Failed(2)),
            (RCODE::Refused, Answer::Failed(5)),
        ] {
            assert_eq!(QUESTION.answer(&with(code)), Ok(expected), "{code:?}");
        }
        let truncated = answer_of(QUESTION, &[], |packet| packet.set_flags(PacketFlag::TRUNCATION));
        assert_eq!(QUESTION.answer(&truncated), Ok(Answer::Truncated));
    }

    #[test]
    fn answers_to_other_questions_are_none() {
        let answer = answer_of(QUESTION, &["10.0.0.1".parse().unwrap()], |_| {});
        for other in [
            Question { id: 1, ..QUESTION },
            Question {
                host: "api",
                ..QUESTION
            },
            Question {
                host: "api.shop_2",
                ..QUESTION
            },
            Question {
                host: "api.shop_1.x",
                ..QUESTION
            },
            Question {
                family: IpType::V6,
                ..QUESTION
            },
        ] {
            assert_eq!(other.answer(&answer), Err(NoAnswer), "{other:?}");
        }
        assert_eq!(QUESTION.answer(&QUESTION.encode()), Err(NoAnswer), "a question");
    }

    #[test]
    fn the_number_of_addresses_is_bounded() {
        let all: Vec<IpAddr> = (0..600_u32).rev().map(|n| Ipv4Addr::from(n).into()).collect();
        let Ok(Answer::Addresses(kept)) = QUESTION.answer(&answer_of(QUESTION, &all, |_| {})) else {
            panic!("not read");
        };
        let lowest: BTreeSet<IpAddr> = (0..256_u32).map(|n| Ipv4Addr::from(n).into()).collect();
        assert_eq!(kept, lowest);
    }

    proptest! {
        /// Of one family, in any order, among records of the other.
        #[test]
        fn the_addresses_of_the_family_are_read(v4 in prop::collection::vec(any::<Ipv4Addr>(), 0..60),
                                                v6 in prop::collection::vec(any::<Ipv6Addr>(), 0..60)) {
            let all: Vec<IpAddr> = v4.iter().map(|ip| IpAddr::from(*ip)).chain(v6.iter().map(|ip| (*ip).into())).collect();
            for family in [IpType::V4, IpType::V6] {
                let question = Question { family, ..QUESTION };
                let expected = all.iter().copied().filter(|ip| IpType::of(*ip) == family).collect();
                prop_assert_eq!(question.answer(&answer_of(question, &all, |_| {})), Ok(Answer::Addresses(expected)));
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = QUESTION.answer(&bytes);
            let mut answer = QUESTION.encode();
            answer[2] = 0x80;
            answer[7] = 4;
            answer.truncate(answer.len() - 11);
            answer.extend(bytes);
            let _ = QUESTION.answer(&answer);
        }

        /// What is read of a message that was cut or changed is no more than what is in it.
        #[test]
        fn changed_answers_are_read_without_a_panic(at in 0_usize..200, byte in any::<u8>(), cut in 0_usize..200) {
            let mut answer = answer_of(QUESTION, &["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()], |_| {});
            let length = answer.len();
            answer[at % length] = byte;
            answer.truncate(length - cut % length);
            if let Ok(Answer::Addresses(addresses)) = QUESTION.answer(&answer) {
                prop_assert!(addresses.len() <= 2);
            }
        }
    }
}
