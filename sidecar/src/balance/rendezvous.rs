//! Source affinity by weighted rendezvous hashing: each server has a score for each client that depends on these two alone,
//! and the server with the highest score gets the client. A server that leaves moves only its own clients, a new one takes
//! only the clients it scores highest for, and shares follow the weights.
//!
//! The score is `-weight / ln(h)`, where `h` in (0, 1) is made of the upper 53 bits of a 64-bit hash:
//! FNV-1a over the client's address, the server's address (4 or 16 bytes each) and the server's port
//! (big endian), finished with the mixer of splitmix64. IPv4-mapped IPv6 addresses count as IPv4.

use std::net::{IpAddr, SocketAddr};

/// The server's score for the client: positive and finite unless the weight is 0.
pub(super) fn score(client: IpAddr, server: SocketAddr, weight: u32) -> f64 {
    let hash = mix(fnv1a(client, server));
    // The half keeps `h` away from 0 and 1, whose logarithms are infinite and 0.
    let h = ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -f64::from(weight) / h.ln()
}

fn fnv1a(client: IpAddr, server: SocketAddr) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut feed = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for ip in [client, server.ip()] {
        match ip.to_canonical() {
            IpAddr::V4(ip) => feed(&ip.octets()),
            IpAddr::V6(ip) => feed(&ip.octets()),
        }
    }
    feed(&server.port().to_be_bytes());
    hash
}

fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
