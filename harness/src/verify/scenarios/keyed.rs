//! A mesh with a key, attacked by all who do not have it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};

use crate::cluster::mesh::Mesh;
use crate::cluster::mesh_key::MeshKey;
use crate::cluster::topology::{Member, Topology};
use crate::engine::Engine;
use crate::error::{Error, check};
use crate::verify::checks::{no_request_failed, ready, traffic_flows};
use crate::verify::suite::{Context, Requirements, Scenario};
use crate::verify::traffic::Clients;
use crate::wait;

/// The discovery port of every node.
const PORT: u16 = 31000;
/// The member that the intruders' containers are like.
const TEMPLATE: &str = "service-a2";
/// Containers beside the mesh: one without a key, and one with another key.
const INTRUDERS: [&str; 2] = ["intruder-plain", "intruder-other"];
/// Rounds of messages, and the pause between two: some seconds of attack.
const ROUNDS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(100);
/// Limit for each message of an attack, and for a sealed datagram to arrive.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) static SCENARIO: Scenario = Scenario {
    name: "keyed",
    about: "no request of a mesh with a key fails while nodes with another key or none, forged and repeated messages attack it",
    requires: Requirements::NOTHING,
    allows: &["a node of this network is not a member"],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let directory = ctx.directory()?;
    let [key, other] = ["key", "other"].map(|name| MeshKey::at(directory.join(name)));
    for key in [&key, &other] {
        key.create(ctx.topology(), ctx.engine())?;
    }
    let mut mesh = ctx.own_mesh("keyed", |topology| key.given_to(topology)).await?;
    let traffic = ctx.traffic(&mesh, &[Clients::New])?;
    traffic_flows(&traffic).await?;

    let own = mesh.clone();
    ctx.say("starts nodes without the key");
    for (name, key) in INTRUDERS.into_iter().zip([None, Some(&other)]) {
        let member = intruder(&mesh, name, key)?;
        mesh.add(member).await?;
    }
    let attacked = attack(ctx, &mut mesh, &own).await;
    let apart = apart(&mesh).await;
    ctx.say("removes the nodes without the key");
    for name in INTRUDERS {
        mesh.remove(name).await?;
    }
    attacked?;
    apart?;
    ready(&mesh).await?;
    traffic_flows(&traffic).await?;
    let record = traffic.finish().await;
    no_request_failed(&record)?;
    let answered = record.hosts(Duration::ZERO);
    let ids: Vec<&str> = own.nodes().iter().map(|node| node.container.short_id()).collect();
    let strange: Vec<_> = answered.keys().filter(|host| !ids.contains(*host)).collect();
    check(
        strange.is_empty(),
        "answers of the mesh's own instances only",
        format!("{strange:?}"),
    )
}

/// A node of the same network that wants to be an instance of the template's service.
fn intruder(mesh: &Mesh, name: &str, key: Option<&MeshKey>) -> Result<Member, Error> {
    let mut member = mesh.another(TEMPLATE, name)?;
    member.service.environment.clear();
    member.service.files.clear();
    let Some(key) = key else { return Ok(member) };
    let topology = Topology {
        members: vec![member],
        ..mesh.topology().clone()
    };
    let given = key.given_to(topology).members.pop();
    given.ok_or_else(|| Error::unmet("one intruder", "none"))
}

