//! What an original records, as its `khala.hash` says: that "hash" is the text of all its nodes and their services.

use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::fields::parse_address;
use super::name::check_name;
use super::{MAX_SERVICES, Meta, Node, ServiceList, ServiceNode};

/// Fields of a node, and of a service, in the text.
const FIELDS: usize = 4;

/// The nodes that an original has called up, and their services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    by: Node,
    /// The text, after a comma, so that one precedes each entry.
    text: String,
}

impl Recorded {
    /// Reads the `khala.hash` of the node at this endpoint. None if the text does not list the node itself, as every
    /// original's does: then it is a digest, or comes from another program.
    pub fn parse(hash: &str, endpoint: SocketAddr) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(hash).ok()?).ok()?;
        let by = node_at(endpoint, &text)?;
        let text = format!(",{text}");
        Some(Self { by, text })
    }

    /// The node whose hash it is.
    pub fn by(&self) -> &Node {
        &self.by
    }

    /// Whether it has called this node up. Before that it refuses what is sent about the node, with an error in its log.
    pub fn has(&self, node: &Node) -> bool {
        self.after(&entry(node)).is_some()
    }

    /// Whether it lists exactly the services of `text` for a node, or does not record the node. `text` is the node's part
    /// of our own [`super::services_hash`].
    pub(in crate::mesh) fn agrees(&self, node: &Node, text: &str) -> bool {
        !self.has(node) || self.after(text).is_some_and(ends_or_begins_with_node)
    }

    /// The services that it lists for a node. The text has no weights: the services keep those that they have in `held`,
    /// or have the default. None if the text cannot be read, because a name has a comma.
    pub(in crate::mesh) fn services(&self, node: &Node, held: &ServiceList) -> Option<ServiceList> {
        let mut rest = self.after(&entry(node))?;
        let mut services = Vec::new();
        while !ends_or_begins_with_node(rest) {
            let mut fields = rest.splitn(FIELDS + 1, ',');
            let (service, zone, address) = (fields.next()?, fields.next()?, fields.next()?);
            let port = fields.next()?.parse().ok().filter(|port| *port > 0)?;
            rest = fields.next()?;
            parse_address(address)?;
            if services.len() == MAX_SERVICES || check_name(service).and(check_name(zone)).is_err() {
                return None;
            }
            let key = (service, zone, address, port);
            let meta = held
                .iter()
                .find(|held| held.key() == key)
                .map(|held| held.meta.clone());
            services.push(ServiceNode {
                service: service.to_owned(),
                zone: zone.to_owned(),
                address: address.to_owned(),
                port,
                meta: meta.or_else(|| Meta::parse("{}").ok())?,
            });
        }
        Some(services.into_iter().collect())
    }

    /// What follows an entry, or several.
    fn after(&self, entries: &str) -> Option<&str> {
        let (_, after) = self.text.split_once(&format!(",{entries}"))?;
        Some(after)
    }
}

/// The node that a text lists at this endpoint. Entries after an odd name are not found.
fn node_at(endpoint: SocketAddr, text: &str) -> Option<Node> {
    let fields: Vec<&str> = text.split(',').collect();
    let mut entries = fields.chunks_exact(FIELDS);
    entries.find_map(|entry| {
        let [name, address, udp_port, tcp_port] = *entry else {
            return None;
        };
        let node = Node::new(
            name,
            address.parse().ok()?,
            udp_port.parse().ok()?,
            tcp_port.parse().ok()?,
        );
        node.ok().filter(|node| node.endpoint() == endpoint)
    })
}

fn entry(node: &Node) -> String {
    let mut text = String::new();
    node.write_text(&mut text);
    text
}

/// Whether the next entry, if there is one, is a node's: its second field is the address; a service's third is.
fn ends_or_begins_with_node(text: &str) -> bool {
    let fields: Vec<&str> = text.split(',').take(FIELDS).collect();
    text.is_empty() || fields.len() == FIELDS && fields[1].parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::{services_hash, services_text};
    use super::*;

    fn node(host: u8) -> Node {
        Node::new("n", IpAddr::from([10, 0, 0, host]), 31000, 31000).unwrap()
    }

    fn services(ports: &[u16]) -> ServiceList {
        let service = |port: &u16| ServiceNode {
            service: "s".to_owned(),
            zone: "z".to_owned(),
            address: "10.0.0.9".to_owned(),
            port: *port,
            meta: Meta::parse("{}").unwrap(),
        };
        ports.iter().map(service).collect()
    }

    #[test]
    fn it_lists_its_nodes_and_their_services() {
        let texts = [
            services_text(&node(1), &services(&[])),
            services_text(&node(2), &services(&[1, 2])),
            services_text(&node(3), &services(&[3])),
        ];
        let hash = services_hash(texts.iter().map(String::as_str));
        let recorded = Recorded::parse(&hash, node(3).endpoint()).expect("it lists itself");
        assert!(recorded.has(&node(1)) && recorded.has(&node(2)));
        assert!(!recorded.has(&node(4)));
        for (host, ports, agrees) in [
            (1, &[][..], true),
            (1, &[1], false),
            (2, &[1, 2], true),
            (2, &[1], false),
            (2, &[], false),
            (2, &[2], false),
            (3, &[3], true),
            (3, &[], false),
            (4, &[5], true),
        ] {
            let text = services_text(&node(host), &services(ports));
            assert_eq!(recorded.agrees(&node(host), &text), agrees, "{host}: {ports:?}");
        }
        assert_eq!(Recorded::parse(&hash, node(4).endpoint()), None, "another node's");

        let listed = |host| recorded.services(&node(host), &ServiceList::default());
        assert_eq!(listed(1), Some(services(&[])));
        assert_eq!(listed(2), Some(services(&[1, 2])));
        assert_eq!(listed(3), Some(services(&[3])));
        assert_eq!(listed(4), None);
    }

    #[test]
    fn known_weights_are_kept_and_odd_names_make_a_list_unreadable() {
        let text = |name: &str| services_text(&node(1), &services(&[1])) + &format!("{name},z,10.0.0.9,2,");
        let read = |name: &str, held: &ServiceList| {
            let hash = services_hash([text(name).as_str()]);
            Recorded::parse(&hash, node(1).endpoint())?.services(&node(1), held)
        };
        let mut known = services(&[1]).iter().next().unwrap().clone();
        known.meta = Meta::parse(r#"{"weight":15}"#).unwrap();
        let held = [known].into_iter().collect();
        let list = read("s", &held).expect("a list");
        let weights: Vec<u32> = list.iter().map(ServiceNode::weight).collect();
        assert_eq!(weights, [15, 10]);
        assert_eq!(read("a,b", &held), None);
        assert_eq!(read("a\n", &held), None);
    }

    #[test]
    fn a_digest_and_other_text_are_not_read() {
        for hash in ["", "====", "bm90aGluZw==", "/////w=="] {
            assert_eq!(Recorded::parse(hash, node(1).endpoint()), None, "{hash}");
        }
    }
}
