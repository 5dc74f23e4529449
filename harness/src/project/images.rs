//! What an image's name tells about its program.

/// Beginnings of words in the names of images whose containers hold state, so that several are no equal replicas.
const STATEFUL: [&str; 26] = [
    "cassandra",
    "clickhouse",
    "cockroach",
    "consul",
    "couchdb",
    "elasticsearch",
    "etcd",
    "influxdb",
    "kafka",
    "keydb",
    "mariadb",
    "minio",
    "mongo",
    "mssql",
    "mysql",
    "neo4j",
    "opensearch",
    "percona",
    "pgvector",
    "postgis",
    "postgres",
    "rabbitmq",
    "redis",
    "timescaledb",
    "valkey",
    "zookeeper",
];
/// Servers that log each bare TCP connection, or refuse a host after some of them.
const PASSIVE: [&str; 8] = [
    "mariadb",
    "mssql",
    "mysql",
    "percona",
    "pgvector",
    "postgis",
    "postgres",
    "timescaledb",
];
/// Endings of names of programs that are clients of such a server.
const CLIENTS: [&str; 7] = [
    "admin",
    "backup",
    "commander",
    "exporter",
    "express",
    "insight",
    "ui",
];
/// Proxies that find the containers by the engine's API.
const ENGINE_READERS: [&str; 3] = ["traefik", "nginx-proxy", "caddy-docker-proxy"];

/// Whether containers of this image hold data of their own.
pub(super) fn stateful(image: &str) -> bool {
    matches(image, &STATEFUL)
}

/// Whether the server is to be tested only after a failed connection.
pub(super) fn passive(image: &str) -> bool {
    matches(image, &PASSIVE)
}

/// Whether the program goes past waypoints, since it reads addresses from the engine.
pub(super) fn reads_engine(image: &str) -> bool {
    let name = name(image);
    ENGINE_READERS.iter().any(|reader| name.starts_with(reader))
}

fn matches(image: &str, known: &[&str]) -> bool {
    let name = name(image);
    let client = CLIENTS.iter().any(|client| name.ends_with(client));
    !client
        && name
            .split(['-', '_', '.'])
            .any(|word| known.iter().any(|known| word.starts_with(known)))
}

/// The last part of an image's name, without tag and digest. That of a name such as `mssql/server` is the part before.
fn name(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    let mut parts = image.rsplit('/');
    let last = parts.next().unwrap_or_default();
    let last = last.split(':').next().unwrap_or_default();
    match last {
        "server" => parts.next().unwrap_or(last),
        _ => last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_known_by_the_last_part_of_the_image() {
        for image in [
            "postgres:15",
            "docker.io/library/mariadb",
            "bitnami/kafka:3",
            "registry:5000/team/my-postgres@sha256:1",
            "mcr.microsoft.com/mssql/server:2022",
            "redis/redis-stack",
        ] {
            assert!(stateful(image), "{image}");
        }
        for image in [
            "nginx",
            "redis/other",
            "postgres-exporter",
            "prom/mysqld-exporter",
            "api",
            "",
        ] {
            assert!(!stateful(image), "{image}");
        }
        assert!(passive("mysql:8") && !passive("redis:7"));
        assert!(reads_engine("traefik:v3") && !reads_engine("nginx"));
    }
}
