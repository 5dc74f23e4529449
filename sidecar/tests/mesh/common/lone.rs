//! One state machine, whose peers the test plays.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use sidecar::balance::service::{Instance, Offer, ServiceId};
use sidecar::mesh::DiscoverySettings;
use sidecar::mesh::directory::Cut;
use sidecar::mesh::protocol::Config;
use sidecar::mesh::protocol::{Action, Departure, Event, Failure, Protocol, Search};
use sidecar::mesh::wire::{
    Answer, Cookie, Datagram, DatagramKind, ExchangeKind, Node, NodeChange, NodeServices, NodeState, Request,
    ServiceList, ServiceNode,
};

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn node(name: &str, host: u8) -> Node {
    Node::new(name, IpAddr::from(Ipv4Addr::new(10, 0, 0, host)), 31000, 31000).unwrap()
}

/// An instance that counts, whichever node offers it.
pub(crate) fn offer(port: u16) -> Offer {
    let address = SocketAddr::from(([192, 0, 2, 1], port));
    let id = ServiceId {
        service: "s".to_owned(),
        zone: "z".to_owned(),
    };
    Offer {
        id,
        instance: Instance {
            address,
            weight: 10,
            at_node: true,
        },
    }
}

pub(crate) fn service(port: u16) -> ServiceNode {
    ServiceNode::from(&offer(port))
}

/// Instances at the address of their node.
pub(crate) fn at(node: &Node, ports: &[u16]) -> ServiceList {
    let at_node = |port: &u16| {
        let mut offer = offer(*port);
        offer.instance.address.set_ip(node.address());
        ServiceNode::from(&offer)
    };
    ports.iter().map(at_node).collect()
}

pub(crate) fn list(ports: &[u16]) -> ServiceList {
    ports.iter().map(|port| service(*port)).collect()
}

/// An exchange that the node has asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) id: u64,
    pub(crate) to: SocketAddr,
    pub(crate) request: Request,
    pub(crate) timeout: Duration,
}

/// A node at 10.0.0.1, and the clock.
pub(crate) struct Lone {
    pub(crate) protocol: Protocol,
    pub(crate) now: Duration,
    pub(crate) sent: Vec<(SocketAddr, Datagram)>,
    pub(crate) asked: Vec<Asked>,
    pub(crate) gone: Vec<(Node, Departure)>,
    pub(crate) cuts: Vec<Cut>,
    /// Nodes that refuted a leave.
    pub(crate) stayed: Vec<Node>,
    /// Number of nodes and instances that were left out.
    pub(crate) left_out: usize,
}

impl Lone {
    pub(crate) fn new() -> Self {
        Self::searching(&DiscoverySettings {
            search_mask: 28,
            ..DiscoverySettings::default()
        })
    }

    /// A node with these search settings.
    pub(crate) fn searching(config: &DiscoverySettings) -> Self {
        let own = node("own", 1);
        let search = Search::new(own.datagram_address(), config);
        let protocol = Protocol::new(own, search, Config::default(), 7)
            .with_instance_networks(vec!["192.0.2.0/24".parse().unwrap()]);
        Self {
            protocol,
            now: Duration::ZERO,
            sent: Vec::new(),
            asked: Vec::new(),
            gone: Vec::new(),
            cuts: Vec::new(),
            stayed: Vec::new(),
            left_out: 0,
        }
    }

