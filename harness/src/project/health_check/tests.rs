use serde_json::json;

use super::*;

fn called(test: Value) -> Vec<u16> {
    let service = json!({"healthcheck": {"test": test}});
    http_ports(&service).into_iter().flatten().collect()
}

#[test]
fn a_check_without_a_command_has_that_of_the_image() {
    for check in [
        json!(null),
        json!({"interval": "5s"}),
        json!({"disable": false}),
        json!({"test": []}),
        json!(1),
    ] {
        assert_eq!(http_ports(&json!({"healthcheck": check})), None, "{check}");
    }
    for check in [
        json!({"disable": true}),
        json!({"test": ["NONE"]}),
        json!({"test": "true"}),
        json!({"test": ["CMD", "true"], "disable": false}),
    ] {
        assert_eq!(
            http_ports(&json!({"healthcheck": check})),
            Some(BTreeSet::new()),
            "{check}"
        );
    }
}

/// As they stand in files of other projects.
#[test]
fn a_port_is_http_that_a_check_calls_by_a_url() {
    for (test, port) in [
        (json!(["CMD", "curl", "-f", "http://localhost"]), 80),
        (
            json!(["CMD", "curl", "-f", "http://localhost:9000/minio/health/live"]),
            9000,
        ),
        (
            json!(["CMD-SHELL", "curl -fsS http://127.0.0.1:8080/health || exit 1"]),
            8080,
        ),
        (json!("curl --fail http://localhost:5001/ || exit 1"), 5001),
        (json!(["CMD-SHELL", "curl -f localhost:3000/ping"]), 3000),
        (
            json!(["CMD", "/usr/bin/curl", "-sSf", "localhost/api?x=1&y=http"]),
            80,
        ),
        (
            json!([
                "CMD-SHELL",
                "wget --no-verbose --tries=1 --spider http://localhost:3001/api?a=b || exit 1"
            ]),
            3001,
        ),
        (json!(["CMD", "wget", "-qO-", "http://[::1]:2019/config/"]), 2019),
        (
            json!(["CMD", "wget", "--no-proxy", "-O", "/dev/null", "0.0.0.0:8888"]),
            8888,
        ),
        (
            json!(["CMD", "curl", "--noproxy", "*", "http://user:p@localhost:81/x"]),
            81,
        ),
        (
            json!([
                "CMD",
                "python3",
                "-c",
                "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/')"
            ]),
            8000,
        ),
        (
            json!([
                "CMD",
                "node",
                "-e",
                "require('http').get(\"http://localhost:4000/h\",r=>process.exit(r.statusCode!==200))"
            ]),
            4000,
        ),
        (
            json!([
                "CMD",
                "sh",
                "-c",
                "test \"$$(curl -so /dev/null -w '%{http_code}' localhost:9200)\" = 200"
            ]),
            9200,
        ),
        (
            json!([
                "CMD-SHELL",
                "pg_isready && curl -s http://localhost:7000>/dev/null"
            ]),
            7000,
        ),
        (
            json!(["CMD", "/healthcheck", "--url=http://localhost:6060/live"]),
            6060,
        ),
        (
            json!(["CMD", "curl", "-f", "http://localhost:8083/proxy/socks"]),
            8083,
        ),
        (json!(["CMD", "/bin/grpc_health_probe", "-addr=:50051"]), 50051),
        (
            json!([
                "CMD-SHELL",
                "grpc_health_probe -connect-timeout 1s -addr localhost:9090"
            ]),
            9090,
        ),
    ] {
        assert_eq!(called(test.clone()), [port], "{test}");
    }
    let two = json!([
        "CMD-SHELL",
        "curl -f http://localhost:1 && curl -f http://localhost:2 http://other:3"
    ]);
    assert_eq!(called(two), [1, 2]);
}

/// A port that takes something else than HTTP without TLS must stay one of TCP.
#[test]
fn nothing_else_of_a_check_makes_a_port_http() {
    for test in [
        json!(null),
        json!([]),
        json!(["NONE"]),
        json!(["CMD"]),
        json!(["CMD", "pg_isready"]),
        json!(["CMD", "nc", "-z", "localhost", "8080"]),
        json!(["CMD", "redis-cli", "-h", "localhost:6379", "ping"]),
        json!(["CMD-SHELL", "nc -z localhost:8080 || echo curl"]),
        json!(["CMD", "curl", "-kf", "https://localhost:8443/"]),
        json!([
            "CMD-SHELL",
            "curl -kf https://localhost:8443/ || curl -f http://localhost:8443/"
        ]),
        json!(["CMD", "curl", "telnet://localhost:3306"]),
        json!(["CMD", "curl", "ftp://localhost"]),
        // Other containers.
        json!(["CMD", "curl", "-f", "http://api:8080/health"]),
        json!(["CMD", "curl", "-f", "http://localhost.example:8080/"]),
        json!(["CMD", "curl", "-f", "http://example.com/?u=http://localhost:8080"]),
        // Proxies.
        json!(["CMD", "curl", "-x", "http://localhost:3128", "http://example.com"]),
        json!(["CMD", "curl", "-sx", "localhost:3128", "http://localhost:3128/"]),
        json!([
            "CMD-SHELL",
            "curl --proxy http://localhost:8118 https://example.com"
        ]),
        json!([
            "CMD-SHELL",
            "http_proxy=http://localhost:3128 wget -q http://localhost:3128"
        ]),
        json!([
            "CMD",
            "wget",
            "-e",
            "http_proxy=localhost:3128",
            "http://localhost:3128/"
        ]),
        json!([
            "CMD",
            "curl",
            "--socks5",
            "localhost:1080",
            "http://localhost:1080"
        ]),
        json!([
            "CMD",
            "python3",
            "-c",
            "get(u, proxies={'http': 'http://localhost:3128'})"
        ]),
        json!(["CMD", "curl", "--haproxy-protocol", "http://localhost:80/"]),
        // Neither a connection to the port.
        json!([
            "CMD",
            "curl",
            "--unix-socket",
            "/var/run/docker.sock",
            "http://localhost/version"
        ]),
        json!([
            "CMD",
            "curl",
            "-H",
            "Origin: http://localhost:8080",
            "https://localhost:8443"
        ]),
        json!(["CMD", "curl", "-e", "http://localhost:8080/", "https://localhost"]),
        json!([
            "CMD",
            "curl",
            "--referer",
            "http://localhost:8080/",
            "ftp://localhost"
        ]),
        json!([
            "CMD",
            "grpc_health_probe",
            "-addr=:50051",
            "-tls",
            "-tls-no-verify"
        ]),
        json!(["CMD", "grpc_health_probe", "-addr=other:50051"]),
        // No port that could be known.
        json!(["CMD-SHELL", "curl -f http://localhost:$${PORT}/"]),
        json!([
            "CMD-SHELL",
            "curl -f http://localhost:0/ http://localhost:70000/ http://$$(hostname):80"
        ]),
        json!(["CMD", "curl", "-f", "http://"]),
        json!({"a": "http://localhost"}),
        json!([1, {"a": "http://localhost"}]),
    ] {
        assert_eq!(called(test.clone()), [0; 0], "{test}");
    }
}
