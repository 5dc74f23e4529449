//! A name server that answers what a test tells it to, as Docker's: it cuts answers by UDP to what the client takes.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};

use simple_dns::rdata::{A, AAAA, RData};
use simple_dns::{CLASS, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};

/// What it does with a question.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    /// Answers with those of the addresses that are of the family asked for.
    Answer(Vec<IpAddr>),
    /// Answers with a code.
    Fail(RCODE),
    /// Does not answer.
    Silent,
}

#[derive(Debug)]
struct State {
    behaviour: Behaviour,
    questions: usize,
    by_tcp: usize,
}

/// A name server on loopback. Its threads end with the process.
#[derive(Debug)]
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl NameServer {
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        let (udp, tcp) = sockets();
        let state = Arc::new(Mutex::new(State {
            behaviour,
            questions: 0,
            by_tcp: 0,
        }));
        let address = udp.local_addr().unwrap();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut buffer) {
                if let Some(answer) = answer(&shared, &buffer[..length], true) {
                    udp.send_to(&answer, from).unwrap();
                }
            }
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in tcp.incoming() {
                let mut stream = stream.unwrap();
                shared.lock().unwrap().by_tcp += 1;
                let mut length = [0; 2];
                stream.read_exact(&mut length).unwrap();
                let mut question = vec![0; u16::from_be_bytes(length).into()];
                stream.read_exact(&mut question).unwrap();
                if let Some(answer) = answer(&shared, &question, false) {
                    let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                    stream.write_all(&[&length[..], &answer].concat()).unwrap();
                }
            }
        });
        Self { address, state }
    }

    pub(crate) fn answering(addresses: &[&str]) -> Self {
        Self::start(Behaviour::Answer(parsed(addresses)))
    }

    pub(crate) fn answer(&self, addresses: &[&str]) {
        self.behave(Behaviour::Answer(parsed(addresses)));
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.state.lock().unwrap().behaviour = behaviour;
    }

    /// Questions by UDP so far.
    pub(crate) fn questions(&self) -> usize {
        self.state.lock().unwrap().questions
    }

    /// Questions by TCP so far.
    pub(crate) fn by_tcp(&self) -> usize {
        self.state.lock().unwrap().by_tcp
    }
}

fn parsed(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|ip| ip.parse().unwrap()).collect()
}

/// Of the same port.
fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // Another process may have it.
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
}

fn answer(state: &Mutex<State>, question: &[u8], by_udp: bool) -> Option<Vec<u8>> {
    let asked = Packet::parse(question).unwrap();
    let size = asked.opt().map_or(512, |opt| usize::from(opt.udp_packet_size));
    let behaviour = {
        let mut state = state.lock().unwrap();
        state.questions += usize::from(by_udp);
        state.behaviour.clone()
    };
    let mut reply = asked.clone().into_reply();
    let name = asked.questions[0].qname.clone();
    let add = |reply: &mut Packet<'_>, data| {
        let record = ResourceRecord::new(name.clone().into_owned(), CLASS::IN, 600, data);
        reply.answers.push(record.into_owned());
    };
    match behaviour {
        Behaviour::Silent => return None,
        Behaviour::Fail(code) => *reply.rcode_mut() = code,
        Behaviour::Answer(addresses) => {
            for address in addresses {
                match (address, asked.questions[0].qtype) {
                    (IpAddr::V4(ip), QTYPE::TYPE(TYPE::A)) => add(&mut reply, RData::A(A::from(ip))),
                    (IpAddr::V6(ip), QTYPE::TYPE(TYPE::AAAA)) => add(&mut reply, RData::AAAA(AAAA::from(ip))),
                    _ => {}
                }
            }
        }
    }
    let mut message = reply.build_bytes_vec().unwrap();
    if by_udp && message.len() > size {
        reply.answers.truncate(3);
        reply.set_flags(PacketFlag::TRUNCATION);
        message = reply.build_bytes_vec().unwrap();
    }
    Some(message)
}