/// Sends what a host of the network can send without the key.
async fn attack(ctx: &Context, mesh: &mut Mesh, own: &Mesh) -> Result<(), Error> {
    let nodes: Vec<(String, Ipv4Addr)> = own
        .nodes()
        .iter()
        .filter_map(|node| match node.container.address? {
            IpAddr::V4(address) => Some((node.container.short_id().to_owned(), address)),
            IpAddr::V6(_) => None,
        })
        .collect();
    let Some((_, first)) = nodes.first() else {
        return Err(Error::unmet("nodes with an address", "none"));
    };
    // Addresses of this network that are searched: one is free on loopback, and the host has the other.
    let [a, b, c, _] = first.octets();
    let here = match mesh.engine() {
        Engine::Process(_) => Ipv4Addr::new(a, b, c, 250),
        Engine::Docker(_) => Ipv4Addr::new(a, b, c, 1),
    };
    let Ok(socket) = UdpSocket::bind((here, PORT)).await else {
        ctx.say("this machine is no host of the mesh's network: only its containers attack");
        return Ok(());
    };
    // It searches when it starts: that is recorded.
    mesh.restart(TEMPLATE).await?;
    let recorded = tokio::time::timeout(LIMIT, record(&socket, &nodes)).await;
    let recorded = recorded.map_err(|_| {
        Error::unmet(
            "a search datagram of the mesh arrives",
            format!("none within {LIMIT:?}"),
        )
    })?;
    let text = String::from_utf8_lossy(&recorded);
    let is_sealed = !recorded.starts_with(b"$") && !text.contains("nodeName");
    check(is_sealed, "a sealed datagram", text)?;
    ctx.say("sends forged and repeated messages");
    for _ in 0..ROUNDS {
        for (name, address) in &nodes {
            let to = SocketAddr::new((*address).into(), PORT);
            let _ = socket.send_to(&recorded, to).await;
            for (forged, from) in &nodes {
                for kind in ["search", "inform", "leave"] {
                    let bytes = datagram(kind, forged);
                    let _ = socket.send_to(&bytes, to).await;
                    // On loopback any address can be taken; elsewhere that would take a raw socket.
                    if let Ok(spoofed) = UdpSocket::bind((*from, 0)).await {
                        let _ = spoofed.send_to(&bytes, to).await;
                    }
                }
            }
            let offers = [Ipv4Addr::LOCALHOST, here, *address];
            for (offered, sender) in offers.into_iter().zip([here, here, *first]) {
                let _ = tokio::time::timeout(LIMIT, offer(to, sender, name, offered)).await;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// The first datagram of one of these nodes.
async fn record(socket: &UdpSocket, nodes: &[(String, Ipv4Addr)]) -> Vec<u8> {
    let mut buffer = [0; 4096];
    loop {
        // The kernel reports here that an earlier datagram was refused.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        if nodes.iter().any(|(_, node)| from.ip() == *node) {
            return buffer[..length].to_vec();
        }
    }
}

/// A plain datagram in the name of a node.
fn datagram(kind: &str, name: &str) -> Vec<u8> {
    let content = json!({
        "version": 1, "type": kind, "nodeName": name, "udpPort": PORT, "tcpPort": PORT, "hash": "",
    })
    .to_string();
    format!("${}\r\n{content}\r\n", content.len()).into_bytes()
}

/// Offers an instance of service a by a plain exchange, from an address if it can be taken.
async fn offer(to: SocketAddr, from: Ipv4Addr, name: &str, instance: Ipv4Addr) -> std::io::Result<()> {
    let body = json!({
        "node": { "nodeName": name, "address": from, "udpPort": PORT, "tcpPort": PORT },
        "khalaNodes": [{
            "service": "my-service-a", "zone": "example", "address": instance, "port": 18080,
            "meta": { "weight": 65535 },
        }],
    })
    .to_string();
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from.into(), 0))?;
    let mut stream = socket.connect(to).await?;
    let length = body.len();
    let request = format!(
        "PUT /discovery/api/v1/exchange/khala.local HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    stream.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// Checks that the intruders and the mesh do not know each other.
async fn apart(mesh: &Mesh) -> Result<(), Error> {
    let attempt = async || {
        let views = mesh.views().await;
        let is_intruder = |name: &str| INTRUDERS.contains(&name);
        let intruders: Vec<&str> = views
            .iter()
            .filter(|seen| is_intruder(&seen.name))
            .map(|seen| seen.host.as_str())
            .collect();
        let mut wrong = Vec::new();
        for seen in &views {
            let view = match &seen.view {
                Ok(view) => view,
                Err(reason) => {
                    wrong.push(format!("{}: {reason}", seen.name));
                    continue;
                }
            };
            let others = view.nodes.iter().map(|node| node.node_name.as_str());
            let instances = view.services.iter().flat_map(|service| &service.instances);
            let known: Vec<&str> = others
                .chain(instances.map(|instance| instance.node_name.as_str()))
                .filter(|name| *name != seen.host)
                .filter(|name| is_intruder(&seen.name) || intruders.contains(name))
                .collect();
            if !known.is_empty() {
                wrong.push(format!("{} knows {known:?}", seen.name));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    };
    let waited = wait::until(LIMIT, PAUSE, attempt, |_| {}).await;
    waited.map_err(|expired| {
        Error::unmet(
            "no node without the key is known to the mesh, nor the mesh to it",
            expired.to_string(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_datagram_is_one_bulk_string() {
        let bytes = datagram("leave", "n");
        let text = String::from_utf8(bytes).unwrap();
        let (length, content) = text.split_once("\r\n").unwrap();
        assert_eq!(length, format!("${}", content.trim_end().len()));
        assert!(content.contains("\"leave\""), "{content}");
    }
}