    pub(crate) fn took(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send { to, datagram } => self.sent.push((to, datagram)),
                Action::Exchange {
                    id,
                    to,
                    request,
                    timeout,
                } => self.asked.push(Asked {
                    id,
                    to,
                    request,
                    timeout,
                }),
                Action::Gone { node, why } => self.gone.push((node, why)),
                Action::LeaveRefuted(node) => self.stayed.push(node),
                Action::LeftOut { dropped, .. } => self.left_out += dropped.count(),
                Action::Publish | Action::Evicted(_) => {}
                Action::Cut(cut) => self.cuts.push(cut),
            }
        }
    }

    pub(crate) fn event(&mut self, event: Event) {
        let actions = self.protocol.handle(self.now, event);
        self.took(actions);
    }

    pub(crate) fn serve(&mut self, from: &Node, request: Request) -> Answer {
        let (answer, actions) = self.protocol.serve(self.now, from.address(), request);
        self.took(actions);
        answer
    }

    /// Lets time pass, waking the node at its deadlines.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.protocol.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.event(Event::Wake);
        }
        self.now = end;
    }

    /// Takes the exchange that the node must have asked for with this peer.
    pub(crate) fn take_asked(&mut self, of: &Node) -> Asked {
        let index = self.asked.iter().position(|asked| asked.to == of.endpoint());
        self.asked
            .remove(index.unwrap_or_else(|| panic!("{of} was not asked; only {:?}", self.asked)))
    }

    /// Answers the first check of a node as one that cannot be told by it; takes the second, which asks for its list.
    pub(crate) fn take_list_check(&mut self, of: &Node) -> Asked {
        let check = self.take_asked(of);
        assert_eq!(check.request.kind(), ExchangeKind::Hash);
        self.answer(&check, Answer::Hash("".into()));
        let check = self.take_asked(of);
        assert_eq!(check.request.kind(), ExchangeKind::Local);
        check
    }

    pub(crate) fn nothing_asked(&self, of: &Node) {
        let asked: Vec<_> = self
            .asked
            .iter()
            .filter(|asked| asked.to == of.endpoint())
            .collect();
        assert!(asked.is_empty(), "{asked:?}");
    }

    pub(crate) fn answer(&mut self, asked: &Asked, answer: Answer) {
        self.event(Event::Answered {
            id: asked.id,
            outcome: Ok(answer),
        });
    }

    pub(crate) fn fail(&mut self, asked: &Asked, failure: Failure) {
        self.event(Event::Answered {
            id: asked.id,
            outcome: Err(failure),
        });
    }

    /// Delivers a `leave` in a peer's name; its port is closed.
    pub(crate) fn leaves(&mut self, other: &Node) {
        self.datagram(DatagramKind::Leave, other, "");
        while let Some(index) = self.asked.iter().position(|asked| asked.to == other.endpoint()) {
            let asked = self.asked.remove(index);
            self.fail(&asked, Failure::Refused);
        }
    }

    pub(crate) fn datagram(&mut self, kind: DatagramKind, from: &Node, hash: &str) {
        self.datagram_with(kind, from, hash, None);
    }

    /// Delivers a datagram with a cookie.
    pub(crate) fn datagram_with(
        &mut self,
        kind: DatagramKind,
        from: &Node,
        hash: &str,
        cookie: Option<Cookie>,
    ) {
        let datagram = Datagram {
            kind,
            node_name: from.name().into(),
            udp_port: from.udp_port(),
            tcp_port: from.tcp_port(),
            hash: hash.into(),
            cookie,
        };
        self.event(Event::Datagram {
            from: from.address(),
            datagram,
        });
    }

    /// Makes a node known and up, with this list.
    pub(crate) fn bring_up(&mut self, node: &Node, ports: &[u16]) {
        self.serve(
            node,
            Request::Nodes(vec![NodeState {
                node: node.clone(),
                healthy: true,
            }]),
        );
        let check = self.take_list_check(node);
        self.answer(&check, local(node, ports));
        assert!(self.protocol.membership().is_up(node));
        // As an original does once it records us.
        self.serve(
            node,
            Request::Local(NodeServices {
                node: node.clone(),
                khala_nodes: list(ports),
            }),
        );
    }

    pub(crate) fn services(&self, node: &Node) -> Option<&ServiceList> {
        self.protocol.directory().services(node)
    }

    pub(crate) fn is_known(&self, node: &Node) -> bool {
        self.protocol
            .membership()
            .peers()
            .any(|member| member.node == *node)
    }
}

pub(crate) fn local(node: &Node, ports: &[u16]) -> Answer {
    Answer::Local(NodeServices {
        node: node.clone(),
        khala_nodes: list(ports),
    })
}

pub(crate) fn change(node: &Node, port: u16) -> NodeChange {
    NodeChange {
        node: node.clone(),
        khala_node: service(port),
    }
}
