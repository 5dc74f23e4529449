//! The meaning of each request, before and after authentication.

use super::*;

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

fn answer(session: &mut Session, line: &str) -> Answer {
    match session.step(&words(line)) {
        Step::Answer(answer) => answer,
        Step::Info(sections) => info(&sections, &Figures::default()),
        other => panic!("{line}: {other:?}"),
    }
}

fn error(session: &mut Session, line: &str) -> String {
    match answer(session, line) {
        Answer::Error(code, text) => format!("{code} {text}"),
        Answer::Refused(text) => text,
        other => panic!("{line}: {other:?}"),
    }
}

fn login(session: &mut Session, line: &str, right: bool) -> Answer {
    match session.step(&words(line)) {
        Step::Login(login) => {
            assert_eq!(login.password, b"secret", "{line}");
            session.logged_in(login, right)
        }
        other => panic!("{line}: {other:?}"),
    }
}

fn open() -> Session {
    Session::new(7, false)
}

#[test]
fn only_authentication_is_possible_before_the_password() {
    let mut session = Session::new(1, true);
    for line in [
        "PING",
        "ECHO x",
        "COMMAND DOCS",
        "CLIENT ID",
        "SELECT 0",
        "INFO",
        "RESET",
        "HELLO",
        "HELLO 3",
        "HELLO 3 SETNAME x",
        "add server-groups sgs0",
        "list tcp-lb",
        "foo",
    ] {
        assert!(error(&mut session, line).starts_with("NOAUTH "), "{line}");
    }
    assert_eq!(error(&mut session, "PING"), "NOAUTH Authentication required.");
    assert!(matches!(session.step(&words("quit")), Step::Close(Answer::OK)));
    assert!(!session.authenticated());
}

#[test]
fn the_password_is_accepted_with_and_without_a_user_and_in_hello() {
    for line in ["AUTH secret", "auth default secret", "AUTH anyone secret"] {
        let mut session = Session::new(1, true);
        let Answer::Error("WRONGPASS", _) = login(&mut session, line, false) else {
            panic!("{line}");
        };
        assert!(!session.authenticated());
        assert_eq!(login(&mut session, line, true), Answer::OK);
        assert!(session.authenticated());
        assert_eq!(answer(&mut session, "PING"), Answer::Simple("PONG"));
    }
    let mut session = Session::new(1, true);
    let hello = "HELLO 3 AUTH default secret SETNAME me";
    let Answer::Error("WRONGPASS", _) = login(&mut session, hello, false) else {
        panic!("it was wrong");
    };
    assert_eq!(session.version(), Version::Two, "a refused HELLO changes nothing");
    assert!(matches!(login(&mut session, hello, true), Answer::Map(_)));
    assert_eq!(session.version(), Version::Three);
    assert_eq!(answer(&mut session, "CLIENT GETNAME"), Answer::text("me"));
}

#[test]
fn a_wrong_password_after_authentication_changes_nothing() {
    let mut session = Session::new(1, true);
    login(&mut session, "AUTH secret", true);
    login(&mut session, "AUTH secret", false);
    assert!(session.authenticated());
    assert_eq!(answer(&mut session, "RESET"), Answer::Simple("RESET"));
    assert!(!session.authenticated());
}

#[test]
fn without_a_password_no_authentication_is_needed() {
    let mut session = open();
    assert!(session.authenticated());
    assert!(error(&mut session, "AUTH secret").contains("no password is set"));
    assert!(error(&mut session, "AUTH").contains("wrong number of arguments"));
    assert!(error(&mut session, "AUTH a b c").contains("wrong number of arguments"));
}

#[test]
fn hello_sets_the_version_and_describes_the_server() {
    let mut session = open();
    let Answer::Map(pairs) = answer(&mut session, "hello 3") else {
        panic!("a map");
    };
    assert!(pairs.contains(&(Answer::text("proto"), Answer::Integer(3))));
    assert!(pairs.contains(&(Answer::text("id"), Answer::Integer(7))));
    answer(&mut session, "HELLO");
    assert_eq!(
        session.version(),
        Version::Three,
        "without a version it stays as it is"
    );
    answer(&mut session, "HELLO 2 setname x");
    assert_eq!(session.version(), Version::Two);
    for line in ["HELLO 4", "HELLO x", "HELLO 1", "HELLO 33333333333333333333"] {
        assert!(error(&mut session, line).starts_with("NOPROTO "), "{line}");
    }
    for line in ["HELLO 3 AUTH x", "HELLO 3 SETNAME", "HELLO 3 nonsense"] {
        assert!(
            error(&mut session, line).starts_with("ERR syntax error"),
            "{line}"
        );
    }
    assert_eq!(session.version(), Version::Two, "a refused HELLO changes nothing");
}

