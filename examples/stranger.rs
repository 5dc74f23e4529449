//! Stands in for the programs of strangers' images: answers on the TCP ports of `PORTS` and echoes on the UDP ports of
//! `UDP_PORTS`, whatever its arguments are. A job ends at once, and so does a health check. `call NAME PORT` sends a request.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::parent_id;
use std::time::Duration;
use std::{env, process, thread};

/// The name server of Docker's networks. The C library's lookups do not work in a static program.
const NAME_SERVER: &str = "127.0.0.11:53";
/// Words among the arguments of jobs.
const JOBS: [&str; 3] = ["airflow version", "migrate", "run-once"];
const LIMIT: Duration = Duration::from_secs(20);

unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
}

extern "C" fn end(_: i32) {
    process::exit(0);
}

fn main() {
    // Process 1 does not end by a signal that it has no handler for.
    for number in [2, 15] {
        unsafe { signal(number, end) };
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [word, name, port] = &arguments[..]
        && word == "call"
    {
        match call(name, port) {
            Ok(answer) => return print!("{answer}"),
            Err(error) => {
                println!("{error}");
                process::exit(1);
            }
        }
    }
    let line = arguments.join(" ");
    // What the engine executes in a running container has no parent there.
    let checks = process::id() != 1 && parent_id() == 0;
    if checks || JOBS.iter().any(|job| line.contains(job)) {
        return;
    }
    for port in ports("PORTS") {
        let listener = TcpListener::bind(("0.0.0.0", port)).expect("a port");
        thread::spawn(move || listener.incoming().flatten().for_each(answer));
    }
    for port in ports("UDP_PORTS") {
        let socket = UdpSocket::bind(("0.0.0.0", port)).expect("a port");
        thread::spawn(move || {
            let mut bytes = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                let _ = socket.send_to(&bytes[..length], from);
            }
        });
    }
    loop {
        thread::park();
    }
}

fn ports(variable: &str) -> Vec<u16> {
    let text = env::var(variable).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|port| port.parse().ok())
        .collect()
}

fn answer(mut stream: TcpStream) {
    thread::spawn(move || {
        let _ = stream.set_read_timeout(Some(LIMIT));
        if stream.read(&mut [0; 512]).is_ok_and(|length| length > 0) {
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n");
        }
    });
}

fn call(name: &str, port: &str) -> Result<String, String> {
    let address = lookup(name).map_err(|error| format!("{name}: {error}"))?;
    let failed = |error: std::io::Error| format!("{address}: {error}");
    let mut stream = TcpStream::connect(format!("{address}:{port}")).map_err(failed)?;
    stream.set_read_timeout(Some(LIMIT)).map_err(failed)?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    Ok(answer)
}

/// The first IPv4 address of a name.
fn lookup(name: &str) -> Result<Ipv4Addr, String> {
    let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend(label.bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let mut bytes = [0; 1024];
    let mut asked = || {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_read_timeout(Some(LIMIT))?;
        socket.send_to(&query, NAME_SERVER)?;
        socket.recv(&mut bytes)
    };
    let length = asked().map_err(|error| error.to_string())?;
    // Answers follow the question. After each name, which Docker does not compress: type, class, time to live, data.
    let mut rest = bytes.get(query.len()..length).unwrap_or_default();
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        let [0, kind, _, _, _, _, _, _, _, size, data @ ..] = &rest[end + 1..] else {
            break;
        };
        match (kind, data) {
            (1, [a, b, c, d, ..]) => return Ok(Ipv4Addr::new(*a, *b, *c, *d)),
            _ => rest = data.get(usize::from(*size)..).unwrap_or_default(),
        }
    }
    Err("no address".to_owned())
}
