//! The two hashes that nodes compare to find out whether they know the same.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha512};

use super::{MAX_HASH, Node, ServiceList};

/// The hash of the datagrams: base64 of the SHA-512 of the healthy nodes' text. The nodes must be sorted.
pub fn membership_hash<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> String {
    let mut text = String::new();
    for node in nodes {
        node.write_text(&mut text);
    }
    STANDARD.encode(Sha512::digest(text.as_bytes()))
}

/// The "hash" of `khala.hash`: base64 of the concatenated [`services_text`]s. If they exceed [`MAX_HASH`], of their
/// SHA-512: nodes of our own kind still compare it correctly.
pub fn services_hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let text: String = texts.into_iter().collect();
    if text.len().div_ceil(3) * 4 > MAX_HASH {
        return STANDARD.encode(Sha512::digest(text.as_bytes()));
    }
    STANDARD.encode(text)
}

/// One node's part of the text of [`services_hash`].
pub(in crate::mesh) fn services_text(node: &Node, services: &ServiceList) -> String {
    let mut text = String::new();
    node.write_text(&mut text);
    for service in services.iter() {
        service.write_text(&mut text);
    }
    text
}