#[test]
fn connection_commands_are_answered_as_by_redis() {
    let mut session = open();
    let empty = || Answer::Array(Vec::new());
    for (line, expected) in [
        ("PING", Answer::Simple("PONG")),
        ("ping hello", Answer::text("hello")),
        ("ECHO hello", Answer::text("hello")),
        ("COMMAND", empty()),
        ("COMMAND DOCS", Answer::Map(Vec::new())),
        ("COMMAND DOCS get", Answer::Map(Vec::new())),
        ("COMMAND COUNT", Answer::Integer(0)),
        ("command info", empty()),
        (
            "command info get set",
            Answer::Array(vec![Answer::Null, Answer::Null]),
        ),
        ("INFO cluster", Answer::text("# Cluster\r\ncluster_enabled:0\r\n")),
        (
            "INFO CLIENTS",
            Answer::text("# Clients\r\nconnected_clients:0\r\nblocked_clients:0\r\n"),
        ),
        ("INFO commandstats", Answer::text("")),
        (
            "CLIENT INFO",
            Answer::text("id=7 name= db=0 user=default resp=2\n"),
        ),
        ("CLIENT NO-EVICT on", Answer::OK),
        ("CLIENT GETNAME", Answer::Null),
        ("CLIENT SETNAME me", Answer::OK),
        ("CLIENT GETNAME", Answer::text("me")),
        ("CLIENT SETINFO LIB-NAME x", Answer::OK),
        ("CLIENT ID", Answer::Integer(7)),
        ("SELECT 0", Answer::OK),
    ] {
        assert_eq!(answer(&mut session, line), expected, "{line}");
    }
    for (line, says) in [
        ("PING a b", "wrong number of arguments for 'ping'"),
        ("ECHO", "wrong number of arguments for 'echo'"),
        ("SELECT 1", "out of range"),
        ("SELECT", "wrong number"),
        ("CLIENT", "wrong number"),
        ("CLIENT KILL x", "unknown subcommand 'KILL'"),
        ("COMMAND x", "unknown subcommand 'x'"),
    ] {
        let text = error(&mut session, line);
        assert!(text.starts_with("ERR ") && text.contains(says), "{line}: {text}");
    }
}

#[test]
fn any_other_request_is_a_command_of_the_command_language() {
    let mut session = open();
    for (line, expected) in [("a sgs x", "add server-groups x"), ("L tl", "list-detail tcp-lb")] {
        let Step::Execute(parsed) = session.step(&words(line)) else {
            panic!("{line}");
        };
        assert_eq!(parsed.command.to_string(), expected);
    }
    assert!(error(&mut session, "foo bar").starts_with("foo is not a valid action"));
    assert!(error(&mut session, "list event-loop-group").contains("--workers"));
    let Step::Answer(Answer::Refused(text)) = session.step(&[b"add".to_vec(), vec![0xff]]) else {
        panic!("not UTF-8");
    };
    assert!(text.contains("UTF-8"), "{text}");
}

#[test]
fn people_can_ask_about_the_commands() {
    let mut session = open();
    let mut lines = |line: &str| match answer(&mut session, line) {
        Answer::Array(lines) => lines,
        other => panic!("{line}: {other:?}"),
    };
    let line = |text: &str| Answer::text(text);
    for all in ["man", "help"] {
        assert!(lines(all).contains(&line("    add server-groups NAME")), "{all}");
    }
    assert!(lines("man sgs").contains(&line("  add server-groups NAME")));
    assert!(lines("man sg").contains(&line(
        "  down: consecutive failed checks that bring a server down"
    )));
    assert!(lines("man sg").contains(&line("    a number of checks from 1 to 1000")));
    let update = "  update server NAME in server-group NAME weight WEIGHT";
    assert!(lines("man server update").contains(&line(update)));
    assert!(!lines("man server add").contains(&line(update)));
    assert_eq!(lines("man up"), [line("up: a number of checks from 1 to 1000")]);
    assert_eq!(lines("man add-to"), lines("man a"));
    assert!(error(&mut session, "man nope").starts_with("no manual entry for nope"));
    assert!(error(&mut session, "man up add").starts_with("no manual entry for up add"));
    assert_eq!(
        answer(&mut session, "version"),
        Answer::text(env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn http_requests_close_the_connection() {
    for line in ["POST / HTTP/1.1", "Host: localhost:16379"] {
        assert!(matches!(
            open().step(&words(line)),
            Step::Close(Answer::Error(..))
        ));
    }
}
